//! The error of rounding to a grid.

use super::search;
use crate::distribution::{Distribution, Moments};
use crate::grid::{Codes, Grid};

/// Pieces of mass that make a rough landscape, and those few that may lie on a grid already: its valley is narrow.
const FEW: usize = 4096;
const VERY_FEW: usize = 512;
/// Of a scan over steps, where there are few.
const FINE_RATIO: f64 = 1.008;

/// The best step, and what it loses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestStep {
    pub step: f64,
    /// E[(w − ŵ)²].
    pub error: f64,
}

/// E[(w − ŵ)²] for ŵ the nearest point of a grid that holds 0.
///
/// A cell \[a, b\] with level g costs ∫ (w − g)² p; cells reach to the middle between levels, the outermost on.
pub fn quantization_error(distribution: &dyn Distribution, grid: &Grid) -> f64 {
    let ((low, high), step) = (grid.ends(), grid.scale);
    let up = |a| distribution.above(a);
    if distribution.is_symmetric() {
        let (short, long) = ((-low).min(high), (-low).max(high));
        let (short, long) = side_error(&up, step, short, long, distribution.reach());
        return short + long;
    }
    let down = |a| distribution.below(a);
    side_error(&up, step, high, high, distribution.reach()).0
        + side_error(&down, step, -low, -low, distribution.reach()).0
}

/// Errors on one side of zero of a grid that ends at level `short`, and of one that ends at `long` ≥ `short`.
fn side_error(tail: &dyn Fn(f64) -> Moments, step: f64, short: i32, long: i32, reach: f64) -> (f64, f64) {
    let mut rest = tail(0.0);
    let mut error = 0.0;
    let mut short_error = f64::NAN;
    for code in 0..=long {
        let level = f64::from(code) * step;
        if code == short {
            short_error = error + rest.error_from(level);
        }
        let edge = level + 0.5 * step;
        if code == long || edge > reach || rest.second == 0.0 {
            error += rest.error_from(level);
            break;
        }
        let next = tail(edge);
        error += (rest - next).error_from(level);
        rest = next;
    }
    // Where the distribution ends before `short` does, both grids are the same.
    (if short_error.is_nan() { error } else { short_error }, error)
}

/// The step of the least error.
///
/// Steps are tried at ratios of 2%, as far in both directions as bounds allow a better one, then the best of them are refined.
/// The bounds: a grid that reaches to R loses at least (√E[w²] − R)²; one that rounds |w| < step/2 to 0 loses at least their
/// energy.
///
/// Few weights, and weights whose magnitudes lie close together, as norms' do, have many narrow valleys, one for each way to
/// put some of them on levels. Those are scanned more finely, but not all found: the step of a hundred weights may be a
/// dB or so from the best at 8 bits, of ten thousand 0.05. A tensor's step is at last fitted to the codes that its
/// weights have.
pub fn best_step(distribution: &dyn Distribution, codes: Codes, bits: u32) -> BestStep {
    let (low, high) = codes.ends(bits);
    let longest = f64::from((-low).max(high));
    let energy = distribution.energy();
    let rms = energy.sqrt();
    let error = |step: f64| quantization_error(distribution, &codes.grid(bits, step));
    // Magnitudes that spread less than a third of their mean.
    let is_narrow = distribution.beyond(0.0).first.powi(2) > 0.9 * energy;
    let pieces = distribution.pieces().unwrap_or(usize::MAX);
    // A part of a level at the grid's end, as far as that can be paid.
    let finer = match () {
        () if pieces <= VERY_FEW => 1.0 + 0.25 / longest,
        () if is_narrow || pieces <= FEW => (1.0 + 0.5 / longest).max(FINE_RATIO),
        () => search::RATIO,
    };
    let ratio = finer.min(search::RATIO);
    let found = search::minimize_log(
        &error,
        rms * (1.0 + 0.4 * f64::from(bits)) / longest,
        ratio,
        &|step, best| longest * step >= rms * (1.0 - (best / energy).sqrt()),
        &|step, best| energy - distribution.beyond(0.5 * step).second <= best,
    );
    let found = BestStep { step: found.at, error: found.value };
    if distribution.pieces().is_none() {
        return found;
    }
    let mut best = found;
    // Fitted to its codes, new codes, and so on: a few rounds end it.
    for _ in 0..8 {
        let step = fitted_step(distribution, &codes.grid(bits, best.step));
        let next = BestStep { step, error: error(step) };
        if next.error >= best.error {
            break;
        }
        best = next;
    }
    best
}

/// The step of the least error for weights that stay on the codes they have: Σ cw / Σ c².
fn fitted_step(distribution: &dyn Distribution, grid: &Grid) -> f64 {
    let (low, high) = grid.ends();
    let side = |tail: &dyn Fn(f64) -> Moments, last: i32| {
        // Σ c · (what is in its cell) is the sum of what is beyond each cell's lower edge; likewise Σ c² with 2c − 1.
        (1..=last).fold((0.0, 0.0), |(products, squares), code| {
            let beyond = tail((f64::from(code) - 0.5) * grid.scale);
            (products + beyond.first, squares + f64::from(2 * code - 1) * beyond.mass)
        })
    };
    let (up, down) = (side(&|a| distribution.above(a), high), side(&|a| distribution.below(a), -low));
    let squares = up.1 + down.1;
    if squares > 0.0 { (up.0 + down.0) / squares } else { grid.scale }
}

/// E[(w − ŵ)²] for ŵ the nearest of `levels`, which ascend: codebooks such as NF4, and grids with a zero point.
pub fn codebook_error(distribution: &dyn Distribution, levels: &[f64]) -> f64 {
    let (above, below) = (distribution.above(0.0), distribution.below(0.0).mirrored());
    let from = |a: f64| {
        if a >= 0.0 { distribution.above(a) } else { above + (below - distribution.below(-a).mirrored()) }
    };
    let mut rest = above + below;
    let mut error = 0.0;
    for (i, level) in levels.iter().enumerate() {
        let next = levels.get(i + 1).map_or(Moments::ZERO, |next| from(0.5 * (level + next)));
        error += (rest - next).error_from(*level);
        rest = next;
    }
    error
}
