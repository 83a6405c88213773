//! Any bytes: an error or a file whose promises hold.
#![no_main]

use lantern_weights::{Gguf, MemorySource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(gguf) = pollster::block_on(Gguf::read(&MemorySource::new(bytes))) else { return };
    for tensor in &gguf.tensors {
        assert!(tensor.offset + tensor.bytes <= bytes.len() as u64);
        assert!(tensor.offset.is_multiple_of(gguf.alignment.into()));
        let _ = (tensor.supported(), tensor.elements(), tensor.row_bytes());
    }
});
