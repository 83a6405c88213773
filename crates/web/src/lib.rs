//! The wasm edge: what the page's one Worker (`www/lantern/core/worker.js`) calls. The only crate that names web-sys.
//!
//! What must stay true: nothing here panics, and an error leaves as `{code, cause, remedy}`; exported methods take `&self`
//! and hold no borrow across an await, because several of the page's elements are served at once; a model's bytes pass
//! through in chunks, never whole.

// A browser is the only place for it: elsewhere, as for `cargo clippy --workspace`, it is an empty crate.
#![cfg(target_arch = "wasm32")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asked;
#[cfg(feature = "bench")]
mod bench;
mod blob;
mod browser;
mod clock;
mod contract;
mod crew;
mod demos;
mod engine;
mod frame;
mod host;
mod js;
mod library;
mod list;
mod net;
mod picture;
mod port;
mod remedy;
mod site;
mod storage;
mod turn;

use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[cfg(feature = "bench")]
pub use bench::StackBench;
pub use engine::Engine;

/// A panic that happens all the same is told to the console; the trap that follows ends the Worker, and the page makes a
/// new one.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Bytes of the WebAssembly heap. It grows and never shrinks.
#[wasm_bindgen]
pub fn heap_bytes() -> f64 {
    let memory = wasm_bindgen::memory();
    let buffer = js::field(&memory, "buffer");
    buffer.dyn_ref::<js_sys::ArrayBuffer>().map_or(0.0, |b| f64::from(b.byte_length()))
}

/// What an exported call gives: a value, or a failure as the page shows it.
type Answer = Result<JsValue, JsValue>;
