//! Models on this device: found, fetched once for all tabs, listed, removed. What a download does is in
//! `lantern_weights::download`; here is where it may put what comes, who else is at it, and what the visitor is told.

use js_sys::Function;
use lantern_demos::models::memory_for_files;
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::download::{Done, How, Job, Journal, Kept, Look, Policy, Target, Tell, download};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::browser::Browser;
use crate::js;
use crate::net::WebNet;
use crate::storage::{JsShelf, OpenPart, Source, WebPart};

/// Between two words on how far it is: bytes come in more pieces than anybody can read.
const TELL_MS: f64 = 40.0;

/// Where models are kept here.
pub struct Shelf {
    pub kind: &'static str,
    pub shelf: JsShelf,
    /// Why it is no better place.
    pub notice: Option<Error>,
}

/// The best place this browser gives.
///
/// # Errors
/// `storage.memory`, where not even memory is to be had: the page's parts do not fit each other.
pub async fn open_shelf(browser: &Browser) -> Result<Shelf> {
    let blocked = match browser.open("opfs").await {
        Ok(shelf) => return Ok(Shelf { kind: "opfs", shelf, notice: None }),
        Err(thrown) => js::thrown(&thrown),
    };
    if let Ok(shelf) = browser.open("cache").await {
        let cause = format!("This browser gives the page no files of its own ({blocked}), so models lie in its cache");
        let remedy = "Nothing needs to be done; the browser may throw them out when it wants room";
        return Ok(Shelf { kind: "cache", shelf, notice: Some(Error::new("storage.cache", cause, remedy)) });
    }
    memory_shelf(browser, &format!("This browser lets the page store nothing ({blocked})")).await
}

async fn memory_shelf(browser: &Browser, why: &str) -> Result<Shelf> {
    let shelf = browser.open("memory").await.map_err(|thrown| {
        Error::new("storage.memory", format!("no place for a model: {}", js::thrown(&thrown)), "reload the page")
    })?;
    let notice = Error::new(
        "storage.blocked",
        format!("{why}, so the model lies in memory"),
        "It is fetched again at the next visit. To keep models, allow this site to store data",
    );
    Ok(Shelf { kind: "memory", shelf, notice: Some(notice) })
}

/// All that is stored here.
///
/// # Errors
/// `storage.read`.
pub async fn kept(shelf: &JsShelf) -> Result<Vec<Kept>> {
    let listed: js_sys::Array = shelf.list().await.map_err(|thrown| unlisted(&thrown))?.unchecked_into();
    listed.iter().map(|entry| read_kept(&entry)).collect()
}

/// What is stored under a key; nothing else is looked at.
///
/// # Errors
/// `storage.read`.
pub async fn kept_of(shelf: &JsShelf, key: &str) -> Result<Option<Kept>> {
    let found = shelf.find(key).await.map_err(|thrown| unlisted(&thrown))?;
    if found.is_undefined() { Ok(None) } else { read_kept(&found).map(Some) }
}

fn read_kept(entry: &JsValue) -> Result<Kept> {
    let journal = Journal::read(&js::string(entry, "journal")?);
    Ok(Kept { key: js::string(entry, "key")?, journal, bytes: js::number(entry, "bytes")? as u64 })
}

fn unlisted(thrown: &JsValue) -> Error {
    let cause = format!("what is stored here could not be listed: {}", js::thrown(thrown));
    Error::new("storage.read", cause, "reload the page and try again")
}

/// Tells the page what becomes of a model's bytes. `how`: see `Progress` in `www/lantern/core/protocol.js`.
pub fn tell_bytes(progress: &Function, done: u64, total: Option<u64>, how: &str) {
    let total = total.unwrap_or(0) as f64;
    let progressed = js::object(&[
        ("stage", "weights".into()),
        ("done", (done as f64).into()),
        ("total", total.into()),
        ("how", how.into()),
    ]);
    // What that function throws is its own affair.
    let _ = progress.call1(&JsValue::NULL, &progressed);
}

