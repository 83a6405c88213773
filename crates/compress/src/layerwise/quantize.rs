//! Layers put on grids: to the nearest point, with compensation (GPTQ), and improved code by code (1-opt).

use lantern_graph::Result;
use nalgebra::DMatrix;

use super::quantized::{QuantizedLayer, fit_all};
use super::sweep::{Decide, Factor, sweep};
use crate::quadratic::Quadratic;
use crate::quantize::{Granularity, Uniform};

/// Every weight to the nearest point of its group's grid. `weights`: `[n, channels]`, a column a channel.
///
/// # Errors
/// `compress.bits`, `compress.group`, `compress.range`.
pub fn round_to_nearest(weights: &DMatrix<f64>, quantizer: Uniform) -> Result<QuantizedLayer> {
    quantizer.check()?;
    let mut out = QuantizedLayer::new(quantizer, weights.nrows(), weights.ncols());
    fit_all(&mut out, weights);
    for (c, channel) in weights.column_iter().enumerate() {
        for (i, value) in channel.iter().enumerate() {
            out.put(c, i, *value);
        }
    }
    Ok(out)
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GptqOptions {
    /// Inputs decided before the rest is brought up to date: for caches, not for results.
    pub block: usize,
    /// Scales are those of the weights as they come, not as compensation has left them when their group begins. Always so
    /// where the factor's order is not the natural one.
    pub static_groups: bool,
}

impl Default for GptqOptions {
    fn default() -> Self {
        Self { block: 128, static_groups: false }
    }
}

/// Frantar et al. 2022, "GPTQ", arXiv 2210.17323. `weights`: `[n, channels]`, a column a channel.
///
/// # Errors
/// `compress.bits`, `compress.group`, `compress.range`.
pub fn gptq(
    weights: &DMatrix<f64>,
    factor: &Factor,
    quantizer: Uniform,
    options: GptqOptions,
) -> Result<QuantizedLayer> {
    quantizer.check()?;
    let n = weights.nrows();
    let mut out = QuantizedLayer::new(quantizer, n, weights.ncols());
    fit_all(&mut out, weights);
    // Compensation reaches a group's weights before its scale is chosen only where blocks end with groups.
    let group = quantizer.granularity.group(n);
    let block = options.block.max(1).next_multiple_of(group).min(n.max(1));
    let dynamic =
        matches!(quantizer.granularity, Granularity::Group(_)) && !options.static_groups && factor.is_natural();
    sweep(&mut weights.clone(), factor, block, &mut Nearest { out: &mut out, order: &factor.order, dynamic, group });
    Ok(out)
}

struct Nearest<'a> {
    out: &'a mut QuantizedLayer,
    order: &'a [usize],
    dynamic: bool,
    group: usize,
}

impl Decide for Nearest<'_> {
    fn block(&mut self, _: &DMatrix<f64>, _: usize, _: usize) {}

    fn put(&mut self, c: usize, place: usize, channel: &[f64]) -> f64 {
        let i = self.order[place];
        if self.dynamic && i.is_multiple_of(self.group) {
            let end = (i + self.group).min(channel.len());
            self.out.fit_group(c, i, &channel[i..end]);
        }
        self.out.put(c, i, channel[place])
    }
}

/// Moves one code at a time to where the channel's error is least, until none is better: a point that no single change
/// improves ("1-opt"; Park and Boyd 2018). Zeros stay where `keep_zeros`. Never worse than what it was given.
///
/// # Errors
/// `compress.size`, as [`Quadratic::check`].
pub fn one_opt(
    form: &Quadratic,
    weights: &DMatrix<f64>,
    quantized: &mut QuantizedLayer,
    keep_zeros: bool,
) -> Result<()> {
    let n = quantized.n;
    for c in 0..quantized.channels {
        let w = weights.column(c);
        form.check(w.as_slice())?;
        let delta = nalgebra::DVector::from_fn(n, |i, _| w[i] - quantized.value(c, i));
        let mut pull = form.h() * &delta;
        // A step changes the error by H_ii((k − k*)² − (k' − k*)²): it ends, and rounding must not keep it going.
        for _ in 0..MAX_SWEEPS {
            let mut moved = false;
            for i in 0..n {
                let (grid, at) = (quantized.grid(c, i), c * n + i);
                let old: i32 = quantized.codes[at].into();
                if keep_zeros && old == grid.zero_point {
                    continue;
                }
                let best = grid.value(old) + pull[i] / form.h()[(i, i)];
                let new = grid.code(best);
                let gain = (grid.value(old) - best).powi(2) - (grid.value(new) - best).powi(2);
                if new == old || gain <= 1e-12 * grid.scale.powi(2) {
                    continue;
                }
                quantized.codes[at] = new as i16;
                pull.axpy(grid.value(old) - grid.value(new), &form.h().column(i), 1.0);
                moved = true;
            }
            if !moved {
                break;
            }
        }
    }
    Ok(())
}

const MAX_SWEEPS: usize = 100;

/// Each channel's better one: GPTQ is greedy, and now and then a channel fares worse than by rounding.
///
/// # Errors
/// `compress.size`, as [`Quadratic::check`].
pub fn better_of(
    form: &Quadratic,
    weights: &DMatrix<f64>,
    mut first: QuantizedLayer,
    second: &QuantizedLayer,
) -> Result<QuantizedLayer> {
    let (a, b) = (channel_errors(form, weights, &first.values())?, channel_errors(form, weights, &second.values())?);
    for c in (0..first.channels).filter(|c| b[*c] < a[*c]) {
        first.take(c, second);
    }
    Ok(first)
}

/// (w − ŵ)ᵀH(w − ŵ) of each channel; both `[n, channels]`.
///
/// # Errors
/// `compress.size`, `compress.not_a_number`.
pub fn channel_errors(form: &Quadratic, weights: &DMatrix<f64>, other: &DMatrix<f64>) -> Result<Vec<f64>> {
    let columns = weights.column_iter().zip(other.column_iter());
    columns
        .map(|(w, v)| {
            form.check(w.as_slice())?;
            form.check(v.as_slice())?;
            Ok(form.error(w.as_slice(), v.as_slice()))
        })
        .collect()
}
