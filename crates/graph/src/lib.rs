//! A description of the work, on no device.
//!
//! A model is written once, as a [`Graph`] of primitive operations over [`Shape`]s that may hold a few bounded symbols.
//! [`backward`] appends the derivatives, [`fuse`] rewrites what executors have one kernel for, and an [`Executor`]
//! compiles the result into a plan it can replay.
//!
//! Executors keep one [`contract`], which is checked here.
//!
//! What must stay true: this crate depends on nothing, names no device and no file format; every primitive has a
//! derivative or says in its documentation why not; a fused operation computes what the primitives it replaces compute.

pub mod contract;
mod error;
mod executor;
pub mod f16;
mod frame;
mod fuse;
mod grad;
mod graph;
mod memory;
mod op;
mod ops;
mod pace;
mod queue;
mod shape;
mod state;

pub use error::{Error, Result};
pub use executor::{Cancel, Description, Executor, FEW_ROWS, Later, MANY_ROWS, Oracle, Session, Value};
pub use frame::{Alpha, Crop, Filter, FrameSpec, Frames, MOST_SHRINK, MOST_SIDE, PlanOf, Transfer};
pub use fuse::fuse;
pub use grad::backward;
pub use graph::{Graph, InputSpec, Node, NodeId, StateId, SymbolSpec, WeightId, WeightSpec};
pub use memory::{Account, Entry};
pub use op::{Activation, Binary, DType, Epilogue, Index, MAX_TOP_K, Op, Reduction, Unary};
pub use ops::attention::{Attention, Mask};
pub use ops::convolution::Window;
pub use ops::picture::ResizeMode;
pub use pace::Pace;
pub use queue::{Class, Clock, Entered, Member, Newest, Pause, Queue, Turn};
pub use shape::{Bindings, Count, Dim, Shape, Symbol};
pub use state::{BUCKET_ROWS, StateOptions, StateSpec, Touch, bucket};
