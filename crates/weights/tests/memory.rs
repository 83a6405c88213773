//! What is held while a file of a large vocabulary is opened, and while weights are quantized.

mod common;

use common::Rng;
use lantern_graph::Error;
use lantern_weights::{ByteSource, GgmlType, Gguf, GgufWriter, MemorySource, QuantizeOptions, QuantizePlan, Value};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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
    // A `Value` takes 32 bytes here (16 in WebAssembly), and a short string as much again.
    assert!(keeps < 36 << 20 && peak < 40 << 20, "{keeps} bytes are kept, {peak} at most on the way");
    assert_eq!(gguf.metadata.strings("tokenizer.ggml.merges").unwrap().len(), MERGES);
}

/// A file of one tensor of ones, of which only the header is there.
struct Ones {
    header: Vec<u8>,
    len: u64,
}

impl ByteSource for Ones {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let ones = 1f32.to_le_bytes();
        for (i, byte) in buf.iter_mut().enumerate() {
            let at = offset as usize + i;
            *byte = self.header.get(at).copied().unwrap_or(ones[at % 4]);
        }
        Ok(())
    }
}

#[test]
fn quantizing_holds_pieces_and_not_tensors() {
    let (rows, columns) = (24 << 10, 1024);
    let mut writer = GgufWriter::default();
    writer.tensor("blk.0.ffn_up.weight", &[rows, columns], GgmlType::F32, Vec::new());
    let mut header = writer.finish().unwrap();
    header.resize(header.len().next_multiple_of(32), 0);
    let tensor = (rows * columns * 4) as u64;
    let source = Ones { len: header.len() as u64 + tensor, header };
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    let options = QuantizeOptions { target: GgmlType::Q4_0, pure: false, allow_requantize: false };
    let plan = QuantizePlan::new(&gguf, &options).unwrap();
    let work = || pollster::block_on(plan.write(&source, &gguf, std::io::sink(), 1, &mut |_| ())).map(|_| ());
    let (result, _, peak) = held(work);
    result.unwrap();
    println!("a tensor of {tensor} bytes: {peak} at most on the way");
    // Of 2²⁰ values: 4 MiB as they were, 4 MiB as f32, less of blocks.
    assert!(peak < 12 << 20, "{peak} bytes");
}
