//! Rotations that spread outliers over all inputs: x → (x · signs)H / √n, undone exactly by its transpose. Tseng et al. 2024,
//! "QuIP#", arXiv 2402.04396; Ashkboos et al. 2024, "QuaRot", arXiv 2404.00456.
//!
//! Hadamard matrices (entries ±1, rows orthogonal) of 2^k, and by Paley's two constructions (1933) of q + 1 for primes q of
//! 4j + 3 and of 2(q + 1) for primes of 4j + 1: 12, 20, 28, 44 … and their products with 2^k. A width without one (172) is cut
//! into parts that have one (168 + 4), largest first.

use lantern_graph::{Error, Result};

/// A random rotation of n numbers; the same for the same n and seed, everywhere.
#[derive(Debug, Clone)]
pub struct Rotation {
    signs: Vec<f64>,
    parts: Vec<Part>,
}

/// A Hadamard matrix H_{2^k} ⊗ P.
#[derive(Debug, Clone)]
struct Part {
    size: usize,
    /// P, `[order, order]`; empty where the order is 1.
    base: Vec<f64>,
    order: usize,
}

/// Largest Paley factor: applying one costs its order for each number.
const MAX_ORDER: usize = 512;

impl Rotation {
    /// # Errors
    /// `compress.size` for n = 0.
    pub fn new(n: usize, seed: u64) -> Result<Self> {
        if n == 0 {
            return Err(Error::new("compress.size", "a rotation of no numbers", "rotate one or more"));
        }
        let mut parts = Vec::new();
        let mut left = n;
        while left > 0 {
            // 1 and 2 always have one, so this ends.
            let part = (1..=left).rev().find_map(Part::new).expect("1 has a Hadamard matrix");
            left -= part.size;
            parts.push(part);
        }
        let mut state = seed;
        let signs = (0..n).map(|_| if splitmix(&mut state) >> 63 == 0 { 1.0 } else { -1.0 }).collect();
        Ok(Self { signs, parts })
    }

    pub fn n(&self) -> usize {
        self.signs.len()
    }

    /// Sizes of the Hadamard matrices on the diagonal.
    pub fn parts(&self) -> Vec<usize> {
        self.parts.iter().map(|part| part.size).collect()
    }

    /// Rotates each row of `x`, `[rows, n]`. Rows that are broken off stay as they are.
    pub fn apply(&self, x: &mut [f64]) {
        for row in x.chunks_exact_mut(self.n()) {
            row.iter_mut().zip(&self.signs).for_each(|(v, sign)| *v *= sign);
            self.multiply(row, false);
        }
    }

    /// Undoes [`Rotation::apply`].
    pub fn apply_inverse(&self, x: &mut [f64]) {
        for row in x.chunks_exact_mut(self.n()) {
            self.multiply(row, true);
            row.iter_mut().zip(&self.signs).for_each(|(v, sign)| *v *= sign);
        }
    }

    fn multiply(&self, row: &mut [f64], transposed: bool) {
        let mut rest = row;
        for part in &self.parts {
            let (mine, others) = rest.split_at_mut(part.size);
            part.multiply(mine, transposed);
            rest = others;
        }
    }
}

impl Part {
    fn new(size: usize) -> Option<Self> {
        let twos = size.trailing_zeros();
        // As many twos as possible by the fast transform: the smallest Paley factor.
        (0..=twos).rev().find_map(|k| {
            let order = size >> k;
            if order == 1 {
                return Some(Self { size, base: Vec::new(), order });
            }
            if order > MAX_ORDER {
                return None;
            }
            paley(order).map(|base| Self { size, base, order })
        })
    }

