//! What no code of a given rate can beat.

use crate::distribution::Distribution;
use std::f64::consts::{E, PI};

/// 6.02 dB a bit: the signal-to-noise ratio at the rate–distortion function of a Gaussian (Shannon 1959). No quantizer of a
/// Gaussian with codes of that many bits a weight, entropy coded or not, gets above.
pub fn gaussian_bound_db(bits: f64) -> f64 {
    20.0 * bits * 2f64.log10()
}

/// Shannon's lower bound on distortion, D ≥ 2^(2h − 2R) / (2πe), as the signal-to-noise ratio it allows at most, for a
/// distribution of energy `energy` and differential entropy `entropy_bits`. For a Gaussian it is [`gaussian_bound_db`].
pub fn shannon_lower_bound_db(energy: f64, entropy_bits: f64, bits: f64) -> f64 {
    gaussian_bound_db(bits) + 10.0 * (2.0 * PI * E * energy).log10() - gaussian_bound_db(entropy_bits)
}

/// −∫ p log₂ p of a symmetric distribution with a density, of scale near 1: Simpson's rule in ln w, 256 points an octave
/// of magnitudes that matter.
pub fn differential_entropy_bits(distribution: &dyn Distribution) -> f64 {
    let term = |w: f64| {
        let p = distribution.density(w);
        if p > 0.0 { -p * p.log2() } else { 0.0 }
    };
    // Near 0 there is one piece: the density is even and smooth there, and hardly any mass. Beyond, as far as mass is left.
    let near = 1e-3f64.min(1e-3 * distribution.reach()).min(distribution.magnitude_quantile(1e-4));
    let end = distribution.magnitude_quantile(1.0 - 1e-15).min(distribution.reach());
    let intervals = 2 * (128.0 * (end / near).log2()).ceil().max(1.0) as usize;
    let h = (end / near).ln() / intervals as f64;
    let at = |i: usize| {
        let w = near * (h * i as f64).exp();
        // The last point is the edge itself, not beyond it by a rounding.
        let w = w.min(end);
        term(w) * w
    };
    let inner: f64 = (1..intervals).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    2.0 * (near * term(0.5 * near) + h / 3.0 * (at(0) + inner + at(intervals)))
}
