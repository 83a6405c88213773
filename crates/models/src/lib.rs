//! Networks, each built once as a graph and run by any executor.
//!
//! What must stay true: a model knows no device and no file format. Everything is made of primitives, in the shapes that
//! `lantern_graph::fuse` recognises, so that one description serves inference and learning.

pub mod adam;
pub mod autoencoder_kl;
pub mod llama;
pub mod nn;
mod parameters;
pub mod rope;
pub mod sampling;
pub mod taesd;

pub use parameters::{Delta, LowRank, Matrix, Parameters, Source, Start, Trained};