fn how_name(how: How) -> &'static str {
    match how {
        How::Begun => "begun",
        How::Resumed => "resumed",
        How::Changed => "changed",
        How::NoRange => "no-range",
        How::Broken => "broken",
        How::Checking => "checking",
        How::Spilled => "spilled",
    }
}

/// No other tab begins what this one is at; let go when dropped.
struct Hold(JsValue);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(release) = self.0.dyn_ref::<Function>() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Waits for the other tabs that are at it, telling how far they are.
async fn hold(browser: &Browser, key: &str, progress: &Function) -> Result<Hold> {
    let heard = {
        let progress = progress.clone();
        Closure::<dyn FnMut(f64, f64)>::new(move |done: f64, total: f64| {
            tell_bytes(&progress, done as u64, (total > 0.0).then_some(total as u64), "other-tab");
        })
    };
    let listening = browser.hear(key, heard.as_ref().unchecked_ref());
    let waits = {
        let progress = progress.clone();
        Closure::<dyn FnMut()>::new(move || tell_bytes(&progress, 0, None, "other-tab"))
    };
    let release = browser.hold(key, waits.as_ref().unchecked_ref()).await;
    listening.close();
    release.map(Hold).map_err(|thrown| js::error(&thrown))
}

/// What became of a model that was asked for.
pub struct Obtained {
    pub source: Source,
    /// What its contents are told by from all others: `Journal::origin`. `None` for what is only in memory.
    pub origin: Option<String>,
    /// What the visitor should know of how it is kept.
    pub notice: Option<Error>,
}

/// The model's file, from storage where it is whole, else from its server. Tabs that ask for the same one wait for the first.
///
/// # Errors
/// As [`download`]; `storage.*`.
pub async fn obtain(
    browser: &Browser,
    target: &Target,
    look: &mut impl for<'a> Look<WebPart<'a>>,
    cancel: &Cancel,
    progress: &Function,
) -> Result<Obtained> {
    let key = target.key();
    let mut shelf = open_shelf(browser).await?;
    cancel.check()?;
    let alone = shelf.kind == "memory";
    let mut found = if alone { None } else { kept_of(&shelf.shelf, &key).await? };
    let mut _hold = None;
    if !alone && !found.as_ref().is_some_and(Kept::is_whole) {
        _hold = Some(hold(browser, &key, progress).await?);
        cancel.check()?;
        // The tab that was waited for may have it by now.
        found = kept_of(&shelf.shelf, &key).await?;
    }
    if let Some(kept) = found.as_ref().filter(|kept| kept.is_whole()) {
        tell_bytes(progress, kept.bytes, Some(kept.bytes), "stored");
        let part = shelf.shelf.part(&key, false).await.map_err(|thrown| js::error(&thrown))?;
        let origin = kept.journal.as_ref().and_then(Journal::origin);
        return Ok(Obtained { source: Source::of_shelf(part, kept.bytes), origin, notice: shelf.notice });
    }
    let mut journal = found.and_then(|kept| kept.journal);
    let part = match shelf.shelf.part(&key, true).await {
        Ok(part) => part,
        Err(thrown) => {
            // Where tabs cannot wait for each other, the second one finds the file taken; and where there is no room, none is made.
            let why = format!("The model's file could not be opened ({})", js::thrown(&thrown));
            (shelf, journal) = (memory_shelf(browser, &why).await?, None);
            if js::field(&thrown, "name").as_string().as_deref() == Some("QuotaExceededError") {
                shelf.notice = Some(unkept(target));
            }
            shelf.shelf.part(&key, true).await.map_err(|thrown| js::error(&thrown))?
        }
    };
    let in_memory = shelf.kind == "memory";
    let memory = memory_for_files(browser.memory_bytes());
    let policy = match in_memory {
        true => Policy { room_bytes: Some(memory), ..Policy::default() },
        false => Policy { room_bytes: browser.free_bytes().await, memory_bytes: memory, ..Policy::default() },
    };
    let part = WebPart::new(browser, OpenPart::new(part));
    let net = WebNet { browser, kept: !in_memory };
    let channel = browser.channel();
    let (mut last, mut last_how) = (0.0, None);
    let mut tell = |Tell { done, total, how }: Tell| {
        if browser.now() - last < TELL_MS && last_how == Some(how) {
            return;
        }
        (last, last_how) = (browser.now(), Some(how));
        tell_bytes(progress, done, total, how_name(how));
        channel.say(&key, done as f64, total.unwrap_or(0) as f64);
    };
    let job = Job { net: &net, part: &part, target, policy: &policy, look, cancel, tell: &mut tell };
    let done = download(job, journal).await;
    channel.close();
    if let (Ok(Done { bytes, .. }), Some(how)) = (&done, last_how) {
        tell_bytes(progress, *bytes, Some(*bytes), how_name(how));
    }
    let Done { bytes, kept } = match done {
        Ok(done) => done,
        Err(error) => {
            drop(part);
            forget_nothing(&shelf, &key).await;
            return Err(error);
        }
    };
    let notice = if kept { shelf.notice } else { Some(unkept(target)) };
    // What memory keeps is kept in the hand.
    if in_memory || !kept {
        return Ok(Obtained { source: Source::File(part.into_file(bytes)), origin: None, notice });
    }
    // Written by one, read by all: the handle that writes keeps every other tab out.
    drop(part);
    let origin = kept_of(&shelf.shelf, &key).await?.and_then(|kept| kept.journal?.origin());
    let part = shelf.shelf.part(&key, false).await.map_err(|thrown| js::error(&thrown))?;
    Ok(Obtained { source: Source::of_shelf(part, bytes), origin, notice })
}

