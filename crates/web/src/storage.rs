//! A part of a file as `www/lantern/core/storage/` keeps it, and a file that is whole, as the loader reads it.

use std::cell::{Cell, RefCell};

use js_sys::{Promise, Uint8Array};
use lantern_graph::{Error, Result};
use lantern_weights::ByteSource;
use lantern_weights::download::Part;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use crate::blob::BlobSource;
use crate::browser::Browser;
use crate::js;
use crate::turn::turn;

/// Most bytes that cross into WebAssembly at once.
const SLICE_BYTES: usize = 8 << 20;
/// A file is read without a wait: after so many bytes the Worker listens whether it is to stop.
const DEAF_BYTES: usize = 4 << 20;

#[wasm_bindgen]
extern "C" {
    pub type JsShelf;
    /// `[{key, journal, bytes}]`.
    #[wasm_bindgen(method, catch)]
    pub async fn list(this: &JsShelf) -> Result<JsValue, JsValue>;
    /// As one of [`JsShelf::list`]; `undefined` where there is none.
    #[wasm_bindgen(method, catch)]
    pub async fn find(this: &JsShelf, key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn part(this: &JsShelf, key: &str, write: bool) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn remove(this: &JsShelf, key: &str) -> Result<JsValue, JsValue>;

    pub type JsPart;
    #[wasm_bindgen(method, catch)]
    async fn size(this: &JsPart) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &JsPart, at: f64, bytes: &[u8]) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn cut(this: &JsPart, to: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn journal(this: &JsPart, text: &str, add: bool) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn read(this: &JsPart, at: f64, length: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readInto)]
    fn read_into(this: &JsPart, at: f64, into: &mut [u8]) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &JsPart) -> Result<(), JsValue>;
}

/// A file's bytes in storage, opened: closed when dropped.
pub struct OpenPart {
    part: JsPart,
    /// Bytes read since the Worker listened last.
    deaf: Cell<usize>,
}

impl OpenPart {
    pub fn new(part: JsValue) -> Self {
        Self { part: part.unchecked_into(), deaf: Cell::new(0) }
    }

    /// Files come straight into our memory; the Cache API and Blobs by way of an array.
    fn reads_directly(&self) -> bool {
        js::field(&self.part, "readInto").is_function()
    }

    async fn size(&self) -> Result<u64> {
        let size = self.part.size().await.map_err(|thrown| unreadable(&thrown))?;
        Ok(size.as_f64().unwrap_or(0.0) as u64)
    }

    async fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let direct = self.reads_directly();
        let mut at = at;
        for slice in buf.chunks_mut(SLICE_BYTES) {
            let mut filled = 0;
            while filled < slice.len() {
                let into = slice.get_mut(filled..).unwrap_or_default();
                let got = if direct {
                    self.part.read_into(at as f64, into).map_err(|thrown| unreadable(&thrown))? as usize
                } else {
                    let bytes =
                        self.part.read(at as f64, into.len() as f64).await.map_err(|thrown| unreadable(&thrown))?;
                    let bytes: Uint8Array = bytes.unchecked_into();
                    let got = (bytes.length() as usize).min(into.len());
                    bytes.subarray(0, got as u32).copy_to(into.get_mut(..got).unwrap_or_default());
                    got
                };
                if got == 0 {
                    return Err(short(at));
                }
                filled += got;
                at += got as u64;
            }
            self.deaf.set(self.deaf.get() + slice.len());
            if direct && self.deaf.get() >= DEAF_BYTES {
                self.deaf.set(0);
                turn().await;
            }
        }
        Ok(())
    }
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        // What cannot be closed is closed with the Worker.
        let _ = self.part.close();
    }
}

fn short(at: u64) -> Error {
    Error::new(
        "source.short",
        format!("the stored model ends at byte {at}, before its end"),
        "remove it from this device and fetch it again",
    )
}

fn unreadable(thrown: &JsValue) -> Error {
    Error::new(
        "source.read",
        format!("the stored model could not be read: {}", js::thrown(thrown)),
        "try again; if that does not help, remove it from this device and fetch it again",
    )
}

/// A part that grows.
pub struct WebPart<'a> {
    browser: &'a Browser,
    part: OpenPart,
    /// From which byte on it lies in memory, and where.
    memory: RefCell<Option<(u64, OpenPart)>>,
}

impl<'a> WebPart<'a> {
    pub fn new(browser: &'a Browser, part: OpenPart) -> Self {
        Self { browser, part, memory: RefCell::default() }
    }

    /// The file, of so many bytes.
    pub fn into_file(self, len: u64) -> File {
        File { head: self.part, memory: self.memory.into_inner(), len }
    }

