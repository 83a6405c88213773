//! Damaged files: whatever the bytes say, reading ends in a value or an error, without a panic and without holding
//! more memory than the file could justify.

mod common;
#[path = "../fuzz/gguf.rs"]
mod gguf;

use common::{Rng, sample_of_read_types};
use lantern_weights::{MemorySource, SafeDtype, Safetensors, SafetensorsWriter};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

/// The system's allocator, remembering each thread's largest single request.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn watch(size: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        watch(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        watch(new_size);
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// `good` with one to three wounds.
fn damage(rng: &mut Rng, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(6) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes.truncate(at.max(1)),
            3 => {
                // A length or count of an interesting size, where one may be.
                let lie = [0, 1, u64::MAX, 1 << 63, 1 << 32, bytes.len() as u64, rng.next()][rng.below(7)];
                let end = bytes.len().min(at + 8);
                bytes[at..end].copy_from_slice(&lie.to_le_bytes()[..end - at]);
            }
            4 => {
                // Another digit for the one that follows, where one does: JSON's numbers stay numbers.
                if let Some(digit) = bytes[at..].iter_mut().find(|b| b.is_ascii_digit()) {
                    *digit = b'0' + rng.below(10) as u8;
                }
            }
            _ => {
                bytes.remove(at);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Reads `cases` damaged copies of `good`. `read` says the code of a refusal, or `None` once it has checked what came
/// through. Every code in `codes` has to come up, so that the wounds reach every part of the header.
fn survive(seed: u64, cases: usize, good: &[u8], codes: &[&str], read: impl Fn(Vec<u8>) -> Option<&'static str>) {
    println!("seed {seed:#x}, {cases} cases");
    let mut rng = Rng(seed);
    let mut seen = BTreeMap::new();
    LARGEST.set(0);
    for _ in 0..cases {
        *seen.entry(read(damage(&mut rng, good)).unwrap_or("read")).or_insert(0) += 1;
    }
    let largest = LARGEST.get();
    println!("{seen:?}");
    for code in codes {
        assert!(seen.contains_key(code), "{code} never came up: {seen:?}");
    }
    assert!(largest <= 64 * 1024, "one allocation of {largest} bytes, for a file of {}", good.len());
}

#[test]
fn no_damaged_gguf_panics_or_allocates_hugely() {
    let good = sample_of_read_types(3).finish().unwrap();
    let codes = [
        "gguf.magic",
        "gguf.version",
        "gguf.truncated",
        "gguf.metadata",
        "gguf.tensor",
        "gguf.type",
        "weights.not_a_number",
        "read",
    ];
    survive(0x1a27_e260, 6000, &good, &codes, |bytes| gguf::read_all(&bytes));
}

/// Small files, each with one fault, damaged further: what is next to a fault is where the next one hides.
#[test]
fn no_damaged_file_of_the_corpus_panics() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/gguf");
    let mut rng = Rng(0xc0_7905);
    let mut cases = 0;
    for found in std::fs::read_dir(folder).unwrap() {
        let good = std::fs::read(found.unwrap().path()).unwrap();
        if !good.is_empty() {
            for _ in 0..150 {
                gguf::read_all(&damage(&mut rng, &good));
                cases += 1;
            }
        }
    }
    println!("seed 0xc07905, {cases} cases");
    assert!(cases > 10_000, "{cases}");
}

#[test]
fn no_damaged_safetensors_panics_or_allocates_hugely() {
    let mut writer = SafetensorsWriter::new();
    writer.metadata("format", "pt");
    for (name, dtype) in [("a.weight", SafeDtype::F32), ("b.weight", SafeDtype::F16), ("c.weight", SafeDtype::BF16)] {
        writer.tensor_f32(name, &[1, 4], &dtype, &[1.0, 2.0, 3.0, 4.0]).unwrap();
    }
    writer.tensor("none", &[0], &SafeDtype::F32, &[]);
    writer.tensor("bytes", &[10], &SafeDtype::Other("U8".into()), &[9; 10]);
    let good = writer.finish();
    let codes = ["safetensors.header", "safetensors.truncated", "safetensors.tensor", "read"];
    survive(0x5afe_7e50, 12000, &good, &codes, |bytes| {
        let len = bytes.len() as u64;
        // The second opinion: candle reads with the reference implementation.
        let theirs = candle_core::safetensors::SliceSafetensors::new(&bytes).is_ok();
        match pollster::block_on(Safetensors::read(&MemorySource::new(bytes))) {
            Ok(file) => {
                let mut end = file.tensors.first().map_or(len, |t| t.offset);
                for tensor in &file.tensors {
                    assert_eq!(tensor.offset, end, "each byte belongs to one tensor");
                    end += tensor.bytes;
                    assert_eq!(file.tensor(&tensor.name), Some(tensor));
                    if let Some(bits) = tensor.dtype.bits() {
                        assert_eq!(tensor.elements() * bits, tensor.bytes * 8);
                    }
                }
                assert_eq!(end, len);
                assert!(theirs || file.tensors.iter().any(|t| t.dtype.bits().is_none()), "the reference refuses it");
                None
            }
            Err(error) => {
                assert!(!theirs || error.cause.contains("too large to be true"), "the reference reads it: {error}");
                Some(error.code)
            }
        }
    });
}
