//! A conversation of ten thousand tokens in a context of 256: after the first slide nothing grows.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Llama, SMALL, open, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{GenerateOptions, LoadOptions, Overflow};
use lantern_graph::{Cancel, Executor};
use pollster::block_on;

/// The system's allocator, and how many bytes of it are in use.
struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator as it came; the count is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's memory and layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The count is the process's: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

const TOKENS: usize = 10_000;
/// Of one call.
const PIECE: usize = 500;

fn stays_flat<E: Executor>(executor: &Rc<E>, what: &str) {
    let sizes = Llama { hidden: 32, feed_forward: 64, layers: 1, heads: 2, kv_heads: 1, context: 256, ..SMALL };
    let bytes = random_model(sizes, 80);
    let mut session = open(executor, &bytes, &LoadOptions::default()).unwrap();
    let compiled = executor.memory_bytes();
    let (mut tokens, mut slides, mut first_step) = (0, 0, 0);
    // The device's and the heap's, half-way. By then each thread has had a part of some product, and with it the room that
    // `gemm` gives a thread for good, as large as its cache.
    let mut flat: Option<(u64, i64)> = None;
    let mut prompt = vec![1, 5, 6];
    while tokens < TOKENS {
        let options = GenerateOptions {
            max_tokens: PIECE,
            temperature: 1.0,
            seed: 81,
            first_step,
            overflow: Overflow::Slide { keep: 3 },
            ..GenerateOptions::default()
        };
        let answer = block_on(session.generate(&prompt, &options, &Cancel::new(), &mut |_| {})).unwrap();
        // One more where the text ended: a random model says so now and then.
        first_step += answer.tokens.len() as u64 + 1;
        tokens += answer.tokens.len();
        slides += answer.slides;
        prompt = vec![7];
        drop(answer);
        let now = (executor.memory_bytes(), IN_USE.load(Ordering::Relaxed));
        match flat {
            None if slides > 0 && tokens >= TOKENS / 2 => flat = Some(now),
            None => {}
            Some((device, heap)) => {
                assert_eq!(now.0, device, "{what}: device memory after {tokens} tokens");
                // A queue's bookkeeping comes and goes.
                assert!(now.1 < heap + (256 << 10), "{what}: the heap grew from {heap} to {} bytes", now.1);
            }
        }
    }
    let (device, heap) = flat.expect("it slid");
    assert!(slides >= TOKENS / 128 - 20, "{slides} slides");
    println!(
        "{what}: {tokens} tokens, {slides} slides, {compiled} bytes compiled, {device} then; heap {heap} bytes, at \
              the end {}",
        IN_USE.load(Ordering::Relaxed)
    );
}

#[test]
fn on_the_cpu() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    stays_flat(&Rc::new(Cpu::new(Mode::Fast)), "cpu");
}

/// On the tier that visitors of this adapter have: the executor's bookkeeping is the same at all.
#[test]
fn on_a_gpu() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut done = false;
    common::each_gpu(|gpu, tier| {
        if !std::mem::replace(&mut done, true) {
            stays_flat(gpu, &format!("tier {tier}"));
        }
    });
}
