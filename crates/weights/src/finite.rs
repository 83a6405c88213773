//! Weights that are no numbers: one NaN makes every answer NaN, and nobody sees why.
//!
//! A tensor is looked through as its rows stream by, whole words at a time: the plain types value by value, blocks by
//! their scales and minimums (their other numbers are small integers).

use crate::GgmlType;
use lantern_graph::{Error, Result};

const REMEDY: &str = "the file is damaged, or was converted from a damaged one: get it again, or use another";

/// Far above any weight, and so far below the largest f32 that no search for scales overflows.
const LARGEST: f32 = 1e8;

/// Where in a block its f16 numbers lie.
fn scales(dtype: GgmlType) -> &'static [usize] {
    use GgmlType::*;
    match dtype {
        Q8_0 | Q4_0 | Q5_0 => &[0],
        Q4_1 | Q5_1 | Q4K | Q5K => &[0, 2],
        Q2K => &[80, 82],
        Q3K => &[108],
        Q6K => &[208],
        _ => &[],
    }
}

/// Whether among these floats there is one whose exponent is all ones: infinity or NaN. In every lane of a word,
/// `exponent` has the exponent's bits and `unit` the lowest of them: adding it to an exponent of ones carries into the
/// sign's bit, which was masked away, and no further.
fn any_broken(bytes: &[u8], exponent: u64, unit: u64) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let seen = words.iter().chain([&last]).fold(0, |seen, w| seen | ((u64::from_le_bytes(*w) & exponent) + unit));
    seen & (exponent + unit) != 0
}

/// Whether `bytes`, whole blocks of `dtype`, hold NaN or infinity.
fn is_broken(dtype: GgmlType, bytes: &[u8]) -> bool {
    match dtype {
        GgmlType::F32 => any_broken(bytes, 0x7f80_0000_7f80_0000, 0x0080_0000_0080_0000),
        GgmlType::F16 => any_broken(bytes, 0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400),
        GgmlType::BF16 => any_broken(bytes, 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080),
        _ => {
            let (places, block) = (scales(dtype), dtype.block_bytes().unwrap_or(1));
            let broken = |block: &[u8]| places.iter().any(|at| block[*at + 1] & 0x7c == 0x7c);
            bytes.chunks_exact(block).fold(false, |seen, block| seen | broken(block))
        }
    }
}

/// Rows of a tensor as the file has them, from `first_row` on.
pub(crate) fn check_rows(name: &str, dtype: GgmlType, bytes: &[u8], row_bytes: usize, first_row: usize) -> Result<()> {
    if !is_broken(dtype, bytes) {
        return Ok(());
    }
    let row = bytes.chunks(row_bytes.max(1)).position(|row| is_broken(dtype, row)).unwrap_or(0);
    let what = if dtype.is_quantized() { "a scale" } else { "a value" };
    let cause = format!("tensor {name}: {what} in row {} is NaN or infinite", first_row + row);
    Err(Error::new("weights.not_a_number", cause, REMEDY))
}

/// Values about to become `dtype`.
pub(crate) fn check_values(dtype: GgmlType, values: &[f32]) -> Result<()> {
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        let cause = format!("value {i} of {} is {}", values.len(), values[i]);
        return Err(Error::new("weights.not_a_number", cause, REMEDY));
    }
    let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
    if dtype.is_quantized() && largest > LARGEST { Err(too_large(dtype)) } else { Ok(()) }
}

/// What finite values became: where a scale is infinite, they were too large for it.
pub(crate) fn check_encoded(dtype: GgmlType, bytes: &[u8]) -> Result<()> {
    if is_broken(dtype, bytes) { Err(too_large(dtype)) } else { Ok(()) }
}

fn too_large(dtype: GgmlType) -> Error {
    Error::new(
        "weights.range",
        format!("a value is too large to be stored as {dtype}"),
        "store it as F32, or look where such a weight comes from: a working model has none",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize;

    /// Every place of every width, so that words, lanes and the rest behind the last word are all looked at.
    #[test]
    fn nan_and_infinity_are_seen_wherever_they_are() {
        for (dtype, width, broken, whole) in [
            (GgmlType::F32, 4, vec![0x7f80_0000u32, 0xff80_0000, 0x7fc0_0000, 0xff80_0001], 0xff7f_ffffu32),
            (GgmlType::F16, 2, vec![0x7c00, 0xfc00, 0x7e00, 0xfc01], 0xfbff),
            (GgmlType::BF16, 2, vec![0x7f80, 0xff80, 0x7fc0, 0xff81], 0xff7f),
        ] {
            for values in 1..12 {
                let good: Vec<u8> = (0..values).flat_map(|_| whole.to_le_bytes()[..width].to_vec()).collect();
                assert!(!is_broken(dtype, &good), "{dtype}: {values} of the largest");
                for at in 0..values {
                    for bad in &broken {
                        let mut bytes = good.clone();
                        bytes[at * width..][..width].copy_from_slice(&bad.to_le_bytes()[..width]);
                        assert!(is_broken(dtype, &bytes), "{dtype}: {bad:#x} as value {at} of {values}");
                    }
                }
            }
        }
    }

    /// A broken scale is found in its row; any other byte of a block may be anything.
    #[test]
    fn scales_of_blocks_are_looked_at_and_nothing_else() {
        for dtype in GgmlType::READ.into_iter().filter(|t| t.is_quantized()) {
            let block = quantize(dtype, &vec![0.5; dtype.block_len().unwrap()]).unwrap();
            let good = block.repeat(6);
            check_rows("w", dtype, &good, 2 * block.len(), 0).unwrap();
            for at in 0..block.len() {
                let mut bytes = good.clone();
                bytes[5 * block.len() + at] = 0xff;
                let scale = scales(dtype).iter().any(|place| at == place + 1);
                match check_rows("w", dtype, &bytes, 2 * block.len(), 10) {
                    Ok(()) => assert!(!scale, "{dtype}: byte {at}"),
                    Err(error) => {
                        assert!(scale, "{dtype}: byte {at}");
                        assert_eq!(error.code, "weights.not_a_number");
                        assert_eq!(error.cause, "tensor w: a scale in row 12 is NaN or infinite");
                    }
                }
            }
        }
    }
}
