//! Model files: where their bytes come from, what a GGUF says about itself, and how its blocks turn into numbers.
//!
//! This crate knows files and no device. It reads through [`ByteSource`], which is async and random-access, so that
//! the page can back it with OPFS, `fetch` or a `Blob` and the command line with a file. A header is read in chunks;
//! tensor data is never read here unless asked for, tensor by tensor, range by range.
//!
//! Whatever a file says is untrusted: no count or length in it is allocated for, indexed with, or added to an offset
//! before it has been checked against the bytes that are there.

mod cursor;
mod ggml;
mod gguf;
mod gguf_write;
mod metadata;
mod source;

pub use ggml::{GgmlType, dequantize, quantize, quantize_q4_0, quantize_q8_0};
pub use gguf::{Gguf, TensorInfo};
pub use gguf_write::GgufWriter;
pub use metadata::{Metadata, Value};
#[cfg(not(target_arch = "wasm32"))]
pub use source::FileSource;
pub use source::{ByteSource, MemorySource};