    /// What was thrown by a write, with the room there is.
    async fn refused(&self, thrown: &JsValue) -> Error {
        if js::field(thrown, "name").as_string().as_deref() != Some("QuotaExceededError") {
            return Error::new(
                "storage.write",
                format!("the model could not be stored: {}", js::thrown(thrown)),
                "try again; what has come so far is kept",
            );
        }
        let numbers = match self.browser.room_bytes().await {
            Some((used, quota)) => format!(": this site may store {} MB and holds {}", mb(quota), mb(used)),
            None => String::new(),
        };
        Error::new(
            "storage.full",
            format!("there is no room left on this device{numbers}"),
            "remove a model, or free space on the device, and try again: what has come so far is kept",
        )
    }

    async fn memory_write(&self, at: u64, bytes: &[u8]) -> Result<bool> {
        let promise = match &*self.memory.borrow() {
            None => return Ok(false),
            Some((from, memory)) => memory.part.write(at.saturating_sub(*from) as f64, bytes),
        };
        match promise {
            Ok(promise) => JsFuture::from(promise).await.map(|_| true).map_err(|thrown| no_memory(&thrown)),
            Err(thrown) => Err(no_memory(&thrown)),
        }
    }
}

fn no_memory(thrown: &JsValue) -> Error {
    Error::new(
        "storage.memory",
        format!("the browser could not hold the model in memory: {}", js::thrown(thrown)),
        "close other tabs, or choose a smaller model",
    )
}

fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

impl Part for WebPart<'_> {
    async fn size(&self) -> Result<u64> {
        self.part.size().await
    }

    async fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        if self.memory_write(at, bytes).await? {
            return Ok(());
        }
        let written = match self.part.part.write(at as f64, bytes) {
            Ok(promise) => JsFuture::from(promise).await.map(|_| ()),
            Err(thrown) => Err(thrown),
        };
        match written {
            Ok(()) => Ok(()),
            Err(thrown) => Err(self.refused(&thrown).await),
        }
    }

    async fn cut(&self, to: u64) -> Result<()> {
        self.memory.take();
        match self.part.part.cut(to as f64).await {
            Ok(_) => Ok(()),
            Err(thrown) => Err(self.refused(&thrown).await),
        }
    }

    async fn journal(&self, text: &str, add: bool) -> Result<()> {
        match self.part.part.journal(text, add).await {
            Ok(_) => Ok(()),
            Err(thrown) => Err(self.refused(&thrown).await),
        }
    }

    async fn spill(&self, at: u64) -> Result<()> {
        let shelf = self.browser.open("memory").await.map_err(|thrown| no_memory(&thrown))?;
        let part = shelf.part("", true).await.map_err(|thrown| no_memory(&thrown))?;
        self.memory.replace(Some((at, OpenPart::new(part))));
        Ok(())
    }

    async fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        // Taken out for as long as it is read: no borrow lasts across an await. Nothing else of this part runs meanwhile.
        let memory = self.memory.take();
        let read = read_either(&self.part, memory.as_ref(), at, buf).await;
        self.memory.replace(memory);
        read
    }
}

async fn read_either(head: &OpenPart, memory: Option<&(u64, OpenPart)>, at: u64, buf: &mut [u8]) -> Result<()> {
    let Some((from, memory)) = memory else { return head.read(at, buf).await };
    let in_head = from.saturating_sub(at).min(buf.len() as u64) as usize;
    let (first, rest) = buf.split_at_mut_checked(in_head).ok_or_else(|| short(at))?;
    if !first.is_empty() {
        head.read(at, first).await?;
    }
    if !rest.is_empty() {
        memory.read((at + in_head as u64).saturating_sub(*from), rest).await?;
    }
    Ok(())
}

/// A file that is here, whole.
pub struct File {
    head: OpenPart,
    memory: Option<(u64, OpenPart)>,
    len: u64,
}

impl ByteSource for File {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(short(self.len));
        }
        read_either(&self.head, self.memory.as_ref(), offset, buf).await
    }
}

/// Wherever a model's bytes lie.
pub enum Source {
    Blob(BlobSource),
    File(File),
}

impl Source {
    /// What a shelf gave to read: a file's handle, or a Blob where the browser has no handle to share.
    pub fn of_shelf(part: JsValue, len: u64) -> Self {
        match part.dyn_into::<Blob>() {
            Ok(blob) => Source::Blob(BlobSource::new(blob)),
            Err(part) => Source::File(File { head: OpenPart::new(part), memory: None, len }),
        }
    }
}

impl ByteSource for Source {
    fn len(&self) -> u64 {
        match self {
            Source::Blob(blob) => blob.len(),
            Source::File(file) => file.len(),
        }
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        match self {
            Source::Blob(blob) => blob.read(offset, buf).await,
            Source::File(file) => file.read(offset, buf).await,
        }
    }
}
