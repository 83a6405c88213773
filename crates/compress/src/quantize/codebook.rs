//! Grids that are not uniform: NF4, FP4, FP8.

use super::range::{Range, best_share, percentile};

/// NF4's levels: quantiles of N(0, 1) scaled to ±1, with a 0 (Dettmers et al., QLoRA, 2023, appendix E).
pub const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// FP4 E2M1 (OCP Microscaling Formats 1.0, 5.3.3), both signs.
pub const FP4_E2M1: [f32; 15] = [-6.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// The largest finite E4M3.
pub const FP8_E4M3_MAX: f32 = 448.0;
const FP8_E5M2_MAX: f32 = 57344.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codebook {
    Nf4,
    Fp4E2m1,
    Fp8E4m3,
    Fp8E5m2,
}

impl Codebook {
    /// Of a code.
    pub fn bits(self) -> f64 {
        match self {
            Self::Nf4 | Self::Fp4E2m1 => 4.0,
            Self::Fp8E4m3 | Self::Fp8E5m2 => 8.0,
        }
    }

    /// The largest level.
    pub fn greatest(self) -> f32 {
        match self {
            Self::Nf4 => 1.0,
            Self::Fp4E2m1 => 6.0,
            Self::Fp8E4m3 => FP8_E4M3_MAX,
            Self::Fp8E5m2 => FP8_E5M2_MAX,
        }
    }

    /// The level nearest to a number in its own units; the largest where the number is beyond it.
    pub fn nearest(self, value: f32) -> f32 {
        match self {
            Self::Nf4 => nearest(&NF4, value),
            Self::Fp4E2m1 => nearest(&FP4_E2M1, value),
            Self::Fp8E4m3 => fp8_e4m3(value),
            Self::Fp8E5m2 => fp8_e5m2(value),
        }
    }

    pub fn round(self, value: f32, scale: f32) -> f32 {
        self.nearest(value / scale) * scale
    }

    /// The scale of a group of finite values: 1 for zeros.
    pub(super) fn fit(self, values: &[f32], range: Range) -> f32 {
        let with = |end: f64| {
            let scale = (end / f64::from(self.greatest())) as f32;
            if scale.is_normal() { scale } else { 1.0 }
        };
        let end = f64::from(values.iter().fold(0f32, |m, v| m.max(v.abs())));
        match range {
            Range::MinMax => with(end),
            Range::Percentile(p) => {
                let mut magnitudes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                with(f64::from(percentile(&mut magnitudes, p)))
            }
            Range::Mse | Range::Sqnr { .. } => {
                with(end * best_share(|share| self.error(values, with(end * share), range)).of)
            }
        }
    }

    fn error(self, values: &[f32], scale: f32, range: Range) -> f64 {
        let (weight, end) = (range.clipped_weight(), self.greatest() * scale);
        let each = values.iter().map(|v| {
            let error = f64::from(*v - self.round(*v, scale)).powi(2);
            if v.abs() > end { weight * error } else { error }
        });
        each.sum()
    }
}

/// The nearest of ascending levels, the lower of two.
fn nearest(levels: &[f32], value: f32) -> f32 {
    let above = levels.partition_point(|l| *l < value);
    match (above.checked_sub(1).map(|i| levels[i]), levels.get(above)) {
        (Some(a), Some(b)) => {
            if value - a <= b - value {
                a
            } else {
                *b
            }
        }
        (Some(a), None) => a,
        (None, b) => b.copied().unwrap_or(0.0),
    }
}

/// The nearest FP8 E4M3 (OFP8: bias 7, no infinities, greatest 448), ties to even, saturating.
pub fn fp8_e4m3(value: f32) -> f32 {
    small_float(value, 3, -6, FP8_E4M3_MAX)
}

/// The nearest FP8 E5M2 (OFP8: bias 15), ties to even, saturating at 57344.
pub fn fp8_e5m2(value: f32) -> f32 {
    small_float(value, 2, -14, FP8_E5M2_MAX)
}

/// With so many bits of mantissa and exponents from `least` on, below which steps stay even.
fn small_float(value: f32, mantissa: i32, least: i32, greatest: f32) -> f32 {
    let exponent = ((value.abs().to_bits() >> 23) as i32 - 127).max(least);
    let step = 2f32.powi(exponent - mantissa);
    ((value / step).round_ties_even() * step).clamp(-greatest, greatest)
}
