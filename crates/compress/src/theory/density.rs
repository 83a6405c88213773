//! Where the error comes from: p(w) · (w − ŵ)², the curves whose areas are the errors.

use super::Comparison;
use crate::distribution::Distribution;
use crate::grid::Codes;

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LossDensity {
    pub w: f64,
    /// p(w).
    pub density: f64,
    /// p(w) · (w − ŵ)² of the quantizer.
    pub quantization: f64,
    /// p(w) · w² where w is pruned.
    pub pruning: f64,
}

/// Both methods as compared, at each of `points`.
pub fn loss_densities(
    distribution: &dyn Distribution,
    comparison: &Comparison,
    codes: Codes,
    points: impl IntoIterator<Item = f64>,
) -> Vec<LossDensity> {
    let grid = codes.grid(comparison.bits, comparison.step);
    let at = |w: f64| {
        let density = distribution.density(w);
        LossDensity {
            w,
            density,
            quantization: density * (w - grid.round(w)).powi(2),
            pruning: if w.abs() < comparison.threshold { density * w * w } else { 0.0 },
        }
    };
    points.into_iter().map(at).collect()
}
