//! How far a grid reaches.

use lantern_graph::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// To the extremes: nothing is clipped.
    MinMax,
    /// To this percentile of magnitudes (of both ends, with a zero point), over 0 to 100.
    Percentile(f64),
    /// Where the squared error is least, among ranges *relative* to min-max, a quarter of a percent apart.
    Mse,
    /// As `Mse`, with errors of clipped values counted this many times: AIMET's TF-enhanced range takes 3.
    Sqnr { clipped_weight: f64 },
}

/// Ranges that are told apart: 1/400, 2/400, … of min-max.
const CANDIDATES: i32 = 400;
/// Every sixteenth is tried first, then every fourth around the best, then each.
const COARSE: usize = 16;
const FINER: usize = 4;

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
}

/// What was tried, and its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate<T> {
    pub error: f64,
    pub of: T,
}

/// The candidate of the least `error`, the first of equals.
pub(super) fn best_of<T>(
    candidates: impl IntoIterator<Item = T>,
    mut error: impl FnMut(&T) -> f64,
) -> Option<Candidate<T>> {
    let each = candidates.into_iter().map(|of| Candidate { error: error(&of), of });
    each.reduce(|best, other| if other.error < best.error { other } else { best })
}

/// The share of min-max with the least `error`: never a greater one than min-max itself. A little more than all of it is tried too,
/// since at 8 bits what counts is how the values happen to lie on the grid.
pub(super) fn best_share(mut error: impl FnMut(f64) -> f64) -> Candidate<f64> {
    let share = |i: i32| f64::from(i) / f64::from(CANDIDATES);
    let mut try_all = |candidates: &mut dyn Iterator<Item = i32>| best_of(candidates, |i| error(share(*i)));
    let mut best = try_all(&mut (1..=CANDIDATES).rev().step_by(COARSE)).expect("min-max is one");
    let mut step = COARSE;
    while step > 1 {
        let reach = step as i32;
        step /= FINER;
        let around = (best.of - reach + step as i32..best.of + reach).step_by(step);
        let finer = try_all(&mut around.filter(|i| *i > 0 && *i != best.of));
        best = finer.filter(|finer| finer.error < best.error).unwrap_or(best);
    }
    Candidate { error: best.error, of: share(best.of) }
}

/// The value that a share `percentile`/100 of `values` does not exceed, 0 of none; values need no order.
pub(super) fn percentile(values: &mut [f32], percentile: f64) -> f32 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let rank = (percentile / 100.0 * last as f64).round() as usize;
    *values.select_nth_unstable_by(rank.min(last), f32::total_cmp).1
}
