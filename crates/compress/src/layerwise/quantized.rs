//! A layer put on grids: codes and scales, as a file holds them.

use half::f16;
use nalgebra::DMatrix;

use super::matrix::floats;
use crate::cost::parameter_bits;
use crate::grid::Grid;
use crate::quantize::{Granularity, Scale, Symmetry, Uniform};

/// A layer of `channels` outputs over `n` inputs, each weight on its group's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    pub n: usize,
    pub channels: usize,
    pub quantizer: Uniform,
    /// `[channels, n]`.
    pub codes: Vec<i16>,
    /// `[channels, groups of a row]`.
    pub grids: Vec<Grid>,
}

impl Quantized {
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
    pub(crate) fn take(&mut self, channel: usize, from: &Quantized) {
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

    /// Blocks of 32 that hold exactly these values, where scales are f16 without a zero point and groups do not end inside a
    /// block: 4 bits a weight and the scale for up to 4 bits (ggml's Q4_0), else 8 (Q8_0).
    pub fn blocks(&self) -> Option<Blocks> {
        const BLOCK: usize = 32;
        let group = self.quantizer.granularity.group(self.n);
        let is_whole = group.is_multiple_of(BLOCK) || group == self.n;
        let is_held = self.quantizer.scale == Scale::F16 && self.quantizer.symmetry != Symmetry::Asymmetric;
        if self.n == 0 || !self.n.is_multiple_of(BLOCK) || !is_whole || !is_held {
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
                bytes.extend(codes.iter().map(|code| *code as i8 as u8));
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
    let weights = floats(weights.as_slice());
    if quantizer.granularity == Granularity::Tensor {
        quantized.grids.fill(quantizer.fit(&weights));
        return;
    }
    let groups = weights.chunks_exact(n.max(1)).flat_map(|channel| channel.chunks(quantizer.granularity.group(n)));
    quantized.grids.iter_mut().zip(groups).for_each(|(grid, values)| *grid = quantizer.fit(values));
}
