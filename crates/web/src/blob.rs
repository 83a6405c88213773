//! A file the browser holds: picked by the visitor, or fetched. Its bytes stay there and are read slice by slice.

use js_sys::{ArrayBuffer, Uint8Array};
use lantern_graph::{Error, Result};
use lantern_weights::ByteSource;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use crate::js;

/// Most bytes that cross into WebAssembly at once.
const SLICE_BYTES: usize = 8 << 20;

pub struct BlobSource {
    blob: Blob,
    len: u64,
}

impl BlobSource {
    pub fn new(blob: Blob) -> Self {
        let len = blob.size() as u64;
        Self { blob, len }
    }

    /// The file's name, where the visitor picked one.
    pub fn name(&self) -> Option<String> {
        js::field(&self.blob, "name").as_string()
    }

    async fn slice(&self, start: u64, end: u64) -> Result<ArrayBuffer, JsValue> {
        let slice = self.blob.slice_with_f64_and_f64(start as f64, end as f64)?;
        JsFuture::from(slice.array_buffer()).await?.dyn_into()
    }
}

impl ByteSource for BlobSource {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut at = offset;
        for part in buf.chunks_mut(SLICE_BYTES) {
            let end = at.saturating_add(part.len() as u64);
            if end > self.len {
                return Err(Error::new(
                    "source.short",
                    format!("{} bytes were asked for at byte {at}, and the file has {}", part.len(), self.len),
                    "the file is incomplete: get it again",
                ));
            }
            let bytes = self.slice(at, end).await.map_err(|thrown| {
                Error::new(
                    "source.read",
                    format!("the browser could not read the file: {}", js::thrown(&thrown)),
                    "the file may have changed or moved: choose it again",
                )
            })?;
            let bytes = Uint8Array::new(&bytes);
            if bytes.length() as usize != part.len() {
                return Err(Error::new(
                    "source.short",
                    format!("the browser gave {} bytes of {} at byte {at}", bytes.length(), part.len()),
                    "the file may have changed: choose it again",
                ));
            }
            bytes.copy_to(part);
            at = end;
        }
        Ok(())
    }
}
