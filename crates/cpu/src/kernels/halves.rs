//! Products with weights of 16 bits, widened in registers; sums are f32.

use lantern_graph::f16;

use super::quantized::arch::{Arch, Chosen};
use super::tiles::{Kernel, product};

/// Which 16 bits a weight is.
#[derive(Clone, Copy, PartialEq)]
pub enum Width {
    F16,
    Bf16,
}

struct Rows<'p, const BF16: bool> {
    x: &'p [f32],
    w: &'p [u16],
    k: usize,
}

/// `x [m, k] · wᵀ` → `[m, n]` for n rows of k weights given by their bits.
pub fn linear((m, k, n): (usize, usize, usize), arch: Chosen, x: &[f32], (width, w): (Width, &[u16]), out: &mut [f32]) {
    match width {
        Width::F16 => product(arch, &Rows::<false> { x, w, k }, (m, k, n), out),
        Width::Bf16 => product(arch, &Rows::<true> { x, w, k }, (m, k, n), out),
    }
}

impl<const BF16: bool> Kernel for Rows<'_, BF16> {
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
            let weights = [widen::<A, BF16>(arch, &pair[0]), widen::<A, BF16>(arch, &pair[1])];
            for r in 0..R {
                let x = &x[r].0[2 * i..2 * i + 2];
                sums[r][0] = arch.multiply_add(sums[r][0], weights[0], arch.eight(&x[0]));
                sums[r][other] = arch.multiply_add(sums[r][other], weights[1], arch.eight(&x[1]));
            }
        }
        for weights in last {
            let weights = widen::<A, BF16>(arch, weights);
            for r in 0..R {
                sums[r][0] = arch.multiply_add(sums[r][0], weights, arch.eight(&x[r].0[w.len() - 1]));
            }
        }
        let mut results = [0.0; R];
        for r in 0..R {
            let value = if BF16 { f16::bf16_to_f32 } else { f16::to_f32 };
            let rest: f32 = rest.iter().zip(x[r].1).map(|(w, x)| value(*w) * x).sum();
            results[r] = arch.sum_eight(sums[r][0]) + arch.sum_eight(sums[r][1]) + rest;
        }
        results
    }
}

#[inline(always)]
fn widen<A: Arch, const BF16: bool>(arch: A, bits: &[u16; 8]) -> A::Eight {
    if BF16 { arch.eight_bfloats(bits) } else { arch.eight_halves(bits) }
}