/// Of a download that failed before its first byte nothing stays, not even its name.
async fn forget_nothing(shelf: &Shelf, key: &str) {
    let Ok(Some(kept)) = kept_of(&shelf.shelf, key).await else { return };
    if kept.stored() == 0 {
        let _ = shelf.shelf.remove(key).await;
    }
}

fn unkept(target: &Target) -> Error {
    Error::new(
        "storage.full",
        format!("There is not enough room on this device to keep {}, so it lies in memory", target.name),
        "It is fetched again at the next visit. Remove a model to make room",
    )
}

/// Whether files are all stored here to their last byte.
///
/// # Errors
/// `storage.*`.
pub async fn has_whole(browser: &Browser, keys: &[String]) -> Result<bool> {
    let shelf = open_shelf(browser).await?;
    for key in keys {
        if !kept_of(&shelf.shelf, key).await?.is_some_and(|kept| kept.is_whole()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a model. `key`: that of its row in the list, which has the keys of all its files, with spaces between.
#[wasm_bindgen]
pub async fn remove_model(browser: Browser, key: String) -> crate::Answer {
    let removed = async {
        let shelf = open_shelf(&browser).await?;
        let mut failed = None;
        for key in key.split(' ') {
            // What can be removed is, whatever comes before it.
            failed = failed.or(shelf.shelf.remove(key).await.err());
        }
        match failed {
            Some(thrown) => Err(unremoved(&thrown)),
            None => Ok(JsValue::UNDEFINED),
        }
    };
    removed.await.map_err(|error| js::failure(&error))
}

fn unremoved(thrown: &JsValue) -> Error {
    match js::field(thrown, "name").as_string().as_deref() {
        Some("NoModificationAllowedError") => Error::new(
            "storage.busy",
            "it is being fetched or read just now, and was not removed",
            "wait until it is loaded, or stop it, here and in other tabs of this site",
        ),
        _ => Error::new(
            "storage.write",
            format!("it could not be removed: {}", js::thrown(thrown)),
            "reload the page and try again",
        ),
    }
}
