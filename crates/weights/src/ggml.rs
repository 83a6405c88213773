//! ggml's tensor types: their names and block sizes, and the numbers in the four this version reads.
//!
//! A quantized tensor is a run of blocks along its rows; each block holds `block_len()` values in `block_bytes()`
//! bytes. Layouts and rounding are those of ggml's reference functions (`quantize_row_q8_0_ref`,
//! `quantize_row_q4_0_ref`, `dequantize_row_*` in ggml-quants.c), bit for bit, so that files and logits can be
//! compared with llama.cpp's.

use half::f16;
use lantern_graph::{Error, Result};
use std::fmt;

/// Values in a block of Q4_0 and Q8_0.
const BLOCK: usize = 32;
const Q8_0_BYTES: usize = 2 + BLOCK;
const Q4_0_BYTES: usize = 2 + BLOCK / 2;

macro_rules! ggml_types {
    ($($variant:ident = $code:literal, $name:literal, $len:literal values in $bytes:literal;)*) => {
        /// A tensor's type as numbered in GGUF files. Types this table does not know are kept by number, so that a
        /// file can be listed even when it cannot be run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum GgmlType { $($variant,)* Unknown(u32) }

        impl GgmlType {
            pub fn from_code(code: u32) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Unknown(other) }
            }

            pub fn code(self) -> u32 {
                match self { $(Self::$variant => $code,)* Self::Unknown(code) => code }
            }

            /// Values in a block: 1 for plain types; `None` for unknown ones.
            pub fn block_len(self) -> Option<usize> {
                match self { $(Self::$variant => Some($len),)* Self::Unknown(_) => None }
            }

            /// Bytes of a block; `None` for unknown types.
            pub fn block_bytes(self) -> Option<usize> {
                match self { $(Self::$variant => Some($bytes),)* Self::Unknown(_) => None }
            }
        }

        impl fmt::Display for GgmlType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$variant => f.write_str($name),)* Self::Unknown(code) => write!(f, "type {code}") }
            }
        }
    };
}

ggml_types! {
    F32 = 0, "F32", 1 values in 4;
    F16 = 1, "F16", 1 values in 2;
    Q4_0 = 2, "Q4_0", 32 values in 18;
    Q4_1 = 3, "Q4_1", 32 values in 20;
    Q5_0 = 6, "Q5_0", 32 values in 22;
    Q5_1 = 7, "Q5_1", 32 values in 24;
    Q8_0 = 8, "Q8_0", 32 values in 34;
    Q8_1 = 9, "Q8_1", 32 values in 36;
    Q2K = 10, "Q2_K", 256 values in 84;
    Q3K = 11, "Q3_K", 256 values in 110;
    Q4K = 12, "Q4_K", 256 values in 144;
    Q5K = 13, "Q5_K", 256 values in 176;
    Q6K = 14, "Q6_K", 256 values in 210;
    Q8K = 15, "Q8_K", 256 values in 292;
    Iq2Xxs = 16, "IQ2_XXS", 256 values in 66;
    Iq2Xs = 17, "IQ2_XS", 256 values in 74;
    Iq3Xxs = 18, "IQ3_XXS", 256 values in 98;
    Iq1S = 19, "IQ1_S", 256 values in 50;
    Iq4Nl = 20, "IQ4_NL", 32 values in 18;
    Iq3S = 21, "IQ3_S", 256 values in 110;
    Iq2S = 22, "IQ2_S", 256 values in 82;
    Iq4Xs = 23, "IQ4_XS", 256 values in 136;
    I8 = 24, "I8", 1 values in 1;
    I16 = 25, "I16", 1 values in 2;
    I32 = 26, "I32", 1 values in 4;
    I64 = 27, "I64", 1 values in 8;
    F64 = 28, "F64", 1 values in 8;
    Iq1M = 29, "IQ1_M", 256 values in 56;
    BF16 = 30, "BF16", 1 values in 2;
    Tq1_0 = 34, "TQ1_0", 256 values in 54;
    Tq2_0 = 35, "TQ2_0", 256 values in 66;
    Mxfp4 = 39, "MXFP4", 32 values in 17;
}

impl GgmlType {
    /// The types this version computes with.
    pub const READ: [GgmlType; 4] = [Self::F32, Self::F16, Self::Q8_0, Self::Q4_0];

    /// "F32", "Q4_K", … as ggml writes them; "type 77" for a number this version does not know.
    pub fn name(self) -> String {
        self.to_string()
    }

    pub fn is_read(self) -> bool {
        Self::READ.contains(&self)
    }

    /// Bytes of `values` values, or `None` for an unknown type, a broken block, or more than u64 counts.
    pub fn bytes_of(self, values: u64) -> Option<u64> {
        let (len, bytes) = (self.block_len()? as u64, self.block_bytes()? as u64);
        if values.is_multiple_of(len) { (values / len).checked_mul(bytes) } else { None }
    }

    /// The refusal of a type this version cannot compute with. `whose`: what has that type, for the reader.
    pub(crate) fn refused(self, whose: &str) -> Error {
        let read: Vec<_> = Self::READ.iter().map(|t| t.name()).collect();
        Error::new(
            "gguf.type",
            format!("{whose} is {self}; this version reads {}", read.join(", ")),
            "use a Q8_0, Q4_0 or F16 file of the same model",
        )
    }
}

