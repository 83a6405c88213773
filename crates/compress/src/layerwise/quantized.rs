//! A layer put on grids: codes and scales, as a file holds them.

use half::f16;
use lantern_weights::GgmlType;
use nalgebra::DMatrix;

use super::matrix::floats;
use crate::cost::parameter_bits;
use crate::grid::Grid;
use crate::quantize::{Granularity, Scale, Symmetry, Uniform};

/// Weights of a block of ggml's plain types.
const BLOCK: usize = 32;

/// A layer of `channels` outputs over `n` inputs, each weight on its group's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedLayer {
    pub n: usize,
    pub channels: usize,
    pub quantizer: Uniform,
    /// `[channels, n]`.
    pub codes: Vec<i16>,
    /// `[channels, groups of a row]`.
    pub grids: Vec<Grid>,
}

impl QuantizedLayer {
    pub(crate) fn new(quantizer: Uniform, n: usize, channels: usize) -> Self {
        let groups = n.div_ceil(quantizer.granularity.group(n));
        // Of no weights: to be fitted.
        let grid = quantizer.fit(&[]);
        Self { n, channels, quantizer, codes: vec![0; n * channels], grids: vec![grid; groups * channels] }
    }

    pub fn groups(&self) -> usize {
        self.n.div_ceil(self.quantizer.granularity.group(self.n))
    }

    pub fn grid(&self, channel: usize, i: usize) -> Grid {
        self.grids[channel * self.groups() + i / self.quantizer.granularity.group(self.n)]
    }

    pub fn value(&self, channel: usize, i: usize) -> f64 {
        self.grid(channel, i).value(self.codes[channel * self.n + i].into())
    }

    /// `[n, channels]`, a column a channel. Exact in f32.
    pub fn values(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.n, self.channels, |i, c| self.value(c, i))
    }

    /// Replaces one channel by another layer's.
    pub(crate) fn take(&mut self, channel: usize, from: &QuantizedLayer) {
        let (n, groups) = (self.n, self.groups());
        self.codes[channel * n..(channel + 1) * n].copy_from_slice(&from.codes[channel * n..(channel + 1) * n]);
        let grids = channel * groups..(channel + 1) * groups;
        self.grids[grids.clone()].copy_from_slice(&from.grids[grids]);
    }

    /// Puts the nearest code to `value` there; what it stands for.
    pub(crate) fn put(&mut self, channel: usize, i: usize, value: f64) -> f64 {
        let grid = self.grid(channel, i);
        let code = grid.code(value);
        // Of 8 bits at most, with a sign or without.
        self.codes[channel * self.n + i] = code as i16;
        grid.value(code)
    }

    /// Fits the grid of the group that begins at `i` to `values`.
    pub(crate) fn fit_group(&mut self, channel: usize, i: usize, values: &[f64]) {
        let group = channel * self.groups() + i / self.quantizer.granularity.group(self.n);
        self.grids[group] = self.quantizer.fit(&floats(values));
    }

    /// Bits a weight: its code and its part of a scale and a zero point.
    pub fn bits_per_weight(&self) -> f64 {
        let groups = match self.quantizer.granularity {
            Granularity::Tensor => 1,
            _ => self.grids.len().max(1),
        };
        let size = (self.n * self.channels).max(1) as f64 / groups as f64;
        f64::from(self.quantizer.bits) + parameter_bits(size, self.quantizer.group_bits())
    }

    /// The GGUF type whose blocks of 32 hold exactly what `quantizer` makes of rows of `n` weights: 4 bits a weight (Q4_0) for up to
    /// 4 bits, else 8 (Q8_0). None where scales are no f16 or have zero points beside them, or change inside a block.
    pub fn block_type(quantizer: &Uniform, n: usize) -> Option<GgmlType> {
        let group = quantizer.granularity.group(n);
        let is_whole = n > 0 && n.is_multiple_of(BLOCK) && (group.is_multiple_of(BLOCK) || group == n);
        let is_held = quantizer.scale == Scale::F16 && quantizer.symmetry != Symmetry::Asymmetric;
        (is_whole && is_held).then_some(if quantizer.bits <= 4 { GgmlType::Q4_0 } else { GgmlType::Q8_0 })
    }

    /// Blocks of [`Self::block_type`], as a file has them.
    pub fn blocks(&self) -> Option<Vec<u8>> {
        let four = Self::block_type(&self.quantizer, self.n)? == GgmlType::Q4_0;
        let mut bytes = Vec::with_capacity(self.codes.len() / BLOCK * if four { 18 } else { 34 });
        for (b, codes) in self.codes.chunks_exact(BLOCK).enumerate() {
            let at = b * BLOCK;
            let scale = self.grid(at / self.n, at % self.n).scale;
            bytes.extend(f16::from_f64(scale).to_le_bytes());
            if four {
                let (first, second) = codes.split_at(BLOCK / 2);
                bytes.extend(first.iter().zip(second).map(|(a, b)| (a + 8) as u8 | ((b + 8) as u8) << 4));
            } else {
                bytes.extend(codes.iter().map(|code| *code as i8 as u8));
            }
        }
        Some(bytes)
    }
}

/// Fits a grid to every group of `weights` `[n, channels]` as they stand.
pub(crate) fn fit_all(quantized: &mut QuantizedLayer, weights: &DMatrix<f64>) {
    let QuantizedLayer { n, quantizer, .. } = *quantized;
    let weights = floats(weights.as_slice());
    if quantizer.granularity == Granularity::Tensor {
        quantized.grids.fill(quantizer.fit(&weights));
        return;
    }
    let groups = weights.chunks_exact(n.max(1)).flat_map(|channel| channel.chunks(quantizer.granularity.group(n)));
    quantized.grids.iter_mut().zip(groups).for_each(|(grid, values)| *grid = quantizer.fit(values));
}
