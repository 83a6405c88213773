//! ggml's tensor types: their names and block sizes, and the numbers in those this version reads.
//!
//! A quantized tensor is a run of blocks along its rows; each block holds `block_len()` values in `block_bytes()`
//! bytes. What is in a block, and how it is chosen: `blocks.rs`, `k_quants.rs`, `k_search.rs`.

use crate::{blocks, finite, k_quants, k_search};
use half::{bf16, f16};
use lantern_graph::{Error, Result};
use std::fmt;

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
    pub const READ: [GgmlType; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// "F32", "Q4_K", … as ggml writes them; "type 77" for a number this version does not know.
    pub fn name(self) -> String {
        self.to_string()
    }

    pub fn is_read(self) -> bool {
        Self::READ.contains(&self)
    }

    /// Whether values lie in blocks that share a scale, so that some of each was lost.
    pub fn is_quantized(self) -> bool {
        self.block_len().is_some_and(|len| len > 1)
    }

    /// The type of that name among those this version reads, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::READ.into_iter().find(|t| t.name().eq_ignore_ascii_case(name))
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
            "use a file of the same model in one of these types, such as Q4_K or Q8_0",
        )
    }
}

/// Decodes whole blocks: `bytes` holds exactly `out.len()` values of `dtype`, one of [`GgmlType::READ`]; `gguf.type` for
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
            for (value, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*raw);
            }
        }
        GgmlType::F16 => {
            for (value, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *value = f16::from_le_bytes(*raw).to_f32();
            }
        }
        GgmlType::BF16 => {
            for (value, raw) in out.iter_mut().zip(bytes.as_chunks().0) {
                *value = bf16::from_le_bytes(*raw).to_f32();
            }
        }
        GgmlType::Q8_0 => blocks::decode_q8_0(bytes, out),
        GgmlType::Q4_0 => blocks::decode_q4_0(bytes, out),
        GgmlType::Q4_1 => blocks::decode_q4_1(bytes, out),
        GgmlType::Q5_0 => blocks::decode_q5_0(bytes, out),
        GgmlType::Q5_1 => blocks::decode_q5_1(bytes, out),
        GgmlType::Q2K => k_quants::decode_q2(bytes, out),
        GgmlType::Q3K => k_quants::decode_q3(bytes, out),
        GgmlType::Q4K => k_quants::decode_q4(bytes, out),
        GgmlType::Q5K => k_quants::decode_q5(bytes, out),
        GgmlType::Q6K => k_quants::decode_q6(bytes, out),
        other => return Err(other.refused("the data")),
    }
    Ok(())
}

