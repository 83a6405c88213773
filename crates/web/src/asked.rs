//! The model the page asks for: of files picked by the visitor, at addresses, or of the catalogue. However many there are, it is
//! one model, with one verdict before the first byte and one sum of what has come.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use js_sys::{Array, Function};
use lantern_demos::models::{Device, Entry, Fit, Needs, Processor, catalogue, find_entry};
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::ShardIndex;
use lantern_weights::download::{Look, Part, PartOf, Stored, Target, check_address};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::blob::BlobSource;
use crate::browser::Browser;
use crate::host::{Given, Limits};
use crate::js;
use crate::library::{Obtained, has_whole, kept_of, obtain, open_shelf, tell_bytes};
use crate::site;
use crate::storage::{Source, WebPart};

/// A model, before any of it is here.
#[derive(Default)]
pub struct Asked {
    files: Vec<Wanted>,
    /// What it takes, where the catalogue or the list of its shards says so: what cannot fit is refused before a byte is fetched.
    needs: Option<Needs>,
    /// Bytes of all files to fetch, where these say so.
    bytes: Option<u64>,
}

enum Wanted {
    File(Blob),
    Fetch(Target),
    /// One that the list of models names.
    Listed(Target),
}

/// `sources`: `ModelSource[]` of `www/lantern/core/protocol.js`, all of one model for `demo`.
///
/// # Errors
/// `web.request`, `catalogue.unknown`, `download.address`; as [`site::entries`].
pub async fn read(sources: &Array, demo: &str, browser: &Browser) -> Result<Asked> {
    let mut asked = Asked::default();
    for source in sources.iter() {
        asked.add(&source, demo, browser).await?;
    }
    Ok(asked)
}

impl Asked {
    async fn add(&mut self, source: &JsValue, demo: &str, browser: &Browser) -> Result<()> {
        match js::field(source, "model").as_string() {
            Some(id) => {
                let base = js::string(source, "base")?;
                let entry = named(&id, &base, browser).await?;
                let of = entry.network.demo();
                if of != demo {
                    let cause = format!("{} is a model for {of}, and {demo} was to have it", entry.name);
                    return Err(Error::new("catalogue.unknown", cause, "choose another model"));
                }
                self.needs = Some(entry.needs(Processor::Cpu)?);
                self.bytes = Some(entry.bytes());
                self.files.extend(entry.targets(|url| absolute(url, &base)).into_iter().map(Wanted::Listed));
            }
            None => self.files.push(by_itself(source)?),
        }
        Ok(())
    }
}

/// A file that no list names.
fn by_itself(source: &JsValue) -> Result<Wanted> {
    if let Ok(file) = js::field(source, "file").dyn_into::<Blob>() {
        return Ok(Wanted::File(file));
    }
    let url = js::string(source, "url")?;
    // A site may serve its own models as it serves itself.
    if !js::field(source, "own").is_truthy() {
        check_address(&url)?;
    }
    let target = Target { url, ..Target::default() };
    let name = target.file_name().unwrap_or(&target.url).to_owned();
    Ok(Wanted::Fetch(Target { name, ..target }))
}

/// The model of that name: the site's own where it has one, and then no other host is asked for it.
async fn named(id: &str, base: &str, browser: &Browser) -> Result<Entry> {
    let catalogue = catalogue()?;
    // The embedded model needs no list, and does not wait for one.
    if catalogue.first().is_some_and(|embedded| embedded.id == id) {
        return find_entry(catalogue, id);
    }
    match site::entries(browser, base).await {
        Ok(entries) => find_entry(entries, id),
        // Where the site does not answer, what is here still runs; another host is not asked in its place.
        Err(error) => {
            let Ok(entry) = find_entry(catalogue, id) else { return Err(error) };
            let keys = entry.targets(|url| absolute(url, base)).iter().map(Target::key).collect::<Vec<_>>();
            if has_whole(browser, &keys).await? { Ok(entry) } else { Err(error) }
        }
    }
}

/// Addresses in the catalogue are absolute, or names beside the page's own models.
pub fn absolute(url: &str, base: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("{base}{url}") }
}

impl Wanted {
    fn target(&self) -> Option<&Target> {
        match self {
            Wanted::File(_) => None,
            Wanted::Fetch(target) | Wanted::Listed(target) => Some(target),
        }
    }
}

/// A list is read before the rest is asked for: nothing in it can be refused early.
struct Unseen;

impl<P: Part> Look<P> for Unseen {
    async fn look(&mut self, _: &Stored<'_, P>) -> Result<bool> {
        Ok(true)
    }
}

