//! What the tests of this crate share: reading a file's vocabulary.
#![allow(dead_code, reason = "each test binary uses its part")]

use lantern_graph::Result;
pub use lantern_testing::data;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf};
use std::path::Path;

pub fn tokenizer(path: &str) -> Option<Tokenizer> {
    Some(read(&data(path)?).unwrap())
}

pub fn read(file: &Path) -> Result<Tokenizer> {
    let source = FileSource::open(file)?;
    let gguf = pollster::block_on(Gguf::read(&source))?;
    Tokenizer::from_gguf(&gguf.metadata)
}

pub fn json(path: &str) -> Option<serde_json::Value> {
    Some(serde_json::from_slice(&std::fs::read(data(path)?).unwrap()).unwrap())
}

pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}
