//! Quantizers on real weights.
//!
//! A matrix is `values` in rows of `columns`.

mod blocks;
mod codebook;
mod range;
mod uniform;

pub use codebook::{Codebook, FP4_E2M1, FP8_E4M3_MAX, NF4, fp8_e4m3, fp8_e5m2};
pub use range::Range;
pub use uniform::{Granularity, Scale, Symmetry, Uniform};

use crate::cost::parameter_bits;
use crate::snr_db;
use lantern_graph::{Error, Result};
use lantern_weights::GgmlType;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantizer {
    Uniform(Uniform),
    /// scale · a level of a codebook whose largest is reached by the range's end. Scales are f32.
    Codebook {
        codebook: Codebook,
        granularity: Granularity,
        range: Range,
    },
    /// FP4 (E2M1) in groups of 16 whose scales are FP8 (E4M3), with one f32 for the tensor: after NVFP4, 4.5 bits a weight.
    Nvfp4,
    /// One of ggml's formats, encoded and decoded as files hold it.
    Ggml(GgmlType),
}

/// What came out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// ŵ.
    pub values: Vec<f32>,
    /// Σ (w − ŵ)².
    pub error: f64,
    /// Σ w².
    pub energy: f64,
    /// Codes, scales and zero points.
    pub bits_per_weight: f64,
}

impl Quantized {
    pub(crate) fn new(original: &[f32], values: Vec<f32>, bits_per_weight: f64) -> Self {
        let square = |d: f64| d * d;
        let error = original.iter().zip(&values).map(|(w, q)| square(f64::from(*w) - f64::from(*q))).sum();
        let energy = original.iter().map(|w| square(f64::from(*w))).sum();
        Self { values, error, energy, bits_per_weight }
    }

    pub fn snr_db(&self) -> f64 {
        snr_db(self.energy, self.error)
    }
}

impl Quantizer {
    /// Rounds `values`, rows of `columns`.
    ///
    /// # Errors
    /// `compress.empty`, `compress.shape` (rows that are not whole), `compress.not_a_number`, `compress.bits`,
    /// `compress.group`, `compress.range`, and those of [`lantern_weights::quantize`].
    pub fn apply(&self, values: &[f32], columns: usize) -> Result<Quantized> {
        check(values, columns)?;
        match *self {
            Self::Uniform(uniform) => {
                uniform.check()?;
                let bits = Bits { code: uniform.bits.into(), group: uniform.group_bits() };
                Ok(grouped(values, columns, uniform.granularity, bits, |group, out| {
                    let grid = uniform.fit(group);
                    out.extend(group.iter().map(|v| grid.round(f64::from(*v)) as f32));
                }))
            }
            Self::Codebook { codebook, granularity, range } => {
                granularity.check()?;
                range.check()?;
                let bits = Bits { code: codebook.bits(), group: 32.0 };
                Ok(grouped(values, columns, granularity, bits, |group, out| {
                    let scale = codebook.fit(group, range);
                    out.extend(group.iter().map(|v| codebook.round(*v, scale)));
                }))
            }
            Self::Nvfp4 => blocks::nvfp4(values, columns),
            Self::Ggml(ggml_type) => blocks::ggml(values, columns, ggml_type),
        }
    }
}

pub(crate) fn check(values: &[f32], columns: usize) -> Result<()> {
    if values.is_empty() {
        return Err(Error::new("compress.empty", "there are no values", "give one weight or more"));
    }
    if columns == 0 || !values.len().is_multiple_of(columns) {
        let cause = format!("{} values do not make rows of {columns}", values.len());
        return Err(Error::new("compress.shape", cause, "give whole rows"));
    }
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        let cause = format!("value {i} is {}", values[i]);
        return Err(Error::new("compress.not_a_number", cause, "get or convert the weights again"));
    }
    Ok(())
}

/// What is stored of a weight, and of all that share a scale.
struct Bits {
    code: f64,
    group: f64,
}

fn grouped(
    values: &[f32],
    columns: usize,
    granularity: Granularity,
    bits: Bits,
    mut round: impl FnMut(&[f32], &mut Vec<f32>),
) -> Quantized {
    let mut out = Vec::with_capacity(values.len());
    let mut groups = 0usize;
    for row in values.chunks_exact(if granularity == Granularity::Tensor { values.len() } else { columns }) {
        for group in row.chunks(granularity.group(row.len())) {
            round(group, &mut out);
            groups += 1;
        }
    }
    let size = values.len() as f64 / groups as f64;
    Quantized::new(values, out, bits.code + parameter_bits(size, bits.group))
}
