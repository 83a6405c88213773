//! Encoding k-quants: the search for scales that lose least, as ggml-quants.c's `quantize_row_*_K_ref` does it (no
//! importance matrix).
//!
//! candle-core encodes k-quants too, by an older search that gives a group of equal values the scale 0 and loses it.

use crate::k_quants::{SUPER, scale_and_min, scales_of_q3};
use half::f16;

/// Groups of smaller values than this are zeros: their scales are far below what an f16 can say.
const NOTHING: f32 = 1e-15;

/// Rounds half away from zero, and saturates; NaN is 0.
fn nearest(v: f32) -> i32 {
    v.round() as i32
}

/// An f16 as it will be read back.
fn stored(v: f32) -> f32 {
    f16::from_f32(v).to_f32()
}

fn greatest(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |m, v| m.max(*v))
}

fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m })
}

/// How a scale and a minimum are searched for: scales of (first + 0.1·step + levels) / range, for `steps` + 1 steps.
struct Search {
    levels: i32,
    first: f32,
    steps: usize,
    /// What counts as an error: its magnitude, or its square.
    absolute: bool,
}

/// The scale and minimum, both ≥ 0, with which `scale · q − minimum`, q in 0..=levels, comes closest to `x` where `weights`
/// say that it matters.
///
/// Each candidate scale gives whole q; for those, scale and minimum follow by weighted least squares.
fn fit_with_min(x: &[f32], weights: &[f32], search: &Search) -> (f32, f32) {
    let levels = search.levels;
    let (mut min, max) = x.iter().fold((0f32, f32::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    if max == min {
        return (0.0, -min);
    }
    let sum_w: f32 = weights.iter().sum();
    let sum_x: f32 = weights.iter().zip(x).map(|(w, x)| w * x).sum();
    let mut q = vec![0f32; x.len()];
    let round = |q: &mut [f32], per_unit: f32, min: f32| {
        for (q, x) in q.iter_mut().zip(x) {
            *q = nearest(per_unit * (x - min)).clamp(0, levels) as f32;
        }
    };
    let error = |q: &[f32], scale: f32, min: f32| -> f32 {
        let each = q.iter().zip(x).zip(weights).map(|((q, x), w)| {
            let off = scale * q + min - x;
            w * if search.absolute { off.abs() } else { off * off }
        });
        each.sum()
    };
    let mut scale = (max - min) / levels as f32;
    round(&mut q, levels as f32 / (max - min), min);
    let mut least = error(&q, scale, min);
    for step in 0..=search.steps {
        round(&mut q, (search.first + 0.1 * step as f32 + levels as f32) / (max - min), min);
        let (mut sum_q, mut sum_qq, mut sum_xq) = (0f32, 0f32, 0f32);
        for ((q, x), w) in q.iter().zip(x).zip(weights) {
            sum_q += w * q;
            sum_qq += w * q * q;
            sum_xq += w * q * x;
        }
        let determinant = sum_w * sum_qq - sum_q * sum_q;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xq - sum_x * sum_q) / determinant;
            let mut this_min = (sum_qq * sum_x - sum_q * sum_xq) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xq / sum_qq;
            }
            let this = error(&q, this_scale, this_min);
            if this < least {
                (least, scale, min) = (this, this_scale, this_min);
            }
        }
    }
    (scale, -min)
}

/// Σw·x·q and Σw·q² with w = x², for q in −n..n nearest to `x · per_unit`.
fn sums(x: &[f32], n: i32, per_unit: f32) -> (f32, f32) {
    x.iter().fold((0.0, 0.0), |(xq, qq), x| {
        let q = nearest(per_unit * x).clamp(-n, n - 1) as f32;
        (xq + x * x * x * q, qq + x * x * q * q)
    })
}

/// The signed scale with which `scale · q`, q in −n..n, comes closest to `x`, large values counting most: the best of 19
/// around the one that takes the value of greatest magnitude to −n.
fn fit_symmetric(x: &[f32], n: i32) -> f32 {
    let max = extreme(x);
    if max.abs() < NOTHING {
        return 0.0;
    }
    let (mut scale, mut best) = (0.0, 0.0);
    // The plain one first: of equals it wins.
    for step in std::iter::once(0).chain((-9..=9).filter(|step| *step != 0)) {
        let (xq, qq) = sums(x, n, -(n as f32 + 0.1 * step as f32) / max);
        if qq > 0.0 && (xq * xq > best * qq || step == 0) {
            scale = xq / qq;
            best = scale * xq;
        }
    }
    scale
}

