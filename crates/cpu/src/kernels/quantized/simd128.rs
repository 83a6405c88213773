//! WebAssembly's vectors of 128 bits. Weights and activations are multiplied as 16 bits: pairs of products are added by one
//! instruction, and activations need no widening.

use core::arch::wasm32::*;

use super::activations::{GROUP, GROUPS, Int};
use super::arch::Arch;

/// Whether an engine has these instructions is decided when the module is compiled.
#[derive(Clone, Copy)]
pub struct Simd128(());

impl Simd128 {
    pub fn get() -> Simd128 {
        Simd128(())
    }
}

/// # Safety
/// 16 bytes may be read there.
#[inline(always)]
unsafe fn load<T>(at: *const T) -> v128 {
    unsafe { v128_load(at.cast()) }
}

#[inline(always)]
fn fold(x: v128) -> f32 {
    let two = f32x4_add(x, i32x4_shuffle::<2, 3, 2, 3>(x, x));
    f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
}

/// Halves in the lower 16 bits of four lanes, infinities and NaNs among them.
#[cold]
fn four_halves(bits: v128) -> v128 {
    let magnitude = v128_and(bits, u32x4_splat(0x7fff));
    let shifted = u32x4_shl(magnitude, 13);
    // Moves the exponent's bias from 15 to 127; exact for subnormals too, since the product is normal.
    let scaled = f32x4_mul(shifted, f32x4_splat(f32::from_bits((127 + 112) << 23)));
    let special = u32x4_ge(magnitude, u32x4_splat(0x7c00));
    let value = v128_or(scaled, v128_and(special, u32x4_splat(0x7f80_0000)));
    v128_or(value, u32x4_shl(v128_and(bits, u32x4_splat(0x8000)), 16))
}

