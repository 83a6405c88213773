//! A call's way back to the page while it works.

use js_sys::Function;
use lantern_demos::{Progress, Stage};
use lantern_graph::Cancel;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::js;

/// Made by the Worker for each call: what it hears of the call, and how it stops it. What its functions throw is its own affair.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Port {
    cancel: Cancel,
    progress: Function,
    message: Function,
}

#[wasm_bindgen]
impl Port {
    /// `progress` hears `Progress` of `www/lantern/core/protocol.js`, `message` a kind and a payload of the demo's own.
    #[wasm_bindgen(constructor)]
    pub fn new(progress: Function, message: Function) -> Port {
        Port { cancel: Cancel::new(), progress, message }
    }

    /// Nobody waits any more.
    pub fn stop(&self) {
        self.cancel.cancel();
    }
}

impl Port {
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// For what tells in JavaScript's own words.
    pub fn progress(&self) -> &Function {
        &self.progress
    }

    /// Takes what a demo tells of its progress.
    pub fn teller(&self) -> impl FnMut(Progress) + use<> {
        let progress = self.progress.clone();
        move |Progress { stage, done, total }| {
            let stage = match stage {
                Stage::Code => "code",
                // The file is in the browser already: what is read from it here goes straight to the device.
                Stage::Weights | Stage::Upload => "upload",
                Stage::Compile => "compile",
                Stage::Run => "run",
            };
            let [done, total] = [done, total].map(|count| JsValue::from(count as f64));
            let told = js::object(&[("stage", stage.into()), ("done", done), ("total", total)]);
            let _ = progress.call1(&JsValue::NULL, &told);
        }
    }

    /// Sends a message of the demo's `messages.js`.
    pub fn send(&self, kind: &str, payload: &JsValue) {
        let _ = self.message.call2(&JsValue::NULL, &kind.into(), payload);
    }
}
