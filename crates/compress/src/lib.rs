//! Pruning or quantization: which loses less at the same size, by theory and on real weights.
//!
//! After "Pruning vs Quantization: Which is Better?" (Kuzmin et al., NeurIPS 2023). Pure functions on numbers: no device,
//! no page, no clock, no thread. Distributions say what mass, mean and energy lie beyond a point ([`distribution`]); from
//! that follow the error a grid or a threshold makes and the best of both ([`theory`]). A tensor's histogram is one more
//! distribution, so real weights go through the same search ([`layers`]).
//!
//! Where a layer's inputs are known, what counts is its output: [`layerwise`] has the methods that use them, [`bounds`] what
//! is provably best, and [`network`] takes a whole model through them, on whatever executor it is given.
//!
//! Signal-to-noise ratios are 10 log₁₀(E\[w²\] / E\[(w − ŵ)²\]), in dB. Kurtosis is non-excess: 3 for a Gaussian.

pub mod bounds;
pub mod cost;
pub mod distribution;
pub mod grid;
pub mod layers;
pub mod layerwise;
pub mod network;
pub mod prune;
mod quadratic;
pub mod quantize;
pub mod theory;

pub use quadratic::{Gram, MAX_INPUTS, Quadratic, SINGULAR_DAMPING};

/// 10 log₁₀(energy / error): infinite where nothing is lost.
pub fn snr_db(energy: f64, error: f64) -> f64 {
    // An empty sum is −0.
    10.0 * (energy / error.abs()).log10()
}
