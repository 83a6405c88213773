//! How far a grid reaches.

use lantern_graph::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// To the extremes: nothing is clipped.
    MinMax,
    /// To this percentile of magnitudes (of both ends, with a zero point), over 0 to 100.
    Percentile(f64),
    /// Where the squared error is least, among a hundred ranges *relative* to min-max.
    Mse,
    /// As `Mse`, with errors of clipped values counted this many times: AIMET's TF-enhanced range takes 3.
    Sqnr { clipped_weight: f64 },
}

/// Ranges tried, evenly spaced: 1/100, 2/100, … of min-max.
const CANDIDATES: u32 = 100;

impl Range {
    /// # Errors
    /// `compress.range`.
    pub fn check(self) -> Result<()> {
        let refuse = |cause: String, remedy: &str| Err(Error::new("compress.range", cause, remedy));
        match self {
            Self::Percentile(p) if !(p > 0.0 && p <= 100.0) => {
                refuse(format!("a range to percentile {p}"), "ask for more than 0, and 100 at most")
            }
            Self::Sqnr { clipped_weight: w } if !(w.is_finite() && w >= 0.0) => {
                refuse(format!("clipped values weighted {w}"), "give a number from 0 on")
            }
            _ => Ok(()),
        }
    }

    /// How often a clipped value's error counts.
    pub(super) fn clipped_weight(self) -> f64 {
        match self {
            Self::Sqnr { clipped_weight } => clipped_weight,
            _ => 1.0,
        }
    }

    /// Whether candidates are compared at all.
    pub(super) fn is_searched(self) -> bool {
        matches!(self, Self::Mse | Self::Sqnr { .. })
    }
}

/// The share of min-max, in 0..=1, with the least `error`.
pub(super) fn best_share(error: impl FnMut(f64) -> f64) -> f64 {
    best_of((1..=CANDIDATES).rev().map(|i| f64::from(i) / f64::from(CANDIDATES)), error)
}

/// The candidate of the least `error`, the first of equals.
pub(super) fn best_of(candidates: impl Iterator<Item = f64>, mut error: impl FnMut(f64) -> f64) -> f64 {
    let mut best = (f64::INFINITY, 1.0);
    for candidate in candidates {
        let value = error(candidate);
        if value < best.0 {
            best = (value, candidate);
        }
    }
    best.1
}

/// The value that a share `percentile`/100 of `values` does not exceed; values need no order.
pub(super) fn percentile(values: &mut [f32], percentile: f64) -> f32 {
    let last = values.len() - 1;
    let rank = (percentile / 100.0 * last as f64).round() as usize;
    *values.select_nth_unstable_by(rank.min(last), f32::total_cmp).1
}
