//! Pruning or quantization: quantizers, pruners, their theory, and what is provably best.

pub mod bounds;
pub mod cost;
pub mod layerwise;
pub mod network;
mod quadratic;

pub use quadratic::{Gram, MAX_INPUTS, Quadratic, SINGULAR_DAMPING, snr_db};
