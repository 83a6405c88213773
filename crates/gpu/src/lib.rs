//! Runs a graph on wgpu.
//!
//! The work is data: a graph is lowered to steps (`lower/`), its temporaries are placed in a few arenas (`memory.rs`), and
//! a [`Plan`] is the recorded list of {pipeline, bind group, grid}. Running it is writing the symbols' numbers into one
//! uniform buffer and encoding the list again: no bind group is made per token.
//!
//! Synchronization is WebGPU's: dispatches of one queue run in order and see each other's writes. A dispatch never reads
//! and writes the same buffer, except a state it updates in place.
//!
//! What must stay true: only this crate names wgpu; a kernel states its tiers in `ops/` and nothing else asks what
//! the adapter is; no kernel runs on a visitor's driver before its self-test passed there twice (`selftest.rs`).

mod bench;
mod caps;
mod device;
mod executor;
mod format;
mod frame;
mod kernel;
mod lower;
mod memory;
mod ops;
mod pipeline;
mod prepare;
mod race;
mod repack;
mod selftest;
mod session;
mod shader;
mod shaders;
mod slices;
mod state;
mod step;
mod wait;
#[cfg(target_arch = "wasm32")]
mod web;
mod weights;

pub use bench::{
    BenchOptions, BenchReport, KernelTime, Limits, Operation, Profile, SHADER_CHECKS, bench, limits, profile,
};
pub use caps::{Capabilities, Tier};
pub use device::{AdapterReport, Gpu, GpuOptions};
pub use format::Format;
pub use frame::{GpuFrame, GpuSurface};
pub use kernel::{Adds, Choice, Kernel};
pub use pipeline::{ShaderPatch, StepDown};
pub use race::{Decided, Race, Winner};
pub use session::{DispatchTimes, GpuSession, Plan, Work};
pub use shaders::{ShaderText, shaders};
pub use weights::{GpuWeights, weight_bytes};
