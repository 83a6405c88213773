//! A whole model compressed: read block by block, rewritten, calibrated, compressed and written, a block in memory at a time.

mod apply;
mod block;
mod calibrate;
mod layer;

pub use apply::{Applied, LayerReport, Original, apply};
pub use block::{Block, LINEAR, NORMS, rotate_embedding, rotate_output};
pub use calibrate::{Calibrator, Inputs};
pub use layer::{ApplyOptions, Method};
