//! A layer put on grids: codes and scales, as a file holds them.

use half::f16;
use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use super::grid::{Granularity, Grid, Quantizer};

/// A layer of `channels` outputs over `n` inputs, each weight on its group's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    pub n: usize,
    pub channels: usize,
    pub quantizer: Quantizer,
    /// `[channels, n]`.
    pub codes: Vec<i8>,
    /// `[channels, groups of a row]`.
    pub grids: Vec<Grid>,
}

impl Quantized {
    pub(crate) fn new(quantizer: Quantizer, n: usize, channels: usize) -> Self {
        let (low, high) = (-(1 << (quantizer.bits - 1)), (1 << (quantizer.bits - 1)) - 1);
        let grid = Grid { scale: 1.0, low, high };
        let groups = n.div_ceil(quantizer.group(n));
        Self { n, channels, quantizer, codes: vec![0; n * channels], grids: vec![grid; groups * channels] }
    }

    pub fn groups(&self) -> usize {
        self.n.div_ceil(self.quantizer.group(self.n))
    }

    pub fn grid(&self, channel: usize, i: usize) -> Grid {
        self.grids[channel * self.groups() + i / self.quantizer.group(self.n)]
    }

    pub fn value(&self, channel: usize, i: usize) -> f64 {
        self.grid(channel, i).value(self.codes[channel * self.n + i].into())
    }

    /// `[n, channels]`, a column a channel. Exact in f32.
    pub fn values(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.n, self.channels, |i, c| self.value(c, i))
    }

    /// Replaces one channel by another layer's.
    pub(crate) fn take(&mut self, channel: usize, from: &Quantized) {
        let (n, groups) = (self.n, self.groups());
        self.codes[channel * n..(channel + 1) * n].copy_from_slice(&from.codes[channel * n..(channel + 1) * n]);
        let grids = channel * groups..(channel + 1) * groups;
        self.grids[grids.clone()].copy_from_slice(&from.grids[grids]);
    }

    /// Bits a weight: its code and its part of an f16 scale.
    pub fn bits_per_weight(&self) -> f64 {
        let scales = match self.quantizer.granularity {
            Granularity::Tensor => 1,
            _ => self.grids.len(),
        };
        f64::from(self.quantizer.bits) + 16.0 * scales as f64 / (self.n * self.channels).max(1) as f64
    }

    /// Blocks of 32 that hold exactly these values, where groups do not end inside a block: 4 bits a weight and an f16 scale
    /// for up to 4 bits (ggml's Q4_0), else 8 (Q8_0).
    pub fn blocks(&self) -> Option<Blocks> {
        const BLOCK: usize = 32;
        let group = self.quantizer.group(self.n);
        let whole = group.is_multiple_of(BLOCK) || group == self.n;
        if self.n == 0 || !self.n.is_multiple_of(BLOCK) || !whole {
            return None;
        }
        let four = self.quantizer.bits <= 4;
        let mut bytes = Vec::with_capacity(self.codes.len() / BLOCK * if four { 18 } else { 34 });
        for (b, codes) in self.codes.chunks_exact(BLOCK).enumerate() {
            let at = b * BLOCK;
            let scale = self.grid(at / self.n, at % self.n).scale;
            bytes.extend(f16::from_f64(scale).to_le_bytes());
            if four {
                let (first, second) = codes.split_at(BLOCK / 2);
                bytes.extend(first.iter().zip(second).map(|(a, b)| (a + 8) as u8 | ((b + 8) as u8) << 4));
            } else {
                bytes.extend(codes.iter().map(|code| *code as u8));
            }
        }
        Some(if four { Blocks::Q4_0(bytes) } else { Blocks::Q8_0(bytes) })
    }
}

/// ggml's blocks, in the file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocks {
    Q4_0(Vec<u8>),
    Q8_0(Vec<u8>),
}

/// Fits a grid to every group of `weights` `[n, channels]` as they stand.
pub(crate) fn fit_all(quantized: &mut Quantized, weights: &DMatrix<f64>) {
    let Quantized { n, quantizer, .. } = *quantized;
    if quantizer.granularity == Granularity::Tensor {
        let grid = quantizer.fit(weights.as_slice());
        quantized.grids.fill(grid);
        return;
    }
    let (group, groups) = (quantizer.group(n), quantized.groups());
    for (c, channel) in weights.as_slice().chunks_exact(n.max(1)).enumerate() {
        for (g, values) in channel.chunks(group).enumerate() {
            quantized.grids[c * groups + g] = quantizer.fit(values);
        }
    }
}

/// Weights as matrices have them here: from row-major `[channels, n]` to `[n, channels]`, a column a channel.
///
/// # Errors
/// `compress.size` when rows are broken; `compress.not_a_number`.
pub fn channels(values: &[f32], n: usize) -> Result<DMatrix<f64>> {
    if n == 0 || values.is_empty() || !values.len().is_multiple_of(n) {
        return Err(Error::new(
            "compress.size",
            format!("{} weights do not make channels of {n}", values.len()),
            "give whole rows, one an output channel",
        ));
    }
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::new(
            "compress.not_a_number",
            format!("weight {} of channel {} is {}", i % n, i / n, values[i]),
            "the file is damaged, or training diverged: get it again",
        ));
    }
    Ok(DMatrix::from_iterator(n, values.len() / n, values.iter().map(|v| f64::from(*v))))
}
