//! Model files: where their bytes come from, what a GGUF or safetensors file says about itself, whose name is whose,
//! and how rows of stored numbers turn into what a graph asks for.
//!
//! This crate knows files and no device. It reads through [`ByteSource`], which is async and random-access, so that
//! the page can back it with OPFS, `fetch` or a `Blob` and the command line with a file. A header is read in chunks;
//! tensor data is never read here unless asked for, tensor by tensor, range by range.
//!
//! Whatever a file says is untrusted: no count or length in it is allocated for, indexed with, or added to an offset
//! before it has been checked against the bytes that are there.

mod blocks;
mod cursor;
pub mod download;
mod fill;
mod finite;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
mod ggml;
mod gguf;
mod gguf_stream;
mod gguf_write;
mod k_quants;
mod k_search;
mod metadata;
mod names;
mod parts;
mod quantize;
mod rows;
mod safetensors;
mod safetensors_write;
mod shards;
mod shared;
mod source;
mod split;
mod stranger;
mod templates;

pub use blocks::{quantize_q4_0, quantize_q8_0};
pub use fill::{fill, fill_values};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::{model_files, model_index};
pub use ggml::{GgmlType, dequantize, quantize};
pub use gguf::{Gguf, TensorInfo};
pub use gguf_stream::{EncodedMetadata, GgufStream, TensorHead};
pub use gguf_write::GgufWriter;
pub use metadata::{Metadata, Value, passed_over};
pub use names::{Chosen, NameMap};
pub use parts::{ModelIndex, PartClass};
pub use quantize::{Planned, QuantizeOptions, QuantizePlan};
pub use rows::{RowChunk, Rows};
pub use safetensors::{SafeDtype, SafeTensor, Safetensors};
pub use safetensors_write::SafetensorsWriter;
pub use shards::{ShardIndex, lacks, read_table, read_tables};
pub use shared::SharedWeights;
#[cfg(not(target_arch = "wasm32"))]
pub use source::FileSource;
pub use source::{ByteSource, Joined, MemorySource, Origin};
pub use split::safetensors_part;
pub use templates::ChatTemplates;
