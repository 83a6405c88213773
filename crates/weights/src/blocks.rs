//! ggml's blocks of 32 values: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1.
//!
//! `d` is a block's f16 scale, `m` its f16 minimum. Where two 4-bit values share a byte, low nibbles are the block's first
//! half and high nibbles its second; fifth bits are one little-endian u32, bit i for value i. Layouts, rounding and the
//! order of operations are those of `quantize_row_*_ref` and `dequantize_row_*` in ggml-quants.c, bit for bit.

use half::f16;

/// Values in a block.
pub(crate) const BLOCK: usize = 32;
const HALF: usize = BLOCK / 2;

pub(crate) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The reciprocal that values are multiplied by: 0 for a block of zeros.
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// `decode(block, values)` for each whole block.
fn each<const BYTES: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn(&[u8; BYTES], &mut [f32; BLOCK])) {
    for (block, values) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, values);
    }
}

pub(crate) fn decode_q8_0(bytes: &[u8], out: &mut [f32]) {
    each::<34>(bytes, out, |block, values| {
        let d = half_at(block, 0);
        for (value, q) in values.iter_mut().zip(&block[2..]) {
            *value = f32::from(*q as i8) * d;
        }
    });
}

pub(crate) fn decode_q4_0(bytes: &[u8], out: &mut [f32]) {
    each::<18>(bytes, out, |block, values| {
        let d = half_at(block, 0);
        for (i, q) in block[2..].iter().enumerate() {
            values[i] = f32::from((q & 15) as i8 - 8) * d;
            values[i + HALF] = f32::from((q >> 4) as i8 - 8) * d;
        }
    });
}

pub(crate) fn decode_q4_1(bytes: &[u8], out: &mut [f32]) {
    each::<20>(bytes, out, |block, values| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        for (i, q) in block[4..].iter().enumerate() {
            values[i] = f32::from(q & 15) * d + m;
            values[i + HALF] = f32::from(q >> 4) * d + m;
        }
    });
}

/// Five bits of value `i`, from its nibble and the block's fifth bits.
fn five(nibble: u8, high: u32, i: usize) -> f32 {
    f32::from(nibble | ((high >> i) as u8 & 1) << 4)
}

pub(crate) fn decode_q5_0(bytes: &[u8], out: &mut [f32]) {
    each::<22>(bytes, out, |block, values| {
        let d = half_at(block, 0);
        let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        for (i, q) in block[6..].iter().enumerate() {
            values[i] = (five(q & 15, high, i) - 16.0) * d;
            values[i + HALF] = (five(q >> 4, high, i + HALF) - 16.0) * d;
        }
    });
}

pub(crate) fn decode_q5_1(bytes: &[u8], out: &mut [f32]) {
    each::<24>(bytes, out, |block, values| {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
        for (i, q) in block[8..].iter().enumerate() {
            values[i] = five(q & 15, high, i) * d + m;
            values[i + HALF] = five(q >> 4, high, i + HALF) * d + m;
        }
    });
}

/// Q8_0 blocks: f16 scale, 32 signed bytes. A last block that is not full is filled with zeros.
pub fn quantize_q8_0(values: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len().div_ceil(BLOCK) * 34);
    for chunk in values.chunks(BLOCK) {
        let amax = chunk.iter().fold(0f32, |m, v| m.max(v.abs()));
        let d = amax / 127.0;
        let inverse = inverse(d);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend((0..BLOCK).map(|i| chunk.get(i).map_or(0, |v| (v * inverse).round() as i8 as u8)));
    }
    out
}

/// The value of greatest magnitude, the first of several.
fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m })
}

/// Q4_0 blocks: f16 scale, 32 nibbles offset by 8. A last block that is not full is filled with zeros.
///
/// The scale is signed: the value of greatest magnitude maps to -8 exactly, whichever its sign.
pub fn quantize_q4_0(values: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len().div_ceil(BLOCK) * 18);
    for chunk in values.chunks(BLOCK) {
        let d = extreme(chunk) / -8.0;
        let inverse = inverse(d);
        let nibble = |i: usize| (chunk.get(i).map_or(0.0, |v| v * inverse) + 8.5).min(15.0) as u8;
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend((0..HALF).map(|i| nibble(i) | (nibble(i + HALF) << 4)));
    }
    out
}

