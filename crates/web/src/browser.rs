//! What the engine needs of the browser to keep models on this device: its network, its storage, and the other tabs of this site.
//! `www/lantern/core/browser.js` is the other half; what it is for is decided here, in `library.rs`.

use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::js;
use crate::storage::JsShelf;

#[wasm_bindgen]
extern "C" {
    /// Of one request, and stopped with it.
    pub type Browser;
    #[wasm_bindgen(method, catch)]
    async fn shelf(this: &Browser, kind: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn room(this: &Browser) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    fn memory(this: &Browser) -> f64;
    #[wasm_bindgen(method)]
    pub fn now(this: &Browser) -> f64;
    #[wasm_bindgen(method, catch)]
    pub async fn wait(this: &Browser, ms: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn get(
        this: &Browser,
        url: &str,
        from: f64,
        if_range: Option<String>,
        kept: bool,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn hold(this: &Browser, key: &str, held: &Function) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    pub fn channel(this: &Browser) -> JsChannel;
    #[wasm_bindgen(method)]
    pub fn hear(this: &Browser, key: &str, heard: &Function) -> JsChannel;

    pub type JsChannel;
    #[wasm_bindgen(method)]
    pub fn say(this: &JsChannel, key: &str, done: f64, total: f64);
    #[wasm_bindgen(method)]
    pub fn close(this: &JsChannel);
}

impl Browser {
    pub async fn open(&self, kind: &str) -> std::result::Result<JsShelf, JsValue> {
        self.shelf(kind).await.map(JsCast::unchecked_into)
    }

    /// Bytes used and allowed.
    pub async fn room_bytes(&self) -> Option<(u64, u64)> {
        let room = self.room().await.ok()?;
        let number = |name| js::field(&room, name).as_f64().map(|bytes| bytes as u64);
        Some((number("usage")?, number("quota")?))
    }

    /// Bytes that may still be stored.
    pub async fn free_bytes(&self) -> Option<u64> {
        self.room_bytes().await.map(|(used, quota)| quota.saturating_sub(used))
    }

    /// Bytes of memory, where the browser tells.
    pub fn memory_bytes(&self) -> Option<u64> {
        Some(self.memory()).filter(|gib| *gib > 0.0).map(|gib| (gib * (1u64 << 30) as f64) as u64)
    }
}
