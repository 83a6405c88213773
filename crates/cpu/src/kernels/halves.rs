//! Products with weights of 16 bits, widened in registers; sums are f32.

use lantern_graph::f16;

use super::quantized::arch::{Arch, Chosen};
use super::tiles::{Kernel, product};

/// Weights that are multiplied as f32.
pub trait Wide {
    type Bits: Copy + Sync;

    fn eight<A: Arch>(arch: A, bits: &[Self::Bits; 8]) -> A::Eight;
    fn one(bits: Self::Bits) -> f32;
}

pub struct F16;
pub struct Bf16;
struct F32;

impl Wide for F16 {
    type Bits = u16;

    #[inline(always)]
    fn eight<A: Arch>(arch: A, bits: &[u16; 8]) -> A::Eight {
        arch.eight_halves(bits)
    }

    #[inline(always)]
    fn one(bits: u16) -> f32 {
        f16::to_f32(bits)
    }
}

impl Wide for Bf16 {
    type Bits = u16;

    #[inline(always)]
    fn eight<A: Arch>(arch: A, bits: &[u16; 8]) -> A::Eight {
        arch.eight_bfloats(bits)
    }

    #[inline(always)]
    fn one(bits: u16) -> f32 {
        f16::bf16_to_f32(bits)
    }
}

impl Wide for F32 {
    type Bits = f32;

    #[inline(always)]
    fn eight<A: Arch>(arch: A, values: &[f32; 8]) -> A::Eight {
        arch.eight(values)
    }

    #[inline(always)]
    fn one(value: f32) -> f32 {
        value
    }
}

struct Rows<'p, W: Wide> {
    x: &'p [f32],
    w: &'p [W::Bits],
    k: usize,
}

/// `x [m, k] · wᵀ` → `[m, n]` for n rows of k weights given by their bits.
pub fn linear<W: Wide>((m, k, n): (usize, usize, usize), arch: Chosen, x: &[f32], w: &[W::Bits], out: &mut [f32]) {
    product(arch, &Rows::<W> { x, w, k }, (m, k, n), out);
}

/// Rows of x from which on halves are widened once for all of them where no instruction does it.
pub const MANY: usize = 8;

/// Weights widened at a time: 256 KiB of f32, inside the second-level cache.
const WIDENED: usize = 1 << 16;

/// What `linear::<F16>` gives, to the bit.
pub fn linear_of_many(
    (m, k, n): (usize, usize, usize),
    arch: Chosen,
    x: &[f32],
    w: &[u16],
    out: &mut [f32],
    space: &mut Vec<f32>,
) {
    let step = (WIDENED / k.max(1)).clamp(1, n.max(1));
    space.resize(step * (k + m), 0.0);
    let (wide, part) = space.split_at_mut(step * k);
    for first in (0..n).step_by(step) {
        let count = step.min(n - first);
        let (wide, part) = (&mut wide[..count * k], &mut part[..m * count]);
        f16::widen(f16::to_f32, &w[first * k..(first + count) * k], wide);
        linear::<F32>((m, k, count), arch, x, wide, part);
        for (part, out) in part.chunks_exact(count).zip(out.chunks_exact_mut(n)) {
            out[first..first + count].copy_from_slice(part);
        }
    }
}

impl<W: Wide> Kernel for Rows<'_, W> {
    #[inline(always)]
    fn run<A: Arch, const R: usize>(&self, arch: A, first_row: usize, column: usize) -> [f32; R] {
        let (w, rest) = self.w[column * self.k..][..self.k].as_chunks::<8>();
        let x: [(&[[f32; 8]], &[f32]); R] =
            std::array::from_fn(|r| self.x[(first_row + r) * self.k..][..self.k].as_chunks());
        let zero = arch.eight(&[0.0; 8]);
        // Up to two sums a row, so that one addition need not wait for the other.
        let other = A::CHAINS - 1;
        let mut sums = [[zero; 2]; R];
        let (pairs, last) = w.as_chunks::<2>();
        for (i, pair) in pairs.iter().enumerate() {
            let weights = [W::eight(arch, &pair[0]), W::eight(arch, &pair[1])];
            for r in 0..R {
                let x = &x[r].0[2 * i..2 * i + 2];
                sums[r][0] = arch.multiply_add(sums[r][0], weights[0], arch.eight(&x[0]));
                sums[r][other] = arch.multiply_add(sums[r][other], weights[1], arch.eight(&x[1]));
            }
        }
        for weights in last {
            let weights = W::eight(arch, weights);
            for r in 0..R {
                sums[r][0] = arch.multiply_add(sums[r][0], weights, arch.eight(&x[r].0[w.len() - 1]));
            }
        }
        let mut results = [0.0; R];
        for r in 0..R {
            let rest: f32 = rest.iter().zip(x[r].1).map(|(w, x)| W::one(*w) * x).sum();
            results[r] = arch.sum_eight(sums[r][0]) + arch.sum_eight(sums[r][1]) + rest;
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::{F16, linear, linear_of_many};
    use crate::kernels::quantized::arch::Chosen;

    /// Several pieces, the last one shorter; columns and rows beside whole blocks.
    #[test]
    fn halves_widened_for_many_rows_give_the_same() {
        let (m, k, n) = (9, 1021, 150);
        let x: Vec<f32> = (0..m * k).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let w: Vec<u16> = (0..n * k).map(|i| (i * 7919 % 0x3c00) as u16 | ((i % 3 == 0) as u16) << 15).collect();
        let (mut each, mut many) = (vec![0.0; m * n], vec![1.0; m * n]);
        linear::<F16>((m, k, n), Chosen::get(), &x, &w, &mut each);
        linear_of_many((m, k, n), Chosen::get(), &x, &w, &mut many, &mut Vec::new());
        assert_eq!(each, many);
        assert!(each.iter().any(|y| *y != 0.0));
    }
}
