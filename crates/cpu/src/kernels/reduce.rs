//! Along an axis. Sums are f64: it costs nothing against reading the elements, and the oracle's error is then theirs alone.

use lantern_graph::Reduction;

pub fn reduce(op: Reduction, x: &[f32], dims: &[usize], axis: usize, out: &mut [f32]) {
    let n = dims[axis];
    let inner: usize = dims[axis + 1..].iter().product();
    if inner == 0 {
        return;
    }
    if inner == 1 {
        for (o, out) in out.iter_mut().enumerate() {
            let row = &x[o * n..(o + 1) * n];
            *out = match op {
                Reduction::Sum => sum(row) as f32,
                Reduction::Max => max(row),
            };
        }
        return;
    }
    let mut sums = vec![0.0f64; inner];
    for (o, out) in out.chunks_exact_mut(inner).enumerate() {
        let rows = x[o * n * inner..(o + 1) * n * inner].chunks_exact(inner);
        match op {
            Reduction::Sum => {
                sums.fill(0.0);
                rows.for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
                out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = *sum as f32);
            }
            Reduction::Max => {
                out.fill(f32::NEG_INFINITY);
                rows.for_each(|row| {
                    out.iter_mut().zip(row).for_each(|(out, x)| *out = if *x > *out { *x } else { *out })
                });
            }
        }
    }
}

fn sum(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x)).sum()
}

fn max(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m })
}

/// The first of the largest, or none where one is NaN.
pub fn argmax(x: &[f32], columns: usize, out: &mut [u32]) {
    for (row, out) in out.iter_mut().enumerate() {
        let row = &x[row * columns..(row + 1) * columns];
        let (mut best, mut is_broken) = ((f32::NEG_INFINITY, 0), false);
        for (i, x) in row.iter().enumerate() {
            is_broken |= x.is_nan();
            if *x > best.0 {
                best = (*x, i as u32);
            }
        }
        *out = if is_broken { u32::MAX } else { best.1 };
    }
}

/// Orders as the numbers do, as an integer: NaN above all, both zeros alike.
fn order(x: f32) -> u32 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    match bits >> 31 {
        _ if x.is_nan() => u32::MAX,
        0 => bits | 1 << 31,
        _ => !bits,
    }
}

/// `[…, 2, k]`: the largest of each row, largest first, the first of equals before, then their places.
pub fn top_k(x: &[f32], columns: usize, k: usize, out: &mut [f32]) {
    if columns == 0 || k == 0 {
        return;
    }
    // The best so far, best first: most elements are no better than the last of them, and go.
    let mut best: Vec<(u32, usize)> = Vec::with_capacity(k + 1);
    for (row, out) in x.chunks_exact(columns).zip(out.chunks_exact_mut(2 * k)) {
        best.clear();
        for (place, x) in row.iter().enumerate() {
            let order = order(*x);
            if best.len() == k {
                if best.last().is_some_and(|worst| order <= worst.0) {
                    continue;
                }
                best.pop();
            }
            // Behind its equals, which came first.
            let at = best.partition_point(|better| better.0 >= order);
            best.insert(at, (order, place));
        }
        let (values, places) = out.split_at_mut(k);
        for (((_, place), value), to) in best.iter().zip(values).zip(places) {
            *value = row[*place];
            *to = *place as f32;
        }
    }
}

pub fn softmax(x: &[f32], columns: usize, out: &mut [f32]) {
    if columns == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        out.copy_from_slice(x);
        softmax_row(out);
    }
}

pub fn softmax_row(row: &mut [f32]) {
    let max = max(row);
    let mut sum = 0.0f64;
    for x in row.iter_mut() {
        *x = (*x - max).exp();
        sum += f64::from(*x);
    }
    let scale = (1.0 / sum) as f32;
    row.iter_mut().for_each(|x| *x *= scale);
}

pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let columns = weight.len();
    for (x, out) in x.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        // Four sums, so that one addition need not wait for the last.
        let (fours, rest) = x.as_chunks::<4>();
        let mut sums = [0.0f64; 4];
        for four in fours {
            for i in 0..4 {
                sums[i] += f64::from(four[i]) * f64::from(four[i]);
            }
        }
        let tail: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let mean = (sums.iter().sum::<f64>() + tail) / columns as f64;
        let scale = 1.0 / (mean as f32 + eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}