/// Decodes whole blocks: `bytes` holds exactly `out.len()` values of `dtype`. F32, F16, Q8_0, Q4_0; `gguf.type` for
/// others, `tensor.size` when the lengths do not agree.
pub fn dequantize(dtype: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    if !dtype.is_read() {
        return Err(dtype.refused("the data"));
    }
    if dtype.bytes_of(out.len() as u64) != Some(bytes.len() as u64) {
        return Err(size_error(dtype, bytes.len(), out.len()));
    }
    match dtype {
        GgmlType::F32 => {
            for (value, raw) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                *value = f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
            }
        }
        GgmlType::F16 => {
            for (value, raw) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *value = f16::from_le_bytes([raw[0], raw[1]]).to_f32();
            }
        }
        GgmlType::Q8_0 => {
            for (values, block) in out.chunks_exact_mut(BLOCK).zip(bytes.chunks_exact(Q8_0_BYTES)) {
                let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
                for (value, q) in values.iter_mut().zip(&block[2..]) {
                    *value = f32::from(*q as i8) * d;
                }
            }
        }
        _ => {
            for (values, block) in out.chunks_exact_mut(BLOCK).zip(bytes.chunks_exact(Q4_0_BYTES)) {
                let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
                // Low nibbles are the block's first half, high nibbles its second.
                let (first, second) = values.split_at_mut(BLOCK / 2);
                for ((low, high), q) in first.iter_mut().zip(second).zip(&block[2..]) {
                    *low = f32::from((q & 15) as i8 - 8) * d;
                    *high = f32::from((q >> 4) as i8 - 8) * d;
                }
            }
        }
    }
    Ok(())
}

/// Encodes `values` as `dtype`. The same types and errors as [`dequantize`].
pub fn quantize(dtype: GgmlType, values: &[f32]) -> Result<Vec<u8>> {
    if !dtype.is_read() {
        return Err(dtype.refused("the type asked for"));
    }
    if dtype.bytes_of(values.len() as u64).is_none() {
        return Err(size_error(dtype, 0, values.len()));
    }
    Ok(match dtype {
        GgmlType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        GgmlType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        GgmlType::Q8_0 => quantize_q8_0(values),
        _ => quantize_q4_0(values),
    })
}

/// Q8_0 blocks: f16 scale, 32 signed bytes. A last block that is not full is filled with zeros.
pub fn quantize_q8_0(values: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len().div_ceil(BLOCK) * Q8_0_BYTES);
    for chunk in values.chunks(BLOCK) {
        let amax = chunk.iter().fold(0f32, |m, v| m.max(v.abs()));
        let d = amax / 127.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend((0..BLOCK).map(|i| chunk.get(i).map_or(0, |v| (v * inverse).round() as i8 as u8)));
    }
    out
}

/// Q4_0 blocks: f16 scale, 32 nibbles offset by 8. A last block that is not full is filled with zeros.
///
/// The scale is signed: the value of greatest magnitude maps to -8 exactly, whichever its sign.
pub fn quantize_q4_0(values: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len().div_ceil(BLOCK) * Q4_0_BYTES);
    for chunk in values.chunks(BLOCK) {
        let extreme = chunk.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
        let d = extreme / -8.0;
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        let nibble = |i: usize| (chunk.get(i).map_or(0.0, |v| v * inverse) + 8.5).min(15.0) as u8;
        out.extend(f16::from_f32(d).to_le_bytes());
        out.extend((0..BLOCK / 2).map(|i| nibble(i) | (nibble(i + BLOCK / 2) << 4)));
    }
    out
}

fn size_error(dtype: GgmlType, bytes: usize, values: usize) -> Error {
    Error::new(
        "tensor.size",
        format!("{bytes} bytes of {dtype} do not make {values} values"),
        "rows must be whole blocks of their type: the file or the shape is wrong",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn plain_types_and_zero_blocks() {
        let mut two = [0f32; 2];
        dequantize(GgmlType::F16, &[0x00, 0x3e, 0x01, 0x00], &mut two).unwrap();
        assert_eq!(two, [1.5, 5.960_464_5e-8]);
        dequantize(GgmlType::F32, &[0, 0, 0x80, 0xbf, 0, 0, 0, 0x40], &mut two).unwrap();
        assert_eq!(two, [-1.0, 2.0]);
        assert_eq!(quantize(GgmlType::F16, &two).unwrap(), [0x00, 0xbc, 0x00, 0x40]);
        for dtype in [GgmlType::Q8_0, GgmlType::Q4_0] {
            let mut out = [1f32; 32];
            dequantize(dtype, &quantize(dtype, &[0.0; 32]).unwrap(), &mut out).unwrap();
            assert_eq!(out, [0.0; 32], "{dtype}");
        }
    }

    #[test]
    fn wrong_lengths_and_types_are_errors() {
        assert_eq!(dequantize(GgmlType::Q8_0, &[0; 34], &mut [0.0; 31]).unwrap_err().code, "tensor.size");
        assert_eq!(dequantize(GgmlType::Q4_0, &[0; 17], &mut [0.0; 32]).unwrap_err().code, "tensor.size");
        assert_eq!(quantize(GgmlType::Q4_0, &[0.0; 33]).unwrap_err().code, "tensor.size");
        let error = dequantize(GgmlType::Q6K, &[0; 210], &mut [0.0; 256]).unwrap_err();
        assert_eq!(error.code, "gguf.type");
        assert!(error.cause.contains("Q6_K") && error.cause.contains("Q4_0"), "{error}");
    }

    #[test]
    fn codes_round_trip_and_unknown_ones_are_kept() {
        for code in 0..64 {
            assert_eq!(GgmlType::from_code(code).code(), code);
        }
        assert_eq!(GgmlType::from_code(77).name(), "type 77");
        assert_eq!(GgmlType::Unknown(77).bytes_of(32), None);
        assert_eq!(GgmlType::Q4K.bytes_of(512), Some(288));
        assert_eq!(GgmlType::Q4K.bytes_of(100), None);
        assert_eq!(GgmlType::F32.bytes_of(u64::MAX), None);
    }
}
