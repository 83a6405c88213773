//! The time in a Worker: Rust's own clock panics there.

use std::rc::Rc;

use js_sys::Function;
use lantern_graph::Clock;
use wasm_bindgen::JsCast;

use crate::js;

/// `performance.now()`: milliseconds, in steps that the browser chooses.
pub fn clock() -> Clock {
    let performance = js::field(&js_sys::global(), "performance");
    let now = js::field(&performance, "now").dyn_into::<Function>().ok();
    Rc::new(move || {
        let told = now.as_ref().and_then(|now| now.call0(&performance).ok()).and_then(|ms| ms.as_f64());
        told.unwrap_or(0.0)
    })
}
