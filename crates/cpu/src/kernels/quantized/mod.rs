//! Products with quantized weights, in integers.
//!
//! Activations are rounded to int8 in groups of 32 with a scale each ([`activations`]). A weight's type says how 32 of its
//! integers are unpacked, and what scales and minimums they have ([`types`]); an instruction set says how registers of 32 are
//! taken apart and multiplied ([`arch`]). `rows` brings them together, so a new type needs only its unpacking and a new
//! instruction set only its registers. What is unpacked once serves several rows of activations.
//!
//! A result is a sum over the row's groups in the file's order, whatever rows and columns are beside it: prefill equals decode
//! to the last bit.

pub(crate) mod activations;
pub(crate) mod arch;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
pub(crate) mod types;

use super::tiles::{Kernel, product};
use activations::{Activations, GROUP, GROUPS, Super};
use arch::{Arch, Chosen};
use types::{Factors, Packed};

/// `x [m, k] · wᵀ` → `[m, n]` for n rows of k weights, with x rounded to integers. `w` holds whole rows of whole blocks.
pub(crate) fn linear<T: Packed>(
    (m, k, n): (usize, usize, usize),
    arch: Chosen,
    x: &[f32],
    w: &[T],
    out: &mut [f32],
    space: &mut Activations,
) {
    if k == 0 || m * n == 0 {
        return out.fill(0.0);
    }
    let x = space.round(arch, x, k);
    let rows = Rows { x, supers: x.len() / m, w, blocks: k / (T::GROUPS * GROUP) };
    product(arch, &rows, (m, k, n), out);
}

/// What every tile of a product reads.
struct Rows<'p, T> {
    x: &'p [Super],
    /// Of a row of x.
    supers: usize,
    w: &'p [T],
    /// Of a row of w.
    blocks: usize,
}

impl<T: Packed> Kernel for Rows<'_, T> {
    #[inline(always)]
    fn run<A: Arch, const R: usize>(&self, arch: A, first_row: usize, column: usize) -> [f32; R] {
        let x = std::array::from_fn(|r| &self.x[(first_row + r) * self.supers..][..self.supers]);
        rows::<A, T, R>(arch, &self.w[column * self.blocks..][..self.blocks], x)
    }
}

/// One row of weights times R rows of activations.
#[inline(always)]
fn rows<A: Arch, T: Packed, const R: usize>(arch: A, w: &[T], x: [&[Super]; R]) -> [f32; R] {
    let mut sums = [arch.zero(); R];
    for (i, blocks) in w.chunks(GROUPS / T::GROUPS).enumerate() {
        let x: [&Super; R] = std::array::from_fn(|r| &x[r][i]);
        let factors = T::factors(arch, blocks);
        let mut scales = [[0.0; GROUPS]; R];
        for r in 0..R {
            if T::MINIMUMS > 0 {
                sums[r] = arch.add_products(sums[r], &factors.minimums[0], &x[r].sums[0]);
            }
            if T::MINIMUMS > 1 {
                sums[r] = arch.add_products(sums[r], &factors.minimums[1], &x[r].sums[1]);
            }
            scales[r] = arch.products(&factors.scales, &x[r].scales);
        }
        if T::GROUPS == GROUPS {
            // Where a group lies in its block, and by how much it is shifted, is known to the compiler.
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 0, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 1, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 2, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 3, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 4, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 5, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 6, &mut sums);
            group::<A, T, R>(arch, blocks, &factors, &x, &scales, 7, &mut sums);
        } else {
            for g in 0..blocks.len() {
                group::<A, T, R>(arch, blocks, &factors, &x, &scales, g, &mut sums);
            }
        }
    }
    let mut results = [0.0; R];
    for r in 0..R {
        results[r] = arch.sum(sums[r]);
    }
    results
}

/// Adds the products of 32 weights to each row's sums.
#[inline(always)]
fn group<A: Arch, T: Packed, const R: usize>(
    arch: A,
    blocks: &[T],
    factors: &Factors,
    x: &[&Super; R],
    scales: &[[f32; GROUPS]; R],
    g: usize,
    sums: &mut [A::Sums; R],
) {
    let weights = T::unpack(arch, blocks, factors, g);
    for r in 0..R {
        let x = &x[r].integers[g];
        let dot = if T::SIGNED { arch.dot_signed(weights, x) } else { arch.dot(weights, x) };
        sums[r] = arch.add_scaled(sums[r], dot, scales[r][g]);
    }
}

#[cfg(test)]
mod tests;
