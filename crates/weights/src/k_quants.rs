//! ggml's k-quants: super-blocks of 256 values, cut into groups of 16 or 32 whose scales (and minimums) are small integers
//! times the super-block's f16 `d` (and `dmin`).
//!
//! | type | bytes of a super-block, in order | value |
//! | --- | --- | --- |
//! | Q2_K | 16 of scale (low nibble) and minimum (high), 64 of 2 bits, `d`, `dmin` | d·s·q − dmin·m, groups of 16 |
//! | Q3_K | 32 of third bits, 64 of 2 bits, 12 of 6-bit scales, `d` | d·(s − 32)·(q − 4), groups of 16 |
//! | Q4_K | `d`, `dmin`, 12 of 6-bit scales and minimums, 128 of nibbles | d·s·q − dmin·m, groups of 32 |
//! | Q5_K | as Q4_K, with 32 of fifth bits before the nibbles | the same |
//! | Q6_K | 128 of low nibbles, 64 of high 2 bits, 16 of i8 scales, `d` | d·s·(q − 32), groups of 16 |
//!
//! Bits of one byte belong to values that lie 32 (or 64) apart, so that a vector register unpacks them with one shift.
//! Layouts and the order of operations are those of `dequantize_row_*_K` in ggml-quants.c, bit for bit.

use crate::blocks::half_at;

/// Values in a super-block.
pub(crate) const SUPER: usize = 256;

fn each<const BYTES: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn(&[u8; BYTES], &mut [f32; SUPER])) {
    for (block, values) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, values);
    }
}

pub(crate) fn decode_q2(bytes: &[u8], out: &mut [f32]) {
    each::<84>(bytes, out, |block, values| {
        let (scales, qs) = (&block[..16], &block[16..80]);
        let (d, dmin) = (half_at(block, 80), half_at(block, 82));
        for (i, value) in values.iter_mut().enumerate() {
            let scale = scales[i / 16];
            let q = qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
            *value = d * f32::from(scale & 15) * f32::from(q) - dmin * f32::from(scale >> 4);
        }
    });
}

/// The 16 scales of Q3_K, from −32 to 31: low nibbles in eight bytes, high bits of four of them in each of four more.
pub(crate) fn scales_of_q3(packed: &[u8]) -> [i8; 16] {
    std::array::from_fn(|j| {
        let low = packed[j % 8] >> (j / 8 * 4) & 15;
        let high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
        (low | high << 4) as i8 - 32
    })
}

pub(crate) fn decode_q3(bytes: &[u8], out: &mut [f32]) {
    each::<110>(bytes, out, |block, values| {
        let (high, qs, scales) = (&block[..32], &block[32..96], scales_of_q3(&block[96..108]));
        let d = half_at(block, 108);
        for (i, value) in values.iter_mut().enumerate() {
            let low = qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
            let third = high[i % 32] >> (i / 32) & 1;
            *value = d * f32::from(scales[i / 16]) * f32::from((low | third << 2) as i8 - 4);
        }
    });
}

/// Scale and minimum of group `j` of eight, 6 bits each: those of the last four have their high bits in the first bytes.
pub(crate) fn scale_and_min(j: usize, packed: &[u8]) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        ((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6) << 4)
    }
}

pub(crate) fn decode_q4(bytes: &[u8], out: &mut [f32]) {
    each::<144>(bytes, out, |block, values| {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        for (j, group) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(j, &block[4..16]);
            let (d, min) = (d * f32::from(scale), dmin * f32::from(min));
            for (value, q) in group.iter_mut().zip(&block[16 + j / 2 * 32..]) {
                *value = d * f32::from(q >> (j % 2 * 4) & 15) - min;
            }
        }
    });
}

pub(crate) fn decode_q5(bytes: &[u8], out: &mut [f32]) {
    each::<176>(bytes, out, |block, values| {
        let (d, dmin) = (half_at(block, 0), half_at(block, 2));
        for (j, group) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_and_min(j, &block[4..16]);
            let (d, min) = (d * f32::from(scale), dmin * f32::from(min));
            let (high, low) = (&block[16..48], &block[48 + j / 2 * 32..]);
            for ((value, low), high) in group.iter_mut().zip(low).zip(high) {
                let q = (low >> (j % 2 * 4) & 15) | (high >> j & 1) << 4;
                *value = d * f32::from(q) - min;
            }
        }
    });
}

pub(crate) fn decode_q6(bytes: &[u8], out: &mut [f32]) {
    each::<210>(bytes, out, |block, values| {
        let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
        let d = half_at(block, 208);
        for (i, value) in values.iter_mut().enumerate() {
            let (half, within) = (i / 128, i % 128);
            let nibble = low[half * 64 + within % 64] >> (within / 64 * 4) & 15;
            let two = high[half * 32 + within % 32] >> (within / 32 * 2) & 3;
            *value = d * f32::from(scales[i / 16] as i8) * f32::from((nibble | two << 4) as i8 - 32);
        }
    });
}
