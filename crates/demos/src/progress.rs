//! How far a start has come.

/// What a start is doing, in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The engine itself arrives.
    Code,
    /// The model's bytes are read and handed to the device.
    Weights,
    /// The device has all of them.
    Upload,
    /// Plans and pipelines are made.
    Compile,
    Run,
}

/// `done` of `total`: bytes for `Weights` and `Upload`, plans for `Compile`, floating-point operations for `Run`,
/// as the executor weighs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    pub total: u64,
}
