//! Files the page asks for: picked by the visitor, at an address, or of the catalogue.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use js_sys::{Array, Function};
use lantern_demos::chat::{Entry, Processor, catalogue, find_entry};
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::download::{Look, Target, check_address};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::blob::BlobSource;
use crate::host::Given;
use crate::js;
use crate::library::{Library, has_whole, obtain};
use crate::site;
use crate::storage::{Source, WebPart};

pub enum Asked {
    File(Blob),
    Fetch(Target),
    /// One of the catalogue, with the bytes its weights take: too many are refused before a byte is fetched.
    Listed(Target, u64),
}

impl Asked {
    pub fn weight_bytes(&self) -> Option<u64> {
        match self {
            Asked::Listed(_, bytes) => Some(*bytes),
            Asked::File(_) | Asked::Fetch(_) => None,
        }
    }
}

/// `sources`: `ModelSource[]` of `www/lantern/core/protocol.js`.
///
/// # Errors
/// `web.request`, `catalogue.unknown`, `download.address`; as [`site::entries`].
pub async fn read(sources: &Array, library: &Library) -> Result<Vec<Asked>> {
    let mut asked = Vec::new();
    for source in sources.iter() {
        asked.push(read_one(&source, library).await?);
    }
    Ok(asked)
}

async fn read_one(source: &JsValue, library: &Library) -> Result<Asked> {
    if let Ok(file) = js::field(source, "file").dyn_into::<Blob>() {
        return Ok(Asked::File(file));
    }
    if let Some(id) = js::field(source, "model").as_string() {
        let base = js::string(source, "base")?;
        let entry = named(&id, &base, library).await?;
        let url = absolute(&entry.url, &base);
        return Ok(Asked::Listed(entry.target(url), entry.weight_bytes(Processor::Cpu)?));
    }
    let url = js::string(source, "url")?;
    // A site may serve its own models as it serves itself.
    if !js::field(source, "own").is_truthy() {
        check_address(&url)?;
    }
    let target = Target { url, ..Target::default() };
    let name = target.file_name().unwrap_or(&target.url).to_owned();
    Ok(Asked::Fetch(Target { name, ..target }))
}

/// The model of that name: the site's own where it has one, and then no other host is asked for it.
async fn named(id: &str, base: &str, library: &Library) -> Result<Entry> {
    let catalogue = catalogue()?;
    // The embedded model needs no list, and does not wait for one.
    if catalogue.first().is_some_and(|embedded| embedded.id == id) {
        return find_entry(catalogue, id);
    }
    match site::entries(library, base).await {
        Ok(entries) => find_entry(entries, id),
        // Where the site does not answer, what is here still runs; another host is not asked in its place.
        Err(error) => match find_entry(catalogue, id) {
            Ok(entry) if has_whole(library, &entry.target(absolute(&entry.url, base)).key()).await? => Ok(entry),
            _ => Err(error),
        },
    }
}

/// Addresses in the catalogue are absolute, or names beside the page's own models.
pub fn absolute(url: &str, base: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("{base}{url}") }
}

/// All files, side by side; what has come of each is told as one sum. The first that fails ends them all. With them the first
/// notice there is.
///
/// # Errors
/// As [`obtain`].
pub async fn gather<L: for<'a> Look<WebPart<'a>>>(
    asked: Vec<Asked>,
    library: &Library,
    look: impl Fn() -> L,
    cancel: &Cancel,
    progress: &Function,
) -> Result<(Vec<Given>, Option<Error>)> {
    let sum = Sum::new(asked.len(), progress);
    let mut running: Vec<Running<'_, (Given, Option<Error>)>> = Vec::new();
    for (at, asked) in asked.into_iter().enumerate() {
        let (mut look, heard) = (look(), sum.heard(at));
        running.push(Box::pin(async move {
            match asked {
                Asked::File(blob) => {
                    let blob = BlobSource::new(blob);
                    let name = blob.name();
                    Ok((Given { source: Source::Blob(blob), name, listed_as: None }, None))
                }
                Asked::Fetch(ref target) | Asked::Listed(ref target, _) => {
                    let heard: &Function = heard.as_ref().unchecked_ref();
                    let obtained = obtain(library, target, &mut look, cancel, heard).await?;
                    let name = Some(target.name.clone());
                    let listed_as = name.clone().filter(|_| matches!(asked, Asked::Listed(..)));
                    Ok((Given { source: obtained.source, name, listed_as }, obtained.notice))
                }
            }
        }));
    }
    let (given, notices): (Vec<_>, Vec<_>) = try_all(running).await?.into_iter().unzip();
    Ok((given, notices.into_iter().flatten().next()))
}

type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Polls them in turns until all are done or one fails.
async fn try_all<T>(mut running: Vec<Running<'_, T>>) -> Result<Vec<T>> {
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, done) in running.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => *done = Some(value),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}

/// What came of several files, as one.
struct Sum {
    parts: Rc<RefCell<Vec<(f64, f64)>>>,
    progress: Function,
}

impl Sum {
    fn new(files: usize, progress: &Function) -> Self {
        Self { parts: Rc::new(RefCell::new(vec![(0.0, 0.0); files])), progress: progress.clone() }
    }

    /// Hears of one of them.
    fn heard(&self, at: usize) -> Closure<dyn FnMut(JsValue)> {
        let (parts, progress) = (self.parts.clone(), self.progress.clone());
        Closure::new(move |told: JsValue| {
            let number = |name| js::field(&told, name).as_f64().unwrap_or(0.0);
            if let Some(part) = parts.borrow_mut().get_mut(at) {
                *part = (number("done"), number("total"));
            }
            let (done, total, known) = parts.borrow().iter().fold((0.0, 0.0, true), |(done, total, known), part| {
                (done + part.0, total + part.1, known && part.1 > 0.0)
            });
            let summed = js::object(&[
                ("stage", js::field(&told, "stage")),
                ("done", done.into()),
                ("total", if known { total } else { 0.0 }.into()),
                ("how", js::field(&told, "how")),
            ]);
            // What that function throws is its own affair.
            let _ = progress.call1(&JsValue::NULL, &summed);
        })
    }
}
