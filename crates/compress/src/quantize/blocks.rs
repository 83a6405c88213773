//! Formats that bring their own blocks.

use super::Quantized;
use super::codebook::{Codebook, FP8_E4M3_MAX, fp8_e4m3};
use lantern_graph::{Error, Result};
use lantern_weights::{GgmlType, dequantize, quantize};

/// NVFP4's block.
const BLOCK: usize = 16;

/// One of ggml's formats, there and back.
pub(super) fn ggml(values: &[f32], columns: usize, ggml_type: GgmlType) -> Result<Quantized> {
    if !ggml_type.is_read() {
        // The refusal that names the types this version reads.
        quantize(ggml_type, &[])?;
    }
    let (Some(len), Some(bytes)) = (ggml_type.block_len(), ggml_type.block_bytes()) else {
        return Err(Error::new("gguf.type", format!("{ggml_type} has no known block"), "choose another type"));
    };
    if !columns.is_multiple_of(len) {
        let cause = format!("rows of {columns} are not whole {ggml_type} blocks of {len}");
        return Err(Error::new("compress.shape", cause, "choose a type with blocks that fit"));
    }
    let mut out = vec![0f32; values.len()];
    dequantize(ggml_type, &quantize(ggml_type, values)?, &mut out)?;
    Ok(Quantized::new(values, out, 8.0 * bytes as f64 / len as f64))
}

/// A group's scale is its largest magnitude over 6, rounded to E4M3 in units of the tensor's f32, which is chosen so that the
/// largest group's scale is the largest E4M3.
pub(super) fn nvfp4(values: &[f32], columns: usize) -> Result<Quantized> {
    let codebook = Codebook::Fp4E2m1;
    let greatest = |values: &[f32]| values.iter().fold(0f32, |m, v| m.max(v.abs()));
    let tensor = greatest(values) / (codebook.greatest() * FP8_E4M3_MAX);
    let tensor = if tensor.is_normal() { tensor } else { 1.0 };
    let mut out = Vec::with_capacity(values.len());
    let mut blocks = 0usize;
    for block in values.chunks_exact(columns).flat_map(|row| row.chunks(BLOCK)) {
        blocks += 1;
        let scale = fp8_e4m3(greatest(block) / codebook.greatest() / tensor) * tensor;
        // A block far below the others: its scale is rounded to 0, and it with it.
        out.extend(block.iter().map(|v| if scale > 0.0 { codebook.round(*v, scale) } else { 0.0 }));
    }
    let bits = 4.0 + (8.0 * blocks as f64 + 32.0) / values.len() as f64;
    Ok(Quantized::new(values, out, bits))
}
