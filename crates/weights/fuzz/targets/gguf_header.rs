//! Any bytes: an error, or a file whose promises hold and whose weights can be read.
#![no_main]

#[path = "../gguf.rs"]
mod gguf;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    gguf::read_all(bytes);
});
