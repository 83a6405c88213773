//! What an instruction set does with registers of 32 weights, and which one this processor has.

use super::activations::{GROUP, GROUPS, Int, Super, round};
use super::portable::Portable;
use crate::kernels::tiles::{Items, Kernel, items};

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::simd128::Simd128;

/// An instruction set; a value of it says that the processor has it. [`Portable`] is the definition of what each method gives.
pub trait Arch: Copy {
    /// Sums of a row of `Eight`s that fit the registers, with those of other rows.
    const CHAINS: usize;
    /// Whether a large block's groups are all unpacked, into memory, before they are multiplied: with few registers, what
    /// unpacking takes and what is summed would push each other out.
    const UNPACKS_FIRST: bool;
    /// 32 of u8.
    type Bytes: Copy;
    /// 32 weights' integers, ready to be multiplied.
    type Weights: Copy;
    /// i32s whose sum is a dot product.
    type Dot: Copy;
    /// f32s whose sum is a result.
    type Sums: Copy;
    /// 8 of f32.
    type Eight: Copy;

    fn load(self, bytes: &[u8; 32]) -> Self::Bytes;
    /// The lower four bits of each, then the upper four of each.
    fn nibbles(self, bytes: &[u8; 16]) -> Self::Bytes;
    /// A bit each, from the lowest of the first byte on: 16 where it is set, as the fifth bit of a weight.
    fn fifths(self, bits: &[u8; 4]) -> Self::Bytes;
    /// `byte >> by & mask`. The mask keeps nothing of the upper `by` bits: neighbours may be shifted in there.
    fn right(self, bytes: Self::Bytes, by: u32, mask: u8) -> Self::Bytes;
    /// `byte << by & mask`. The mask keeps nothing of the lower `by` bits.
    fn left(self, bytes: Self::Bytes, by: u32, mask: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;

    /// Bytes below 64 as weights.
    fn unsigned(self, bytes: Self::Bytes) -> Self::Weights;
    /// Bytes below 64, the first 16 times `scales[2 · group]`, the others times `scales[2 · group + 1]`.
    fn scaled(self, bytes: Self::Bytes, scales: &[i8; 16], group: usize) -> Self::Weights;
    /// Weights for `dot_signed`.
    fn signed(self, bytes: &[u8; 32]) -> Self::Weights;
    /// Weights that are not from `signed` times activations of −127 to 127.
    fn dot(self, weights: Self::Weights, x: &[Int; GROUP]) -> Self::Dot;
    fn dot_signed(self, weights: Self::Weights, x: &[Int; GROUP]) -> Self::Dot;

    fn zero(self) -> Self::Sums;
    /// `sums + dot · by`. Neighbouring groups may go into sums of their own, so that one addition need not wait for the other.
    fn add_scaled(self, sums: Self::Sums, dot: Self::Dot, by: f32, group: usize) -> Self::Sums;
    /// `sums + Σ a · b`.
    fn add_products(self, sums: Self::Sums, a: Self::Eight, b: Self::Eight) -> Self::Sums;
    /// `sums + part · by`.
    fn add_sums(self, sums: Self::Sums, part: Self::Sums, by: f32) -> Self::Sums;
    fn sum(self, sums: Self::Sums) -> f32;

    /// Values from here on are read from memory one by one, where that is cheaper than to take a register apart.
    #[inline(always)]
    fn keep<T>(self, _: &mut T) {}

    #[inline(always)]
    fn products(self, a: &[f32; GROUPS], b: &[f32; GROUPS]) -> [f32; GROUPS] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    /// Exact values of halves given by their bits.
    #[inline(always)]
    fn halves(self, bits: &[u16; GROUPS]) -> [f32; GROUPS] {
        bits.map(lantern_graph::f16::to_f32)
    }

    /// `a[2g] · b[2g] + a[2g + 1] · b[2g + 1]` for each group g.
    fn pairs(self, a: &[i8; 2 * GROUPS], b: &[i16; 2 * GROUPS]) -> Self::Eight;
    fn eight(self, values: &[f32; 8]) -> Self::Eight;
    fn eight_halves(self, bits: &[u16; 8]) -> Self::Eight;
    fn eight_bfloats(self, bits: &[u16; 8]) -> Self::Eight;
    /// `sum + a · b`, each of them.
    fn multiply_add(self, sum: Self::Eight, a: Self::Eight, b: Self::Eight) -> Self::Eight;
    fn sum_eight(self, a: Self::Eight) -> f32;
}

/// The instruction set that products run on.
#[derive(Clone, Copy)]
pub enum Chosen {
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(Simd128),
    #[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), allow(dead_code))]
    Portable(Portable),
}

impl Chosen {
    /// The best that this processor has.
    pub fn get() -> Chosen {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::get() {
            return Chosen::Avx2(avx2);
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return Chosen::Simd128(Simd128::get());
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        Chosen::Portable(Portable)
    }

    /// The items of a product, compiled for this instruction set.
    pub fn items<K: Kernel>(self, kernel: &K, part: Items) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Chosen::Avx2(arch) => arch.items(kernel, part),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Chosen::Simd128(arch) => items(arch, kernel, part),
            Chosen::Portable(arch) => items(arch, kernel, part),
        }
    }

    /// Rows of k activations as integers, each into as many supers.
    pub fn round(self, x: &[f32], k: usize, to: &mut [Super]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Chosen::Avx2(arch) => arch.round(x, k, to),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Chosen::Simd128(_) => round(x, k, to),
            Chosen::Portable(_) => round(x, k, to),
        }
    }
}
