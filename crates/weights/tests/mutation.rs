//! Damaged files: whatever the bytes say, reading ends in a value or an error, without a panic and without holding
//! more memory than the file could justify.

mod common;

use common::{Rng, sample};
use lantern_weights::{Gguf, MemorySource};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, remembering the largest single request.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        LARGEST.fetch_max(new_size, Ordering::Relaxed);
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

#[test]
fn no_damage_panics_or_allocates_hugely() {
    const SEED: u64 = 0x1a27_e260;
    const CASES: usize = 6000;
    println!("seed {SEED:#x}, {CASES} cases");
    let good = sample(3).finish().unwrap();
    let mut rng = Rng(SEED);
    let mut survived = 0;
    let mut codes = std::collections::BTreeMap::new();
    LARGEST.store(0, Ordering::Relaxed);
    for case in 0..CASES {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(bytes.len());
            match rng.below(5) {
                0 => bytes[at] = rng.next() as u8,
                1 => bytes[at] ^= 1 << rng.below(8),
                2 => bytes.truncate(at.max(1)),
                3 => {
                    // A length or count of an interesting size, where one may be.
                    let lie = [0, 1, u64::MAX, 1 << 63, 1 << 32, bytes.len() as u64, rng.next()][rng.below(7)];
                    let end = bytes.len().min(at + 8);
                    bytes[at..end].copy_from_slice(&lie.to_le_bytes()[..end - at]);
                }
                _ => {
                    bytes.remove(at);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        match pollster::block_on(Gguf::read(&MemorySource::new(bytes))) {
            Ok(gguf) => {
                survived += 1;
                // What came through must be safe to use: this walks every promise the header makes.
                for tensor in &gguf.tensors {
                    assert!(tensor.offset + tensor.bytes <= good.len() as u64, "case {case}");
                    let _ = (tensor.supported(), tensor.elements(), tensor.row_bytes());
                }
            }
            Err(error) => *codes.entry(error.code).or_insert(0) += 1,
        }
    }
    println!("{survived} read, refused: {codes:?}");
    // Each kind of refusal was met: the mutations reach every part of the header.
    for code in ["gguf.magic", "gguf.version", "gguf.truncated", "gguf.metadata", "gguf.tensor"] {
        assert!(codes.contains_key(code), "{code} never came up: {codes:?}");
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= 64 * 1024, "one allocation of {largest} bytes, for a file of {}", good.len());
}