/// Nibbles, and the fifth bits, of 32 numbers from 0 to 31.
fn pack_five(q: impl Fn(usize) -> u8) -> (u32, [u8; HALF]) {
    let high = (0..BLOCK).fold(0, |bits, i| bits | u32::from(q(i) >> 4) << i);
    (high, std::array::from_fn(|i| (q(i) & 15) | (q(i + HALF) << 4)))
}

/// f16 scale, fifth bits, 32 numbers offset by 16. As Q4_0, the scale is signed.
pub(crate) fn encode_q5_0(values: &[f32], out: &mut Vec<u8>) {
    for chunk in values.as_chunks::<BLOCK>().0 {
        let d = extreme(chunk) / -16.0;
        let inverse = inverse(d);
        let (high, low) = pack_five(|i| (chunk[i] * inverse + 16.5).min(31.0) as u8);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(high.to_le_bytes());
        out.extend(low);
    }
}

/// The least value, and the step from it to the greatest in `steps` steps.
fn range(chunk: &[f32; BLOCK], steps: f32) -> (f32, f32) {
    let (min, max) = chunk.iter().fold((f32::MAX, f32::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    (min, (max - min) / steps)
}

/// f16 scale, f16 minimum, 32 nibbles.
pub(crate) fn encode_q4_1(values: &[f32], out: &mut Vec<u8>) {
    for chunk in values.as_chunks::<BLOCK>().0 {
        let (min, d) = range(chunk, 15.0);
        let inverse = inverse(d);
        let nibble = |i: usize| ((chunk[i] - min) * inverse + 0.5).min(15.0) as u8;
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(f16::from_f32(min).to_le_bytes());
        out.extend((0..HALF).map(|i| nibble(i) | (nibble(i + HALF) << 4)));
    }
}

/// f16 scale, f16 minimum, fifth bits, 32 nibbles.
pub(crate) fn encode_q5_1(values: &[f32], out: &mut Vec<u8>) {
    for chunk in values.as_chunks::<BLOCK>().0 {
        let (min, d) = range(chunk, 31.0);
        let inverse = inverse(d);
        let (high, low) = pack_five(|i| ((chunk[i] - min) * inverse + 0.5).min(31.0) as u8);
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend(f16::from_f32(min).to_le_bytes());
        out.extend(high.to_le_bytes());
        out.extend(low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgmlType, dequantize};

    #[test]
    fn q8_0_block_by_hand() {
        // amax 127 gives a scale of exactly 1; halves round away from zero, as C's roundf does.
        let mut values = [0f32; 32];
        values[..6].copy_from_slice(&[127.0, -127.0, 0.5, -0.5, 2.4, 2.6]);
        let block = quantize_q8_0(&values);
        assert_eq!(block.len(), 34);
        assert_eq!(block[..8], [0x00, 0x3c, 127, 129, 1, 255, 2, 3]);
        assert!(block[8..].iter().all(|q| *q == 0));
        let mut back = [0f32; 32];
        dequantize(GgmlType::Q8_0, &block, &mut back).unwrap();
        assert_eq!(back[..6], [127.0, -127.0, 1.0, -1.0, 2.0, 3.0]);
    }

    #[test]
    fn q4_0_block_by_hand() {
        // Greatest magnitude -8: scale 1, so nibble = value + 8. A positive extreme makes the scale negative.
        let mut values = [0f32; 32];
        (values[0], values[1], values[16], values[17]) = (-8.0, 7.0, 3.0, 7.9);
        let block = quantize_q4_0(&values);
        assert_eq!(block.len(), 18);
        assert_eq!(block[..4], [0x00, 0x3c, 0xb0, 0xff]);
        assert!(block[4..].iter().all(|q| *q == 0x88));
        let mut back = [0f32; 32];
        dequantize(GgmlType::Q4_0, &block, &mut back).unwrap();
        assert_eq!((back[0], back[1], back[16], back[17], back[31]), (-8.0, 7.0, 3.0, 7.0, 0.0));

        values[0] = 8.0;
        let block = quantize_q4_0(&values);
        assert_eq!(block[..2], [0x00, 0xbc], "scale -1");
        dequantize(GgmlType::Q4_0, &block, &mut back).unwrap();
        assert_eq!((back[0], back[16]), (8.0, 3.0));
    }
}
