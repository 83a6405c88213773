//! What is held while a file of a large vocabulary is opened and its weights stream by: the page's heap is small.

mod common;

use common::Rng;
use lantern_graph::{DType, WeightSpec};
use lantern_weights::{ByteSource, GgmlType, Gguf, GgufWriter, MemorySource, Rows, Value};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

/// The system's allocator, counting what this thread holds and has held at most.
struct Counted;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    HELD.with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both are there while one is copied into the other.
        count(new_size as isize);
        count(-(layout.size() as isize));
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// The result, what it holds, and the most that was held on the way, in bytes.
fn held<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (HELD.get() - before) as usize, (PEAK.get() - before) as usize)
}

/// Llama 3's sizes: 128k pieces, as many types, 280k merges, and scores, which byte-pair files do not even have.
#[test]
fn a_large_vocabulary_takes_little_more_than_its_text() {
    const TOKENS: usize = 128 * 1024;
    const MERGES: usize = 280 * 1024;
    let text = |rng: &mut Rng, letters: usize| -> String {
        (0..letters).map(|_| char::from(b'a' + rng.below(26) as u8)).collect()
    };
    let mut rng = Rng(0x7065_6365);
    let mut writer = GgufWriter::default();
    let mut put = |key: &str, values: Vec<Value>| {
        writer.metadata(key, Value::Array(values)).unwrap();
    };
    let mut strings = |count: usize, more: usize| -> Vec<Value> {
        (0..count).map(|i| Value::String(text(&mut rng, 3 + i % more))).collect()
    };
    put("tokenizer.ggml.tokens", strings(TOKENS, 9));
    put("tokenizer.ggml.merges", strings(MERGES, 11));
    put("tokenizer.ggml.token_type", (0..TOKENS).map(|i| Value::I32(i as i32 % 7)).collect());
    put("tokenizer.ggml.scores", (0..TOKENS).map(|i| Value::F32(-(i as f32))).collect());
    let bytes = writer.finish().unwrap();
    let header = bytes.len();
    let source = MemorySource::new(bytes);
    let (gguf, keeps, peak) = held(|| pollster::block_on(Gguf::read(&source)).unwrap());
    println!("a header of {header} bytes: {keeps} are kept, {peak} at most on the way");
    assert_eq!(gguf.metadata.strings("tokenizer.ggml.merges").unwrap().len(), MERGES);
}

/// How fast rows come out of memory: what is looked at on the way must not be felt beside a disk or a network.
#[test]
fn rows_stream_fast() {
    const COLUMNS: usize = 4096;
    for (stored, want) in [(GgmlType::F32, DType::F32), (GgmlType::F16, DType::F16), (GgmlType::Q4_0, DType::Q4_0)] {
        let rows = (64 << 20) / stored.bytes_of(COLUMNS as u64).unwrap() as usize;
        let mut rng = Rng(7);
        let row: Vec<f32> = (0..COLUMNS).map(|_| rng.float()).collect();
        let row = lantern_weights::quantize(stored, &row).unwrap();
        let mut writer = GgufWriter::default();
        writer.tensor("w", &[rows, COLUMNS], stored, row.repeat(rows));
        let source = MemorySource::new(writer.finish().unwrap());
        let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
        let spec = WeightSpec { name: "w".into(), shape: vec![rows, COLUMNS], dtype: want };
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let mut rows = Rows::gguf(&source, &gguf.tensors[0], &spec).unwrap();
            let mut seen = 0;
            while let Some(chunk) = pollster::block_on(rows.next()).unwrap() {
                seen += chunk.file_bytes;
            }
            assert_eq!(seen, gguf.tensors[0].bytes);
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{stored}: {:.2} GB/s", source.len() as f64 / best / 1e9);
    }
}