impl Arch for Simd128 {
    const CHAINS: usize = 1;
    const UNPACKS_FIRST: bool = true;
    type Bytes = [v128; 2];
    /// Eight of i16 each.
    type Weights = [v128; 4];
    type Dot = v128;
    type Sums = v128;
    type Eight = [v128; 2];

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> [v128; 2] {
        // SAFETY: both are inside of the array.
        unsafe { [load(bytes.as_ptr()), load(bytes.as_ptr().add(16))] }
    }

    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16]) -> [v128; 2] {
        // SAFETY: it is all of the array.
        let both = unsafe { load(bytes.as_ptr()) };
        self.masked([both, u16x8_shr(both, 4)], 15)
    }

    #[inline(always)]
    fn fifths(self, bits: &[u8; 4]) -> [v128; 2] {
        let all = u32x4_splat(u32::from_le_bytes(*bits));
        let each = [
            i8x16_shuffle::<0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1>(all, all),
            i8x16_shuffle::<2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3>(all, all),
        ];
        let bit = u64x2_splat(0x8040_2010_0804_0201);
        each.map(|each| v128_and(i8x16_eq(v128_and(each, bit), bit), u8x16_splat(16)))
    }

    #[inline(always)]
    fn right(self, bytes: [v128; 2], by: u32, mask: u8) -> [v128; 2] {
        self.masked(bytes.map(|bytes| u16x8_shr(bytes, by)), mask)
    }

    #[inline(always)]
    fn left(self, bytes: [v128; 2], by: u32, mask: u8) -> [v128; 2] {
        self.masked(bytes.map(|bytes| u16x8_shl(bytes, by)), mask)
    }

    #[inline(always)]
    fn or(self, a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [v128_or(a[0], b[0]), v128_or(a[1], b[1])]
    }

    #[inline(always)]
    fn unsigned(self, [a, b]: [v128; 2]) -> [v128; 4] {
        [i16x8_extend_low_u8x16(a), i16x8_extend_high_u8x16(a), i16x8_extend_low_u8x16(b), i16x8_extend_high_u8x16(b)]
    }

    /// At most 63 · 128: an i16.
    #[inline(always)]
    fn scaled(self, bytes: [v128; 2], scales: &[i8; 16], group: usize) -> [v128; 4] {
        let [a, b, c, d] = self.unsigned(bytes);
        let [first, second] = [0, 1].map(|half| i16x8_splat(i16::from(scales[2 * group + half])));
        [i16x8_mul(a, first), i16x8_mul(b, first), i16x8_mul(c, second), i16x8_mul(d, second)]
    }

    #[inline(always)]
    fn signed(self, bytes: &[u8; 32]) -> [v128; 4] {
        // SAFETY: each eight bytes are inside of the array.
        [0, 8, 16, 24].map(|at| unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().add(at).cast()) })
    }

    #[inline(always)]
    fn dot(self, [a, b, c, d]: [v128; 4], x: &[Int; GROUP]) -> v128 {
        // SAFETY: each eight i16s are inside of the array.
        let x = |at: usize| unsafe { load(x.as_ptr().add(at)) };
        let first = i32x4_add(i32x4_dot_i16x8(a, x(0)), i32x4_dot_i16x8(b, x(8)));
        let second = i32x4_add(i32x4_dot_i16x8(c, x(16)), i32x4_dot_i16x8(d, x(24)));
        i32x4_add(first, second)
    }

    #[inline(always)]
    fn dot_signed(self, weights: [v128; 4], x: &[Int; GROUP]) -> v128 {
        self.dot(weights, x)
    }

    #[inline(always)]
    fn zero(self) -> v128 {
        f32x4_splat(0.0)
    }

    #[inline(always)]
    fn add_scaled(self, sums: v128, dot: v128, by: f32, _: usize) -> v128 {
        f32x4_add(sums, f32x4_mul(f32x4_convert_i32x4(dot), f32x4_splat(by)))
    }

    #[inline(always)]
    fn add_products(self, sums: v128, a: [v128; 2], b: [v128; 2]) -> v128 {
        let [first, second] = self.multiply(a, b);
        f32x4_add(sums, f32x4_add(first, second))
    }

    #[inline(always)]
    fn add_sums(self, sums: v128, part: v128, by: f32) -> v128 {
        f32x4_add(sums, f32x4_mul(part, f32x4_splat(by)))
    }

    #[inline(always)]
    fn sum(self, sums: v128) -> f32 {
        fold(sums)
    }

    #[inline(always)]
    fn products(self, a: &[f32; GROUPS], b: &[f32; GROUPS]) -> [f32; GROUPS] {
        self.stored(self.multiply(self.eight(a), self.eight(b)))
    }

    #[inline(always)]
    fn halves(self, bits: &[u16; GROUPS]) -> [f32; GROUPS] {
        self.stored(self.eight_halves(bits))
    }

    #[inline(always)]
    fn pairs(self, a: &[i8; 2 * GROUPS], b: &[i16; 2 * GROUPS]) -> [v128; 2] {
        // SAFETY: each eight integers are inside of the arrays.
        let [first, second] = [0, 8].map(|at| unsafe {
            let a = i16x8_load_extend_i8x8(a.as_ptr().add(at));
            i32x4_dot_i16x8(a, load(b.as_ptr().add(at)))
        });
        [f32x4_convert_i32x4(first), f32x4_convert_i32x4(second)]
    }

    #[inline(always)]
    fn eight(self, values: &[f32; 8]) -> [v128; 2] {
        // SAFETY: both are inside of the array.
        unsafe { [load(values.as_ptr()), load(values.as_ptr().add(4))] }
    }

    #[inline(always)]
    fn eight_halves(self, bits: &[u16; 8]) -> [v128; 2] {
        // SAFETY: it is all of the array.
        let bits = unsafe { load(bits.as_ptr()) };
        let special = u16x8_ge(v128_and(bits, u16x8_splat(0x7fff)), u16x8_splat(0x7c00));
        if v128_any_true(special) {
            return [four_halves(u32x4_extend_low_u16x8(bits)), four_halves(u32x4_extend_high_u16x8(bits))];
        }
        [u32x4_extend_low_u16x8(bits), u32x4_extend_high_u16x8(bits)].map(|bits| {
            // The sign stays above; the exponent's bias is moved as in `four_halves`.
            let shifted = v128_and(i32x4_shr(u32x4_shl(bits, 16), 3), u32x4_splat(0x8fff_e000));
            f32x4_mul(shifted, f32x4_splat(f32::from_bits((127 + 112) << 23)))
        })
    }

    #[inline(always)]
    fn eight_bfloats(self, bits: &[u16; 8]) -> [v128; 2] {
        // SAFETY: it is all of the array.
        let bits = unsafe { load(bits.as_ptr()) };
        [u32x4_shl(u32x4_extend_low_u16x8(bits), 16), u32x4_shl(u32x4_extend_high_u16x8(bits), 16)]
    }

    #[inline(always)]
    fn multiply_add(self, sum: [v128; 2], a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        let [first, second] = self.multiply(a, b);
        [f32x4_add(sum[0], first), f32x4_add(sum[1], second)]
    }

    #[inline(always)]
    fn sum_eight(self, [first, second]: [v128; 2]) -> f32 {
        fold(f32x4_add(first, second))
    }
}

impl Simd128 {
    #[inline(always)]
    fn masked(self, bytes: [v128; 2], mask: u8) -> [v128; 2] {
        bytes.map(|bytes| v128_and(bytes, u8x16_splat(mask)))
    }

    #[inline(always)]
    fn multiply(self, a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [f32x4_mul(a[0], b[0]), f32x4_mul(a[1], b[1])]
    }

    #[inline(always)]
    fn stored(self, [first, second]: [v128; 2]) -> [f32; 8] {
        let mut values = [0.0; 8];
        // SAFETY: both are inside of the array.
        unsafe {
            v128_store(values.as_mut_ptr().cast(), first);
            v128_store(values.as_mut_ptr().add(4).cast(), second);
        }
        values
    }
}
