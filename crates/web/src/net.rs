//! The page's network, as downloads see it.

use js_sys::{Function, Uint8Array};
use lantern_graph::{Error, Result};
use lantern_weights::download::{Ask, Body, Chunk, Head, Net};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::browser::Browser;
use crate::js;

#[wasm_bindgen]
extern "C" {
    pub type JsAnswer;
    #[wasm_bindgen(method, getter)]
    fn status(this: &JsAnswer) -> u16;
    #[wasm_bindgen(method, catch)]
    fn header(this: &JsAnswer, name: &str) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn next(this: &JsAnswer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn stop(this: &JsAnswer) -> Function;
}

pub struct WebNet<'a> {
    pub browser: &'a Browser,
    /// What comes is kept in storage.
    pub kept: bool,
}

/// The host of an address, for people.
fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

fn failed(cause: String) -> Error {
    Error::new("download.failed", cause, "check the connection and try again")
}

impl Net for WebNet<'_> {
    type Body = WebBody;

    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, WebBody)> {
        let if_range = ask.if_range.map(str::to_owned);
        let answer = self.browser.get(ask.url, ask.from as f64, if_range, self.kept).await;
        let answer: JsAnswer = match answer {
            Ok(answer) => answer.unchecked_into(),
            Err(thrown) => {
                let why = js::thrown(&thrown);
                return Err(failed(format!("{} could not be reached ({why})", host(ask.url))));
            }
        };
        let header = |name: &str| answer.header(name).ok().flatten();
        let head = Head {
            status: answer.status(),
            content_length: header("content-length").and_then(|text| text.trim().parse().ok()),
            content_range: header("content-range"),
            content_type: header("content-type"),
            content_encoding: header("content-encoding"),
            etag: header("etag"),
            last_modified: header("last-modified"),
        };
        Ok((head, WebBody { answer, chunk: Uint8Array::new_with_length(0), host: host(ask.url).to_owned() }))
    }

    async fn wait(&self, ms: u32) {
        let _ = self.browser.wait(f64::from(ms)).await;
    }

    fn now_ms(&self) -> f64 {
        self.browser.now()
    }
}

pub struct WebBody {
    answer: JsAnswer,
    /// What came last, as far as it was not handed on.
    chunk: Uint8Array,
    host: String,
}

impl Body for WebBody {
    async fn next(&mut self, most: usize) -> Result<Chunk> {
        while self.chunk.length() == 0 {
            let next = self.answer.next().await.map_err(|thrown| {
                failed(format!("the connection to {} broke off ({})", self.host, js::thrown(&thrown)))
            })?;
            match next.dyn_into() {
                Ok(chunk) => self.chunk = chunk,
                Err(_) => return Ok(Chunk::End),
            }
        }
        let length = self.chunk.length();
        let now = length.min(u32::try_from(most).unwrap_or(u32::MAX));
        let bytes = self.chunk.subarray(0, now).to_vec();
        self.chunk = self.chunk.subarray(now, length);
        Ok(Chunk::Bytes(bytes))
    }
}

impl Drop for WebBody {
    fn drop(&mut self) {
        let _ = self.answer.stop().call0(&self.answer);
    }
}
