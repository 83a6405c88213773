//! The error of magnitude pruning.

use crate::distribution::Distribution;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pruned {
    /// τ: the weights with |w| < τ become 0.
    pub threshold: f64,
    /// The share of weights that are pruned.
    pub sparsity: f64,
    /// E[(w − ŵ)²]: the energy of what is pruned.
    pub error: f64,
}

/// Prunes a share `sparsity`, clamped to 0..=1, of the smallest weights.
pub fn pruning(distribution: &dyn Distribution, sparsity: f64) -> Pruned {
    let sparsity = sparsity.clamp(0.0, 1.0);
    let threshold = distribution.magnitude_quantile(sparsity);
    let all = distribution.beyond(0.0);
    let kept = distribution.beyond(threshold);
    // Where many weights share the threshold's magnitude, as in a file of few values, only some of them are kept.
    let of_threshold = (1.0 - sparsity) * all.mass - kept.mass;
    let error = distribution.energy_within(threshold) - of_threshold * threshold * threshold;
    Pruned { threshold, sparsity, error: error.max(0.0) }
}
