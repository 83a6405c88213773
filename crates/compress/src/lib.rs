//! Pruning or quantization: quantizers, pruners, their theory, and what is provably best.

pub mod bounds;
pub mod layerwise;
mod quadratic;

pub use quadratic::{Gram, MAX_INPUTS, Quadratic, SINGULAR_DAMPING, snr_db};