/// Encodes `values` as `dtype`. The errors of [`dequantize`], and `weights.not_a_number` or `weights.range` where a value
/// is none, or is larger than `dtype` can say.
pub fn quantize(dtype: GgmlType, values: &[f32]) -> Result<Vec<u8>> {
    if !dtype.is_read() {
        return Err(dtype.refused("the type asked for"));
    }
    let Some(bytes) = dtype.bytes_of(values.len() as u64) else {
        return Err(size_error(dtype, 0, values.len()));
    };
    finite::check_values(dtype, values)?;
    let mut out = Vec::with_capacity(bytes as usize);
    match dtype {
        GgmlType::F32 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        GgmlType::F16 => out.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
        GgmlType::BF16 => out.extend(values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes())),
        GgmlType::Q8_0 => out = blocks::quantize_q8_0(values),
        GgmlType::Q4_0 => out = blocks::quantize_q4_0(values),
        GgmlType::Q4_1 => blocks::encode_q4_1(values, &mut out),
        GgmlType::Q5_0 => blocks::encode_q5_0(values, &mut out),
        GgmlType::Q5_1 => blocks::encode_q5_1(values, &mut out),
        GgmlType::Q2K => k_search::encode_q2(values, &mut out),
        GgmlType::Q3K => k_search::encode_q3(values, &mut out),
        GgmlType::Q4K => k_search::encode_q4(values, &mut out),
        GgmlType::Q5K => k_search::encode_q5(values, &mut out),
        GgmlType::Q6K => k_search::encode_q6(values, &mut out),
        other => return Err(other.refused("the type asked for")),
    }
    finite::check_encoded(dtype, &out)?;
    Ok(out)
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
    fn plain_types_and_zero_blocks() {
        let mut two = [0f32; 2];
        dequantize(GgmlType::F16, &[0x00, 0x3e, 0x01, 0x00], &mut two).unwrap();
        assert_eq!(two, [1.5, 5.960_464_5e-8]);
        dequantize(GgmlType::F32, &[0, 0, 0x80, 0xbf, 0, 0, 0, 0x40], &mut two).unwrap();
        assert_eq!(two, [-1.0, 2.0]);
        assert_eq!(quantize(GgmlType::F16, &two).unwrap(), [0x00, 0xbc, 0x00, 0x40]);
        assert_eq!(quantize(GgmlType::BF16, &two).unwrap(), [0x80, 0xbf, 0x00, 0x40]);
        dequantize(GgmlType::BF16, &[0x80, 0xbf, 0xc0, 0x3f], &mut two).unwrap();
        assert_eq!(two, [-1.0, 1.5]);
        for dtype in GgmlType::READ {
            let mut out = [1f32; 256];
            dequantize(dtype, &quantize(dtype, &[0.0; 256]).unwrap(), &mut out).unwrap();
            assert_eq!(out, [0.0; 256], "{dtype}");
        }
    }

    #[test]
    fn wrong_lengths_and_types_are_errors() {
        assert_eq!(dequantize(GgmlType::Q8_0, &[0; 34], &mut [0.0; 31]).unwrap_err().code, "tensor.size");
        assert_eq!(dequantize(GgmlType::Q4_0, &[0; 17], &mut [0.0; 32]).unwrap_err().code, "tensor.size");
        assert_eq!(quantize(GgmlType::Q4_0, &[0.0; 33]).unwrap_err().code, "tensor.size");
        for dtype in GgmlType::READ.into_iter().filter(|t| t.is_quantized()) {
            let len = dtype.block_len().unwrap();
            for values in [1, len - 1, len + 1, len + len / 2] {
                assert_eq!(quantize(dtype, &vec![0.0; values]).unwrap_err().code, "tensor.size", "{dtype}: {values}");
            }
            let mut short = vec![0.0; len];
            let error = dequantize(dtype, &vec![0; dtype.block_bytes().unwrap() - 1], &mut short).unwrap_err();
            assert!(error.code == "tensor.size" && error.cause.contains(&dtype.name()), "{error}");
        }
        for error in [
            dequantize(GgmlType::Iq4Xs, &[0; 136], &mut [0.0; 256]).unwrap_err(),
            quantize(GgmlType::Iq4Xs, &[0.0; 256]).unwrap_err(),
        ] {
            assert_eq!(error.code, "gguf.type");
            assert!(error.cause.contains("IQ4_XS") && error.cause.contains("Q4_0, Q4_1"), "{error}");
        }
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
        assert_eq!(GgmlType::from_name("q4_k"), Some(GgmlType::Q4K));
        assert_eq!(GgmlType::from_name("BF16"), Some(GgmlType::BF16));
        assert_eq!(GgmlType::from_name("IQ4_XS"), None);
    }

    /// Infinity, NaN, and what the type's own exponent or its scale's cannot hold.
    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for dtype in GgmlType::READ {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = [0.5; 512];
                values[300] = bad;
                let error = quantize(dtype, &values).unwrap_err();
                assert_eq!(error.code, "weights.not_a_number", "{dtype}");
                assert!(error.cause.contains("value 300"), "{dtype}: {error}");
            }
            let mut values = [0.5; 512];
            values[300] = f32::MAX;
            match quantize(dtype, &values) {
                Ok(_) => assert_eq!(dtype, GgmlType::F32),
                Err(error) => assert_eq!(error.code, "weights.range", "{dtype}"),
            }
            // The largest f16 fits every type.
            values[300] = 65504.0;
            assert!(quantize(dtype, &values).is_ok(), "{dtype}");
        }
    }
}
