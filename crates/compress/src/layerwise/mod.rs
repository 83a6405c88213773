//! Post-training compression of one layer, and what it may know: the layer's weights, and H = XᵀX of its inputs.
//!
//! A layer here is a matrix `[n, channels]`, a column a channel: what a file stores as `[channels, n]` row by row.

mod bias;
mod hadamard;
mod matrix;
pub(crate) mod obs;
mod prune;
mod quantize;
mod quantized;
mod sweep;

pub use bias::bias_correction;
pub use hadamard::Rotation;
pub use matrix::{channels, floats, magnitude, masked};
pub use obs::obs;
pub use prune::{joint, refit, sparsegpt};
pub use quantize::{GptqOptions, better_of, channel_errors, gptq, one_opt, round_to_nearest};
pub use quantized::QuantizedLayer;
pub use sweep::{DAMPING, Factor, Order};