/// As [`fit_symmetric`] for few levels: from the plain scale, each q is moved by itself as long as that helps.
fn fit_few(x: &[f32], n: i32) -> f32 {
    let max = extreme(x);
    if max.abs() < NOTHING {
        return 0.0;
    }
    let mut q: Vec<i32> = x.iter().map(|x| nearest(-(n as f32) / max * x).clamp(-n, n - 1)).collect();
    let (mut sum_xq, mut sum_qq) = sums(x, n, -(n as f32) / max);
    for _ in 0..5 {
        let mut moved = false;
        for (x, q) in x.iter().zip(&mut q) {
            let (w, old) = (x * x, *q as f32);
            let (xq, qq) = (sum_xq - w * x * old, sum_qq - w * old * old);
            if xq <= 0.0 {
                continue;
            }
            let new = nearest(x * qq / xq).clamp(-n, n - 1);
            let (xq, qq) = (xq + w * x * new as f32, qq + w * (new * new) as f32);
            if new != *q && qq > 0.0 && xq * xq * sum_qq > sum_xq * sum_xq * qq {
                (*q, sum_xq, sum_qq, moved) = (new, xq, qq, true);
            }
        }
        if !moved {
            break;
        }
    }
    sum_xq / sum_qq
}

/// The whole number nearest to `(x + min) / scale`, from `low` to `high`; where the scale is 0 all are the same.
fn level(x: f32, scale: f32, min: f32, low: i32, high: i32) -> i32 {
    if scale == 0.0 { low.max(0) } else { nearest((x + min) / scale).clamp(low, high) }
}

/// Scales as whole numbers up to `most`, and what one of them is worth.
fn whole<const N: usize>(values: &[f32; N], most: f32) -> ([u8; N], f32) {
    let max = greatest(values);
    if max <= 0.0 {
        return ([0; N], 0.0);
    }
    (values.map(|v| nearest(most / max * v).clamp(0, most as i32) as u8), max / most)
}

/// 2-bit values: those 32 apart share a byte.
fn pack_two(q: &[u8; SUPER]) -> impl Iterator<Item = u8> {
    (0..64).map(|i| {
        let at = i / 32 * 128 + i % 32;
        (0..4).fold(0, |byte, k| byte | (q[at + 32 * k] & 3) << (2 * k))
    })
}

pub(crate) fn encode_q2(values: &[f32], out: &mut Vec<u8>) {
    let search = Search { levels: 3, first: -0.5, steps: 15, absolute: true };
    for x in values.as_chunks::<SUPER>().0 {
        let groups = x.as_chunks::<16>().0;
        let fits: [(f32, f32); 16] =
            std::array::from_fn(|j| fit_with_min(&groups[j], &groups[j].map(f32::abs), &search));
        let (scales, d) = whole(&fits.map(|f| f.0), 15.0);
        let (mins, dmin) = whole(&fits.map(|f| f.1), 15.0);
        let q: [u8; SUPER] = std::array::from_fn(|i| {
            let (scale, min) = (stored(d) * f32::from(scales[i / 16]), stored(dmin) * f32::from(mins[i / 16]));
            level(x[i], scale, min, 0, 3) as u8
        });
        out.extend(scales.iter().zip(mins).map(|(scale, min)| scale | min << 4));
        out.extend(pack_two(&q));
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(f16::from_f32(dmin).to_le_bytes());
    }
}

pub(crate) fn encode_q3(values: &[f32], out: &mut Vec<u8>) {
    for x in values.as_chunks::<SUPER>().0 {
        let groups = x.as_chunks::<16>().0;
        let fits: [f32; 16] = std::array::from_fn(|j| fit_few(&groups[j], 4));
        let max = extreme(&fits);
        let per_unit = if max == 0.0 { 0.0 } else { -32.0 / max };
        let mut packed = [0u8; 12];
        for (j, fit) in fits.iter().enumerate() {
            let scale = (nearest(per_unit * fit).clamp(-32, 31) + 32) as u8;
            packed[j % 8] |= (scale & 15) << (j / 8 * 4);
            packed[8 + j % 4] |= (scale >> 4) << (j / 4 * 2);
        }
        let d = if max == 0.0 { 0.0 } else { 1.0 / per_unit };
        let scales = scales_of_q3(&packed);
        let q: [u8; SUPER] =
            std::array::from_fn(|i| (level(x[i], stored(d) * f32::from(scales[i / 16]), 0.0, -4, 3) + 4) as u8);
        let third = |i: usize| (0..8).fold(0, |byte, k| byte | (q[i + 32 * k] >> 2) << k);
        out.extend((0..32).map(third));
        out.extend(pack_two(&q));
        out.extend(packed);
        out.extend(f16::from_f32(d).to_le_bytes());
    }
}

