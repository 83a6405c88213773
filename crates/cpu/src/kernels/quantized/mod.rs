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
use types::{Minimums, Packed};

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
        let halves = T::MINIMUMS == Minimums::Halves;
        // Where halves have integers as scales, the block's own scale comes last.
        let mut parts = if halves { [arch.zero(); R] } else { sums };
        let mut products = [[0.0; GROUPS]; R];
        for r in 0..R {
            let x = x[r];
            match T::MINIMUMS {
                Minimums::None => {}
                Minimums::Groups => {
                    parts[r] = arch.add_products(parts[r], arch.eight(&factors.minimums), arch.eight(&x.sums));
                }
                Minimums::Halves => {
                    let added = arch.pairs(&factors.half_minimums, &x.halves);
                    let added = arch.multiply_add(arch.eight(&[0.0; GROUPS]), added, arch.eight(&x.scales));
                    sums[r] = arch.add_products(sums[r], added, arch.eight(&[factors.minimum; GROUPS]));
                }
            }
            if !halves {
                products[r] = arch.products(&factors.scales, &x.scales);
            }
        }
        arch.keep(&mut products);
        let mut scales = [&products[0]; R];
        for r in 0..R {
            scales[r] = if halves { &x[r].scales } else { &products[r] };
        }
        // Where a group lies in its block, and by how much it is shifted, is known to the compiler where g is a number.
        macro_rules! unpack {
            ($g:expr) => {
                T::unpack(arch, blocks, &factors, $g)
            };
        }
        macro_rules! add {
            ($g:expr, $weights:expr) => {
                add::<A, T, R>(arch, $weights, &x, &scales, $g, &mut parts)
            };
        }
        if T::GROUPS == GROUPS && A::UNPACKS_FIRST {
            let mut weights =
                [unpack!(0), unpack!(1), unpack!(2), unpack!(3), unpack!(4), unpack!(5), unpack!(6), unpack!(7)];
            std::hint::black_box(&mut weights);
            for (g, weights) in weights.iter().enumerate() {
                add!(g, *weights);
            }
        } else if T::GROUPS == GROUPS {
            add!(0, unpack!(0));
            add!(1, unpack!(1));
            add!(2, unpack!(2));
            add!(3, unpack!(3));
            add!(4, unpack!(4));
            add!(5, unpack!(5));
            add!(6, unpack!(6));
            add!(7, unpack!(7));
        } else {
            let pairs = blocks.len() / 2;
            for pair in 0..pairs {
                add!(2 * pair, unpack!(2 * pair));
                add!(2 * pair + 1, unpack!(2 * pair + 1));
            }
            if blocks.len() > 2 * pairs {
                add!(2 * pairs, unpack!(2 * pairs));
            }
        }
        for r in 0..R {
            sums[r] = if halves { arch.add_sums(sums[r], parts[r], factors.scale) } else { parts[r] };
        }
    }
    let mut results = [0.0; R];
    for r in 0..R {
        results[r] = arch.sum(sums[r]);
    }
    results
}

/// Adds the products of a group's weights to each row's sums.
#[inline(always)]
fn add<A: Arch, T: Packed, const R: usize>(
    arch: A,
    weights: A::Weights,
    x: &[&Super; R],
    scales: &[&[f32; GROUPS]; R],
    g: usize,
    sums: &mut [A::Sums; R],
) {
    for r in 0..R {
        let x = &x[r].integers[g];
        let dot = if T::SIGNED { arch.dot_signed(weights, x) } else { arch.dot(weights, x) };
        sums[r] = arch.add_scaled(sums[r], dot, scales[r][g], g);
    }
}

#[cfg(test)]
mod tests;