impl Asked {
    /// With the shards of every list that it was given by its address: they lie beside it. The list is one of the files, kept
    /// with them.
    ///
    /// # Errors
    /// As [`obtain`] of the list; `safetensors.index`.
    async fn with_shards(mut self, browser: &Browser, cancel: &Cancel, progress: &Function) -> Result<Self> {
        let targets: Vec<&Target> = self.files.iter().filter_map(Wanted::target).collect();
        if let [list] = targets[..]
            && is_list(list)
        {
            let list = list.clone();
            let silent = Closure::<dyn FnMut(JsValue)>::new(|_| {});
            let part_of = |files| Some(PartOf { address: list.url.clone(), name: model_name(&list), files });
            let first = Target { part_of: part_of(1), ..list.clone() };
            let source = obtain(browser, &first, &mut Unseen, cancel, silent.as_ref().unchecked_ref()).await?.source;
            let index = ShardIndex::read(&source).await.map_err(|error| error_of(&list, error))?;
            let files = index.files();
            let shards = files.iter().map(|file| {
                let part_of = part_of(files.len() + 1);
                Wanted::Fetch(Target { url: list.beside(file), name: file.clone(), part_of, ..Target::default() })
            });
            self.needs = index.tensor_bytes.map(|weights| Needs { weights, kept: 0, work: 0 });
            self.bytes = index.tensor_bytes;
            self.files = [Wanted::Fetch(first)].into_iter().chain(shards).collect();
            // Shown from here on, for all of them.
            tell_bytes(progress, 0, self.bytes, "begun");
        } else if let [first, _, ..] = targets[..] {
            let addresses: Vec<&str> = targets.iter().map(|target| target.url.as_str()).collect();
            let name = format!("{} and {} more", first.name, targets.len() - 1);
            let part_of = PartOf { address: addresses.join(" "), name, files: targets.len() };
            for wanted in &mut self.files {
                if let Wanted::Fetch(target) = wanted {
                    target.part_of = Some(part_of.clone());
                }
            }
        }
        Ok(self)
    }

    /// The one verdict on all files together, before the first of them is asked for.
    ///
    /// # Errors
    /// `cpu.ceiling`, `storage.full`; as `room`.
    async fn check(&self, browser: &Browser, limits: Limits, room: &dyn Fn(u64) -> Result<()>) -> Result<()> {
        let (Some(needs), Some(bytes)) = (self.needs, self.bytes) else { return Ok(()) };
        let shelf = open_shelf(browser).await?;
        let mut here = 0;
        for target in self.files.iter().filter_map(Wanted::target) {
            here += kept_of(&shelf.shelf, &target.key()).await?.map_or(0, |kept| kept.stored());
        }
        let to_fetch = bytes.saturating_sub(here);
        let storage = if shelf.kind == "memory" { None } else { browser.free_bytes().await };
        let device = Device { ceiling: limits.ceiling, memory: browser.memory_bytes(), storage };
        match device.fit(needs, to_fetch) {
            Fit::No(error) => Err(error),
            // What is all here may be on the device already.
            Fit::Fits | Fit::Doubtful(_) if to_fetch == 0 => Ok(()),
            Fit::Fits | Fit::Doubtful(_) => room(needs.weights),
        }
    }
}

fn is_list(target: &Target) -> bool {
    target.file_name().is_some_and(ShardIndex::is_named)
}

/// What people call a model whose list lies at that address.
fn model_name(list: &Target) -> String {
    let name = list.file_name().unwrap_or(&list.url);
    name.trim_end_matches(".index.json").trim_end_matches(".safetensors").to_owned()
}

/// Its source has no name here.
fn error_of(list: &Target, error: Error) -> Error {
    let cause = error.cause.replacen("the list of a model's parts", list.file_name().unwrap_or(&list.url), 1);
    Error { cause, ..error }
}

/// All files, side by side; what has come of each is told as one sum. The first that fails ends them all. With them the first
/// notice there is. `room`: whether weights of so many bytes fit beside those that are on the device.
///
/// # Errors
/// `cpu.ceiling`, `storage.full` and what `room` says, before anything is fetched but the list of a model's shards; as [`obtain`].
pub async fn gather<L: for<'a> Look<WebPart<'a>>>(
    asked: Asked,
    browser: &Browser,
    limits: Limits,
    room: &dyn Fn(u64) -> Result<()>,
    look: impl Fn() -> L,
    cancel: &Cancel,
    progress: &Function,
) -> Result<(Vec<Given>, Option<Error>)> {
    let asked = asked.with_shards(browser, cancel, progress).await?;
    asked.check(browser, limits, room).await?;
    let files = asked.files;
    let sum = Sum::new(files.len(), progress);
    let mut running: Vec<Running<'_, (Given, Option<Error>)>> = Vec::new();
    for (at, wanted) in files.into_iter().enumerate() {
        let (mut look, heard) = (look(), sum.heard(at));
        running.push(Box::pin(async move {
            match wanted {
                Wanted::File(blob) => {
                    let blob = BlobSource::new(blob);
                    let name = blob.name();
                    Ok((Given { source: Source::Blob(blob), name, listed_as: None, origin: None }, None))
                }
                Wanted::Fetch(ref target) | Wanted::Listed(ref target) => {
                    let heard: &Function = heard.as_ref().unchecked_ref();
                    let Obtained { source, origin, notice } = match is_list(target) {
                        true => obtain(browser, target, &mut Unseen, cancel, heard).await?,
                        false => obtain(browser, target, &mut look, cancel, heard).await?,
                    };
                    let name = target.file_name().map(str::to_owned);
                    let listed_as = matches!(wanted, Wanted::Listed(_)).then(|| target.name.clone());
                    let origin = origin.map(Into::into);
                    Ok((Given { source, name, listed_as, origin }, notice))
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