    /// row · (H ⊗ P) / √size, or its transpose.
    fn multiply(&self, row: &mut [f64], transposed: bool) {
        let m = self.order;
        if m > 1 {
            let mut out = vec![0.0; m];
            for chunk in row.chunks_exact_mut(m) {
                out.fill(0.0);
                for (i, v) in chunk.iter().enumerate() {
                    for (j, o) in out.iter_mut().enumerate() {
                        *o += v * if transposed { self.base[j * m + i] } else { self.base[i * m + j] };
                    }
                }
                chunk.copy_from_slice(&out);
            }
        }
        // Sylvester's matrix is symmetric.
        let mut half = m;
        while half < self.size {
            for pair in row.chunks_exact_mut(2 * half) {
                let (low, high) = pair.split_at_mut(half);
                for (a, b) in low.iter_mut().zip(high) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            half *= 2;
        }
        let scale = 1.0 / (self.size as f64).sqrt();
        row.iter_mut().for_each(|v| *v *= scale);
    }
}

/// A Hadamard matrix of this order by Paley's first or second construction, row-major.
fn paley(order: usize) -> Option<Vec<f64>> {
    if !order.is_multiple_of(4) {
        return None;
    }
    if is_prime(order - 1) && (order - 1) % 4 == 3 {
        // I + S with S = [0 1; −1 Q] skew.
        let q = order - 1;
        let squares = squares(q);
        let entry = |i: usize, j: usize| match (i, j) {
            (0, _) => 1.0,
            (_, 0) => -1.0,
            (i, j) if i == j => 1.0,
            (i, j) => chi(&squares, q + i - j),
        };
        return Some((0..order * order).map(|k| entry(k / order, k % order)).collect());
    }
    let q = order / 2 - 1;
    if is_prime(q) && q % 4 == 1 {
        // C = [0 1; 1 Q] symmetric; each entry ±1 becomes ±[1 1; 1 −1], each 0 becomes [1 −1; −1 −1].
        let squares = squares(q);
        let conference = |i: usize, j: usize| match (i, j) {
            (i, j) if i == j => 0.0,
            (0, _) | (_, 0) => 1.0,
            (i, j) => chi(&squares, q + i - j),
        };
        let entry = |i: usize, j: usize| match (conference(i / 2, j / 2), i % 2, j % 2) {
            (0.0, 0, 0) => 1.0,
            (0.0, _, _) => -1.0,
            (c, 1, 1) => -c,
            (c, _, _) => c,
        };
        return Some((0..order * order).map(|k| entry(k / order, k % order)).collect());
    }
    None
}

fn is_prime(n: usize) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// Which residues modulo q are squares of others than 0.
fn squares(q: usize) -> Vec<bool> {
    let mut squares = vec![false; q];
    (1..q).for_each(|a| squares[a * a % q] = true);
    squares
}

/// The quadratic character of a modulo q.
fn chi(squares: &[bool], a: usize) -> f64 {
    match a % squares.len() {
        0 => 0.0,
        a if squares[a] => 1.0,
        _ => -1.0,
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): signs that are the same on every machine.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matrix_has_orthogonal_rows_of_signs() {
        for order in [4, 8, 12, 20, 24, 28, 32, 36, 44, 60, 76, 84, 108] {
            let h = paley(order).unwrap_or_else(|| panic!("{order}"));
            assert!(h.iter().all(|v| v.abs() == 1.0), "{order}");
            for (i, a) in h.chunks(order).enumerate() {
                for (j, b) in h.chunks(order).enumerate() {
                    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    assert_eq!(dot, if i == j { order as f64 } else { 0.0 }, "{order}: {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn a_rotation_keeps_lengths_and_its_inverse_undoes_it() {
        for (n, parts) in [(1, vec![1]), (64, vec![64]), (172, vec![168, 4]), (288, vec![288]), (13, vec![12, 1])] {
            let rotation = Rotation::new(n, 7).unwrap();
            assert_eq!(rotation.parts(), parts);
            let x: Vec<f64> =
                (0..2 * n).map(|i| ((i * 31 % 17) as f64 - 8.0) * if i == 4 { 50.0 } else { 1.0 }).collect();
            let mut y = x.clone();
            rotation.apply(&mut y);
            let energy = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
            assert!((energy(&y[..n]) - energy(&x[..n])).abs() < 1e-9 * energy(&x[..n]));
            if n == 64 {
                let peak = |v: &[f64]| v.iter().fold(0f64, |m, v| m.max(v.abs()));
                assert!(peak(&y[..n]) < 0.5 * peak(&x[..n]), "an outlier is spread");
            }
            rotation.apply_inverse(&mut y);
            assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-10), "{n}");
        }
        assert_eq!(Rotation::new(0, 0).unwrap_err().code, "compress.size");
    }

    #[test]
    fn the_seed_decides() {
        let signs = |seed| Rotation::new(64, seed).unwrap().signs;
        assert_eq!(signs(1), signs(1));
        assert_ne!(signs(1), signs(2));
    }
}
