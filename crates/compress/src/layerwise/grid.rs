//! The grid a weight is put on: scale · k with integers k between two ends, as GGUF's blocks hold it (no zero point, the
//! scale an f16, of either sign).

use half::f16;
use lantern_graph::{Error, Result};

pub use crate::quantize::Granularity;

/// scale · k, k from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Never 0: a group of zeros has a scale of 1 and codes of 0.
    pub scale: f64,
    pub low: i32,
    pub high: i32,
}

/// How wide the grid is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The value of greatest magnitude is the grid's end.
    MinMax,
    /// The scale of the smallest squared error, searched in shares of min-max: a hundred steps down to a quarter of it.
    Mse,
}

/// What is quantized to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantizer {
    /// 2 to 8: codes from −2^(bits − 1) to 2^(bits − 1) − 1.
    pub bits: u32,
    pub granularity: Granularity,
    pub range: Range,
    /// The scale may be negative, so that the longer half of the grid lies where the longer tail of the weights is: half a bit
    /// at 2 bits, and free, since files hold the scale's sign. Textbook grids have it positive.
    pub either_sign: bool,
}

/// [`Range::Mse`] tries so many shares of min-max, down to a quarter of it, where 2-bit Gaussians are long past their optimum
/// (0.4 at a million values), then so many on either side of the best, as far as its neighbours.
const COARSE: i32 = 25;
const FINE: i32 = 4;

impl Quantizer {
    /// # Errors
    /// `compress.bits`, `compress.group`.
    pub fn check(&self) -> Result<()> {
        if !(2..=8).contains(&self.bits) {
            return Err(Error::new(
                "compress.bits",
                format!("{} bits a weight were asked for", self.bits),
                "ask for 2 to 8",
            ));
        }
        if self.granularity == Granularity::Group(0) {
            return Err(Error::new("compress.group", "groups of 0 weights", "share a scale among 1 weight or more"));
        }
        Ok(())
    }

    /// Neighbours in a row of `n` that share a scale.
    pub fn group(&self, n: usize) -> usize {
        match self.granularity {
            Granularity::Group(size) => size.clamp(1, n.max(1)),
            Granularity::Tensor | Granularity::Channel => n.max(1),
        }
    }

    /// The grid for these values. Scales are rounded to f16, which is what files hold.
    pub fn fit(&self, values: &[f64]) -> Grid {
        let (low, high) = (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1);
        let extreme = values.iter().fold(0f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        let signed = extreme / f64::from(low);
        let widest = if self.either_sign { signed } else { extreme.abs() / f64::from(high) };
        let grid = |scale: f64| {
            let scale = f64::from(f16::from_f64(scale).to_f32());
            let scale = if scale == 0.0 || !scale.is_finite() { 1.0 } else { scale };
            Grid { scale, low, high }
        };
        if self.range == Range::MinMax || widest == 0.0 {
            return grid(widest);
        }
        let attempt = |share: f64| {
            let candidate = grid(widest * share);
            let error: f64 = values.iter().map(|v| (v - candidate.round(*v)).powi(2)).sum();
            (error, share, candidate)
        };
        let better = |a: (f64, f64, Grid), b: (f64, f64, Grid)| if b.0 < a.0 { b } else { a };
        let coarse = (0..COARSE).map(|i| 1.0 - 0.75 * f64::from(i) / f64::from(COARSE));
        let signs = if self.either_sign { &[1.0, -1.0][..] } else { &[1.0] };
        let shares = coarse.flat_map(|share| signs.iter().map(move |sign| sign * share));
        let best = shares.map(attempt).reduce(better).unwrap_or_else(|| attempt(1.0));
        let step = 0.75 / f64::from(COARSE * FINE);
        let around = (1..FINE).flat_map(|i| [best.1 + step * f64::from(i), best.1 - step * f64::from(i)]);
        around.map(attempt).fold(best, better).2
    }
}

impl Grid {
    /// The nearest code; 0 for what is not a number.
    pub fn code(&self, value: f64) -> i32 {
        // Rounds to the nearest, ties to even, by addition: `f64::round` is a call on x86 and in wasm32, and searches for scales
        // do little else.
        const ROUND: f64 = (1u64 << 52) as f64 * 1.5;
        let inside = (value / self.scale).clamp(f64::from(self.low), f64::from(self.high));
        ((inside + ROUND) - ROUND) as i32
    }

    pub fn value(&self, code: i32) -> f64 {
        self.scale * f64::from(code)
    }

    /// The nearest grid point.
    pub fn round(&self, value: f64) -> f64 {
        self.value(self.code(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B4: Quantizer =
        Quantizer { bits: 4, granularity: Granularity::Channel, range: Range::MinMax, either_sign: true };

    #[test]
    fn min_max_reaches_the_extreme_of_either_sign_and_zeros_stay_zeros() {
        for extreme in [3.0, -3.0] {
            let grid = B4.fit(&[0.1, extreme, -0.5]);
            assert!((grid.round(extreme) - extreme).abs() < 2e-3, "{grid:?}");
        }
        let grid = B4.fit(&[0.0; 4]);
        assert_eq!((grid.scale, grid.round(0.0)), (1.0, 0.0));
        // Below f16's smallest: zero, not a division by it.
        assert_eq!(B4.fit(&[1e-12]).round(1e-12), 0.0);
    }

    #[test]
    fn a_searched_range_is_never_worse_than_min_max() {
        let mse = Quantizer { range: Range::Mse, ..B4 };
        let values: Vec<f64> = (0..200).map(|i| ((i * 37 % 101) as f64 / 50.0 - 1.0).powi(3)).collect();
        let error = |grid: Grid| values.iter().map(|v| (v - grid.round(*v)).powi(2)).sum::<f64>();
        for bits in 2..=8 {
            let narrow = error(Quantizer { bits, ..mse }.fit(&values));
            assert!(narrow <= error(Quantizer { bits, ..B4 }.fit(&values)), "{bits} bits");
        }
    }

    #[test]
    fn bits_and_groups_out_of_range_are_refused() {
        for bits in [0, 1, 9, 40] {
            assert_eq!(Quantizer { bits, ..B4 }.check().unwrap_err().code, "compress.bits");
        }
        let none = Quantizer { granularity: Granularity::Group(0), ..B4 };
        assert_eq!(none.check().unwrap_err().code, "compress.group");
        assert_eq!((B4.group(7), Quantizer { granularity: Granularity::Group(32), ..B4 }.group(7)), (7, 7));
    }
}
