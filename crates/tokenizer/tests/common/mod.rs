//! What the tests of this crate share: the way to the shared data, and reading a file's vocabulary.
#![allow(dead_code, reason = "each test binary uses its part")]

use lantern_graph::Result;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf};
use std::path::{Path, PathBuf};

/// `LANTERN_DATA`, or the `shared/data` folder beside the repository; `None`, said, when the file is not there.
pub fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LANTERN_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let file = root.join(path);
    if !file.exists() {
        println!("skipped: no {path} in LANTERN_DATA");
        return None;
    }
    Some(file)
}

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