/// What Q4_K and Q5_K have in common: `d`, `dmin`, packed scales, and 256 numbers up to the search's levels.
fn encode_groups_of_32(x: &[f32; SUPER], search: &Search, out: &mut Vec<u8>) -> [u8; SUPER] {
    let groups = x.as_chunks::<32>().0;
    let fits: [(f32, f32); 8] = std::array::from_fn(|j| {
        let mean = (groups[j].iter().map(|v| v * v).sum::<f32>() / 32.0).sqrt();
        fit_with_min(&groups[j], &groups[j].map(|v| mean + v.abs()), search)
    });
    let (scales, d) = whole(&fits.map(|f| f.0), 63.0);
    let (mins, dmin) = whole(&fits.map(|f| f.1), 63.0);
    let mut packed = [0u8; 12];
    for j in 0..4 {
        packed[j] = scales[j] | (scales[j + 4] >> 4) << 6;
        packed[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6;
        packed[j + 8] = (scales[j + 4] & 15) | (mins[j + 4] & 15) << 4;
    }
    out.extend(f16::from_f32(d).to_le_bytes());
    out.extend(f16::from_f32(dmin).to_le_bytes());
    out.extend(packed);
    std::array::from_fn(|i| {
        let (scale, min) = scale_and_min(i / 32, &packed);
        level(x[i], stored(d) * f32::from(scale), stored(dmin) * f32::from(min), 0, search.levels) as u8
    })
}

/// Low nibbles: groups of 32 share their bytes in pairs.
fn pack_nibbles(q: &[u8; SUPER]) -> impl Iterator<Item = u8> {
    (0..128).map(|i| {
        let at = i / 32 * 64 + i % 32;
        (q[at] & 15) | (q[at + 32] & 15) << 4
    })
}

pub(crate) fn encode_q4(values: &[f32], out: &mut Vec<u8>) {
    let search = Search { levels: 15, first: -1.0, steps: 20, absolute: false };
    for x in values.as_chunks::<SUPER>().0 {
        let q = encode_groups_of_32(x, &search, out);
        out.extend(pack_nibbles(&q));
    }
}

pub(crate) fn encode_q5(values: &[f32], out: &mut Vec<u8>) {
    let search = Search { levels: 31, first: -0.5, steps: 15, absolute: false };
    for x in values.as_chunks::<SUPER>().0 {
        let q = encode_groups_of_32(x, &search, out);
        out.extend((0..32).map(|i| (0..8).fold(0, |byte, j| byte | (q[32 * j + i] >> 4) << j)));
        out.extend(pack_nibbles(&q));
    }
}

pub(crate) fn encode_q6(values: &[f32], out: &mut Vec<u8>) {
    for x in values.as_chunks::<SUPER>().0 {
        let groups = x.as_chunks::<16>().0;
        let fits: [f32; 16] = std::array::from_fn(|j| fit_symmetric(&groups[j], 32));
        let max = extreme(&fits);
        let per_unit = if max.abs() < NOTHING { 0.0 } else { -128.0 / max };
        let d = if per_unit == 0.0 { 0.0 } else { 1.0 / per_unit };
        let scales = fits.map(|fit| nearest(per_unit * fit).clamp(-128, 127) as i8);
        let q: [u8; SUPER] =
            std::array::from_fn(|i| (level(x[i], stored(d) * f32::from(scales[i / 16]), 0.0, -32, 31) + 32) as u8);
        let low = |i: usize| {
            let at = i / 64 * 128 + i % 64;
            (q[at] & 15) | (q[at + 64] & 15) << 4
        };
        let high = |i: usize| {
            let at = i / 32 * 128 + i % 32;
            (0..4).fold(0, |byte, k| byte | (q[at + 32 * k] >> 4) << (2 * k))
        };
        out.extend((0..128).map(low));
        out.extend((0..64).map(high));
        out.extend(scales.map(|s| s as u8));
        out.extend(f16::from_f32(d).to_le_bytes());
    }
}
