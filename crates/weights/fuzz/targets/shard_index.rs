//! Any bytes: an error with the list's name, or a list that names files beside itself and no others.
#![no_main]

use lantern_weights::{ModelIndex, ShardIndex};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match ShardIndex::parse(bytes, "a.index.json") {
        Ok(index) => {
            assert!(!index.is_empty() && index.files().len() <= index.len());
            for file in index.files() {
                assert!(file.ends_with(".safetensors") && !file.contains(['/', '\\', ':']) && !file.starts_with('.'));
            }
        }
        Err(error) => assert!(error.code == "safetensors.index" && error.cause.len() < 2000, "{error}"),
    }
    match ModelIndex::parse(bytes) {
        Ok(index) => {
            for part in &index.parts {
                assert!(!part.role.contains(['/', '\\', ':']) && !part.role.starts_with('.'));
            }
        }
        Err(error) => assert!(error.code == "model.index" && error.cause.len() < 2000, "{error}"),
    }
});
