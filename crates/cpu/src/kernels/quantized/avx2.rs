//! AVX2 with FMA and conversions of halves: every x86-64 processor since 2015, or nearly.

use std::arch::x86_64::*;

use super::activations::{GROUP, GROUPS, Int, Super, round};
use super::arch::Arch;
use crate::kernels::tiles::{Items, Kernel, items};

/// There is one only where the processor has these instructions: every `unsafe` here rests on that, and on references to as
/// many bytes as are read.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    pub fn get() -> Option<Avx2> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has.then_some(Avx2(()))
    }

    pub fn items<K: Kernel>(self, kernel: &K, part: Items) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<K: Kernel>(arch: Avx2, kernel: &K, part: Items) {
            items(arch, kernel, part);
        }
        // SAFETY: the processor has the instructions.
        unsafe { compiled(self, kernel, part) }
    }

    pub fn round(self, x: &[f32], k: usize, to: &mut [Super]) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled(x: &[f32], k: usize, to: &mut [Super]) {
            round(x, k, to);
        }
        // SAFETY: the processor has the instructions.
        unsafe { compiled(x, k, to) }
    }
}

/// Weights as bytes, and what pairs of their products are multiplied by before they are added.
#[derive(Clone, Copy)]
pub struct Weights {
    /// Magnitudes, where weights are signed.
    bytes: __m256i,
    /// 16 of i16; the weights themselves where they are signed.
    by: __m256i,
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn fold(x: __m256) -> f32 {
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

impl Arch for Avx2 {
    const CHAINS: usize = 2;
    const UNPACKS_FIRST: bool = false;
    type Bytes = __m256i;
    type Weights = Weights;
    type Dot = __m256i;
    type Sums = [__m256; 2];
    type Eight = __m256;

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> __m256i {
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16]) -> __m256i {
        unsafe {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            let both = _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
            _mm256_and_si256(both, _mm256_set1_epi8(15))
        }
    }

    #[inline(always)]
    fn fifths(self, bits: &[u8; 4]) -> __m256i {
        unsafe {
            let all = _mm256_set1_epi32(i32::from_le_bytes(*bits));
            let (lower, upper) = (0x0101_0101_0101_0101, 0x0303_0303_0303_0303);
            let each = _mm256_shuffle_epi8(all, _mm256_setr_epi64x(0, lower, 0x0202_0202_0202_0202, upper));
            let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
            let set = _mm256_cmpeq_epi8(_mm256_and_si256(each, bit), bit);
            _mm256_and_si256(set, _mm256_set1_epi8(16))
        }
    }

    #[inline(always)]
    fn right(self, bytes: __m256i, by: u32, mask: u8) -> __m256i {
        unsafe { _mm256_and_si256(_mm256_srl_epi16(bytes, _mm_cvtsi32_si128(by as i32)), _mm256_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    fn left(self, bytes: __m256i, by: u32, mask: u8) -> __m256i {
        unsafe { _mm256_and_si256(_mm256_sll_epi16(bytes, _mm_cvtsi32_si128(by as i32)), _mm256_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    fn unsigned(self, bytes: __m256i) -> Weights {
        Weights { bytes, by: unsafe { _mm256_set1_epi16(1) } }
    }

    #[inline(always)]
    fn scaled(self, bytes: __m256i, scales: &[i8; 16], group: usize) -> Weights {
        unsafe {
            let all = _mm256_cvtepi8_epi16(_mm_loadu_si128(scales.as_ptr().cast()));
            // Eight scales in both lanes, of which a lane takes one of the group's two.
            let eight = if group < 4 {
                _mm256_permute2x128_si256(all, all, 0x00)
            } else {
                _mm256_permute2x128_si256(all, all, 0x11)
            };
            let first = 0x0100_0100_0100_0100 + 0x0404_0404_0404_0404 * (group % 4) as i64;
            let second = first + 0x0202_0202_0202_0202;
            Weights { bytes, by: _mm256_shuffle_epi8(eight, _mm256_setr_epi64x(first, first, second, second)) }
        }
    }

    #[inline(always)]
    fn signed(self, bytes: &[u8; 32]) -> Weights {
        let bytes = self.load(bytes);
        Weights { bytes: unsafe { _mm256_abs_epi8(bytes) }, by: bytes }
    }

    /// Two products of at most 63 · 127 fit an i16.
    #[inline(always)]
    fn dot(self, weights: Weights, x: &[Int; GROUP]) -> __m256i {
        unsafe {
            let x = _mm256_loadu_si256(x.as_ptr().cast());
            _mm256_madd_epi16(weights.by, _mm256_maddubs_epi16(weights.bytes, x))
        }
    }

    /// Two products of at most 128 · 127 fit an i16.
    #[inline(always)]
    fn dot_signed(self, weights: Weights, x: &[Int; GROUP]) -> __m256i {
        unsafe {
            let x = _mm256_sign_epi8(_mm256_loadu_si256(x.as_ptr().cast()), weights.by);
            _mm256_madd_epi16(_mm256_set1_epi16(1), _mm256_maddubs_epi16(weights.bytes, x))
        }
    }

    #[inline(always)]
    fn zero(self) -> [__m256; 2] {
        unsafe { [_mm256_setzero_ps(); 2] }
    }

    #[inline(always)]
    fn add_scaled(self, [even, odd]: [__m256; 2], dot: __m256i, by: f32, group: usize) -> [__m256; 2] {
        let (dot, by) = unsafe { (_mm256_cvtepi32_ps(dot), _mm256_set1_ps(by)) };
        if group.is_multiple_of(2) {
            [self.multiply_add(even, dot, by), odd]
        } else {
            [even, self.multiply_add(odd, dot, by)]
        }
    }

    #[inline(always)]
    fn add_products(self, [even, odd]: [__m256; 2], a: __m256, b: __m256) -> [__m256; 2] {
        [even, self.multiply_add(odd, a, b)]
    }

    #[inline(always)]
    fn add_sums(self, sums: [__m256; 2], part: [__m256; 2], by: f32) -> [__m256; 2] {
        let by = unsafe { _mm256_set1_ps(by) };
        [self.multiply_add(sums[0], part[0], by), self.multiply_add(sums[1], part[1], by)]
    }

    /// Two shuffles for each value otherwise, where a load fills a register with it.
    #[inline(always)]
    fn keep<T>(self, values: &mut T) {
        std::hint::black_box(values);
    }

    #[inline(always)]
    fn sum(self, [even, odd]: [__m256; 2]) -> f32 {
        unsafe { fold(_mm256_add_ps(even, odd)) }
    }

    #[inline(always)]
    fn halves(self, bits: &[u16; GROUPS]) -> [f32; GROUPS] {
        let mut values = [0.0; GROUPS];
        unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.eight_halves(bits)) };
        values
    }

    #[inline(always)]
    fn pairs(self, a: &[i8; 2 * GROUPS], b: &[i16; 2 * GROUPS]) -> __m256 {
        unsafe {
            let a = _mm256_cvtepi8_epi16(_mm_loadu_si128(a.as_ptr().cast()));
            _mm256_cvtepi32_ps(_mm256_madd_epi16(a, _mm256_loadu_si256(b.as_ptr().cast())))
        }
    }

    #[inline(always)]
    fn eight(self, values: &[f32; 8]) -> __m256 {
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn eight_halves(self, bits: &[u16; 8]) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast())) }
    }

    #[inline(always)]
    fn eight_bfloats(self, bits: &[u16; 8]) -> __m256 {
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(bits.as_ptr().cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))
        }
    }

    #[inline(always)]
    fn multiply_add(self, sum: __m256, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn sum_eight(self, a: __m256) -> f32 {
        unsafe { fold(a) }
    }
}
