//! What the tests of several crates share: the way to data that is not in the repository, and small Llamas as files. Only tests
//! depend on it, and it knows only file formats.

mod llama;

use std::path::{Path, PathBuf};

pub use llama::{Llama, letters};

/// A file or folder of `LANTERN_DATA`, or of `shared/data` beside the repository; `None`, said, where it is not there: a test
/// without its data passes.
pub fn data(path: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = std::env::var_os("LANTERN_DATA").map_or(beside, PathBuf::from).join(path);
    if !found.exists() {
        println!("skipped: no {path} in LANTERN_DATA");
        return None;
    }
    Some(found)
}
