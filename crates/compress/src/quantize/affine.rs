//! Uniform grids on values: scale · (code − zero point).

use super::range::{Range, best_of, best_share, percentile};
use crate::distribution::Scan;
use crate::theory::{Grid, best_step};

/// Groups up to this size try ranges on their values; larger ones search on their histogram.
const DIRECT: usize = 4096;

/// The grid of a group: an AIMET encoding has the same four numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Positive, and never 0: a group of zeros has scale 1 and codes of 0.
    pub scale: f32,
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

impl Affine {
    /// The nearest code. Ties go to even codes.
    pub fn code(&self, value: f32) -> i32 {
        // Saturates where the quotient is out of i32, which the clamp then brings back.
        ((value / self.scale).round_ties_even() as i32).saturating_add(self.zero_point).clamp(self.low, self.high)
    }

    pub fn value(&self, code: i32) -> f32 {
        (code - self.zero_point) as f32 * self.scale
    }

    pub fn round(&self, value: f32) -> f32 {
        self.value(self.code(value))
    }

    /// Codes from `low` to `high`, which are those of a [`Grid`]; zero point 0. `values` are finite.
    pub fn symmetric(values: &[f32], low: i32, high: i32, range: Range) -> Self {
        let with = |scale: f32| {
            let scale = if scale.is_normal() { scale } else { 1.0 };
            Self { scale, zero_point: 0, low, high }
        };
        let greatest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
        let widest = greatest / high as f32;
        match range {
            Range::MinMax => with(widest),
            Range::Percentile(p) => {
                let mut magnitudes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                with(percentile(&mut magnitudes, p) / high as f32)
            }
            Range::Mse if values.len() > DIRECT => with(searched(values, low, high).unwrap_or(widest)),
            Range::Mse | Range::Sqnr { .. } => {
                let at = |share: f64| with((f64::from(widest) * share) as f32);
                at(best_share(|share| at(share).error(values, range)))
            }
        }
    }

    /// Codes from 0 to 2ᵇ − 1, and 0 a level: the range is widened to hold it. `values` are finite.
    pub fn asymmetric(values: &[f32], bits: u32, range: Range) -> Self {
        let high = (1i32 << bits) - 1;
        let (mut least, mut greatest) = match range {
            Range::Percentile(p) => {
                let mut sorted = values.to_vec();
                (percentile(&mut sorted, 100.0 - p), percentile(&mut sorted, p))
            }
            _ => values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v))),
        };
        (least, greatest) = (least.min(0.0), greatest.max(0.0));
        let between = |least: f64, greatest: f64| {
            let scale = ((greatest - least) / f64::from(high)) as f32;
            let scale = if scale.is_normal() { scale } else { 1.0 };
            let zero_point = ((-least / f64::from(scale)).round() as i32).clamp(0, high);
            Self { scale, zero_point, low: 0, high }
        };
        let (least, greatest) = (f64::from(least), f64::from(greatest));
        if !range.is_searched() {
            return between(least, greatest);
        }
        // Both ends together, then each alone around what was found.
        let both = best_share(|share| between(least * share, greatest * share).error(values, range));
        let around = |share: f64| (-10..=10).map(move |i| (share * (1.0 + 0.03 * f64::from(i))).min(1.0));
        let a = best_of(around(both), |a| between(least * a, greatest * both).error(values, range));
        let b = best_of(around(both), |b| between(least * a, greatest * b).error(values, range));
        between(least * a, greatest * b)
    }

    /// Σ (w − ŵ)², clipped values weighted as `range` says.
    fn error(&self, values: &[f32], range: Range) -> f64 {
        let weight = range.clipped_weight();
        let (bottom, top) = (self.value(self.low), self.value(self.high));
        let half = 0.5 * self.scale;
        let each = values.iter().map(|v| {
            let error = f64::from(*v - self.round(*v)).powi(2);
            if *v < bottom - half || *v > top + half { weight * error } else { error }
        });
        each.sum()
    }
}

/// The best step by the histogram.
fn searched(values: &[f32], low: i32, high: i32) -> Option<f32> {
    let mut scan = Scan::default();
    scan.add(values);
    let summary = scan.finish().ok()?;
    let grid = if -low == high { Grid::Odd } else { Grid::Integer };
    let bits = 32 - (high as u32).leading_zeros() + 1;
    Some(best_step(&summary.histogram, grid, bits).step as f32)
}

/// Σ (w − ŵ)² of a grid without zero point, for many values: four at a time where the machine can.
///
/// In units of the step and in f32, summed in f64 by blocks: relative error below 1e-4 of the sum at 8 bits, which is
/// 0.0004 dB. `values` are finite.
pub fn squared_error(values: &[f32], step: f64, low: i32, high: i32) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 256;
    // Adding and taking away 1.5 · 2²³ rounds to the nearest integer, ties to even, without a call.
    const ROUND: f32 = 12_582_912.0;
    let inverse = (1.0 / step) as f32;
    let (low, high) = (low as f32, high as f32);
    let error = |value: f32| {
        let w = value * inverse;
        // Comparisons, not `clamp` or `max`: these are one instruction each in WebAssembly as well.
        let clipped = if w > high { high } else { w };
        let clipped = if clipped < low { low } else { clipped };
        let e = w - (clipped + ROUND - ROUND);
        e * e
    };
    let mut sum = 0f64;
    for block in values.chunks(BLOCK) {
        let mut lanes = [0f32; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for chunk in whole {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += error(*value);
            }
        }
        sum +=
            lanes.iter().map(|e| f64::from(*e)).sum::<f64>() + rest.iter().map(|v| f64::from(error(*v))).sum::<f64>();
    }
    sum * step * step
}
