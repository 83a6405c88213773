//! Quantizers on real weights.
//!
//! A matrix is `values` in rows of `columns`. Scales are f32 unless the format says otherwise.

mod affine;
mod blocks;
mod codebook;
mod range;

pub use affine::{Affine, squared_error};
pub use codebook::{Codebook, FP4_E2M1, FP8_E4M3_MAX, NF4, fp8_e4m3, fp8_e5m2};
pub use range::Range;

use crate::cost::parameter_bits;
use crate::snr_db;
use crate::theory::{Grid, check_bits};
use lantern_graph::{Error, Result};
use lantern_weights::GgmlType;

/// Which weights share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    Tensor,
    /// A row: one output channel.
    Channel,
    /// So many neighbours in a row; the last group of a row may be shorter.
    Group(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantizer {
    /// scale · code, no zero point.
    Symmetric { bits: u32, grid: Grid, granularity: Granularity, range: Range },
    /// scale · (code − zero point), codes from 0 to 2ᵇ − 1; 0 is always a level.
    Asymmetric { bits: u32, granularity: Granularity, range: Range },
    /// scale · a level of a codebook whose largest is reached by the range's end.
    Codebook { codebook: Codebook, granularity: Granularity, range: Range },
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
            Self::Symmetric { bits, grid, granularity, range } => {
                check_bits(bits)?;
                range.check()?;
                let (low, high) = grid.codes(bits);
                let fit = |group: &[f32]| Affine::symmetric(group, low, high, range);
                grouped(values, columns, granularity, f64::from(bits), 32.0, |group, out| {
                    let affine = fit(group);
                    out.extend(group.iter().map(|v| affine.round(*v)));
                })
            }
            Self::Asymmetric { bits, granularity, range } => {
                check_bits(bits)?;
                range.check()?;
                grouped(values, columns, granularity, f64::from(bits), 32.0 + f64::from(bits), |group, out| {
                    let affine = Affine::asymmetric(group, bits, range);
                    out.extend(group.iter().map(|v| affine.round(*v)));
                })
            }
            Self::Codebook { codebook, granularity, range } => {
                range.check()?;
                grouped(values, columns, granularity, codebook.bits(), 32.0, |group, out| {
                    let scale = codebook.fit(group, range);
                    out.extend(group.iter().map(|v| codebook.round(*v, scale)));
                })
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

fn grouped(
    values: &[f32],
    columns: usize,
    granularity: Granularity,
    code_bits: f64,
    parameters: f64,
    mut round: impl FnMut(&[f32], &mut Vec<f32>),
) -> Result<Quantized> {
    let mut out = Vec::with_capacity(values.len());
    let mut groups = 0usize;
    for row in values.chunks_exact(if granularity == Granularity::Tensor { values.len() } else { columns }) {
        let size = match granularity {
            Granularity::Group(0) => {
                return Err(Error::new(
                    "compress.group",
                    "groups of 0 weights",
                    "share a scale among 1 weight or more",
                ));
            }
            Granularity::Group(size) => size,
            Granularity::Tensor | Granularity::Channel => row.len(),
        };
        for group in row.chunks(size) {
            round(group, &mut out);
            groups += 1;
        }
    }
    let per_group = values.len() as f64 / groups as f64;
    Ok(Quantized::new(values, out, code_bits + parameter_bits(per_group, parameters, 0.0)))
}
