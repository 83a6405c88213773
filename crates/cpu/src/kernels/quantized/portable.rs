//! The definition, without instructions of any processor's own.

use lantern_graph::f16;

use super::activations::{GROUP, GROUPS, Int};
use super::arch::Arch;

#[derive(Clone, Copy)]
pub struct Portable;

impl Arch for Portable {
    const CHAINS: usize = 1;
    const UNPACKS_FIRST: bool = false;
    type Bytes = [u8; 32];
    type Weights = [i16; 32];
    type Dot = i32;
    type Sums = f32;
    type Eight = [f32; 8];

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> [u8; 32] {
        *bytes
    }

    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16]) -> [u8; 32] {
        std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
    }

    #[inline(always)]
    fn fifths(self, bits: &[u8; 4]) -> [u8; 32] {
        std::array::from_fn(|i| (bits[i / 8] >> (i % 8) & 1) << 4)
    }

    #[inline(always)]
    fn right(self, bytes: [u8; 32], by: u32, mask: u8) -> [u8; 32] {
        bytes.map(|byte| byte >> by & mask)
    }

    #[inline(always)]
    fn left(self, bytes: [u8; 32], by: u32, mask: u8) -> [u8; 32] {
        bytes.map(|byte| byte << by & mask)
    }

    #[inline(always)]
    fn or(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn unsigned(self, bytes: [u8; 32]) -> [i16; 32] {
        bytes.map(i16::from)
    }

    #[inline(always)]
    fn scaled(self, bytes: [u8; 32], scales: &[i8; 16], group: usize) -> [i16; 32] {
        std::array::from_fn(|i| i16::from(bytes[i]) * i16::from(scales[2 * group + i / 16]))
    }

    #[inline(always)]
    fn signed(self, bytes: &[u8; 32]) -> [i16; 32] {
        bytes.map(|byte| i16::from(byte as i8))
    }

    #[inline(always)]
    fn dot(self, weights: [i16; 32], x: &[Int; GROUP]) -> i32 {
        weights.iter().zip(x).map(|(w, x)| i32::from(*w) * i32::from(*x)).sum()
    }

    #[inline(always)]
    fn dot_signed(self, weights: [i16; 32], x: &[Int; GROUP]) -> i32 {
        self.dot(weights, x)
    }

    #[inline(always)]
    fn zero(self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn add_scaled(self, sums: f32, dot: i32, by: f32, _: usize) -> f32 {
        sums + dot as f32 * by
    }

    #[inline(always)]
    fn add_products(self, sums: f32, a: [f32; 8], b: [f32; 8]) -> f32 {
        sums + self.products(&a, &b).iter().sum::<f32>()
    }

    #[inline(always)]
    fn add_sums(self, sums: f32, part: f32, by: f32) -> f32 {
        sums + part * by
    }

    #[inline(always)]
    fn sum(self, sums: f32) -> f32 {
        sums
    }

    #[inline(always)]
    fn pairs(self, a: &[i8; 2 * GROUPS], b: &[i16; 2 * GROUPS]) -> [f32; 8] {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        std::array::from_fn(|g| (product(2 * g) + product(2 * g + 1)) as f32)
    }

    #[inline(always)]
    fn eight(self, values: &[f32; 8]) -> [f32; 8] {
        *values
    }

    #[inline(always)]
    fn eight_halves(self, bits: &[u16; 8]) -> [f32; 8] {
        bits.map(f16::to_f32)
    }

    #[inline(always)]
    fn eight_bfloats(self, bits: &[u16; 8]) -> [f32; 8] {
        bits.map(f16::bf16_to_f32)
    }

    #[inline(always)]
    fn multiply_add(self, sum: [f32; 8], a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| sum[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn sum_eight(self, [a, b, c, d, e, f, g, h]: [f32; 8]) -> f32 {
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
