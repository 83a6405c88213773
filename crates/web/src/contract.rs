//! What a demo is to the page: a model that opens sessions, and sessions that answer requests. `demos/mod.rs` lists the demos;
//! nothing outside that folder knows one by name.
//!
//! Asked for alike, a [`Model`] is loaded once; each element has a [`Session`] of its own, which does one request at a time. A
//! [`Port`](crate::port::Port) goes with every call: it tells how far the work is, sends messages of the demo's own kinds, and
//! hears that nobody waits any more. What a session remembers is a cache: the page can send it again to another Worker.

use std::pin::Pin;
use std::rc::Rc;

use js_sys::Array;
use lantern_graph::{Account, Error, Executor, Result};
use lantern_weights::SharedWeights;
use lantern_weights::download::Look;
use wasm_bindgen::JsValue;

use crate::asked::{Asked, gather};
use crate::browser::Browser;
use crate::host::{Given, Limits};
use crate::js;
use crate::port::Port;
use crate::storage::WebPart;

/// What a demo has on a device for all its sessions: weights, most of all.
#[allow(async_fn_in_trait, reason = "one thread per Worker: nothing here is Send by design")]
pub trait Model: 'static {
    type Session: Session;

    /// # Errors
    /// The demo's own; `run.cancelled`.
    async fn open(self: &Rc<Self>, port: &Port) -> Result<Self::Session>;

    /// What its weights hold on the device: none, where it has none.
    fn weight_bytes(&self) -> u64 {
        0
    }
}

/// One element's work.
#[allow(async_fn_in_trait, reason = "as `Model`")]
pub trait Session: 'static {
    /// What it holds on the device beside weights.
    fn account(&self) -> &Account;

    /// `kind` and `payload`: of the demo's `messages.js`.
    ///
    /// # Errors
    /// `web.request` for what the demo does not know; the demo's own; `run.cancelled`.
    async fn request(&mut self, kind: &str, payload: &JsValue, port: &Port) -> Result<Reply>;
}

/// For a session that knows these kinds of request alone.
///
/// # Errors
/// `web.request`.
pub fn known(kind: &str, kinds: &[&str]) -> Result<()> {
    let unknown = || js::strange(format!("this demo knows {}, and was asked for {kind}", kinds.join(", ")));
    if kinds.contains(&kind) { Ok(()) } else { Err(unknown()) }
}

/// What a model is made from.
pub struct Loading<'a, E: Executor> {
    pub executor: &'a Rc<E>,
    pub limits: Limits,
    /// Weights that other models have on this executor: what is the same is not loaded again.
    pub shared: &'a SharedWeights<E>,
    /// The model as the page asked for it; without files for a demo without weights.
    pub asked: Asked,
    pub browser: &'a Browser,
    pub port: &'a Port,
}

impl<E: Executor> Loading<'_, E> {
    /// All files, and what the visitor should know of how they are kept. `look` hears of each file's first bytes.
    ///
    /// # Errors
    /// As [`gather`].
    pub async fn gather<L: for<'p> Look<WebPart<'p>>>(
        &mut self,
        look: impl Fn() -> L,
    ) -> Result<(Vec<Given>, Option<Error>)> {
        let (asked, port) = (std::mem::take(&mut self.asked), self.port);
        let room = |bytes| self.executor.check_weights(bytes);
        gather(asked, self.browser, self.limits, &room, look, port.cancel(), port.progress()).await
    }
}

/// A model that is there.
pub struct Loaded {
    pub model: Rc<dyn AnyModel>,
    /// What the page shows of it: `info` of the demo's `messages.js`.
    pub info: JsValue,
    /// What the visitor should know of how its files are kept.
    pub notice: Option<Error>,
}

impl Loaded {
    pub fn new(model: impl Model, info: JsValue, notice: Option<Error>) -> Loaded {
        Loaded { model: Rc::new(model), info, notice }
    }
}

/// What a request is answered with, and which of its buffers go over without a copy.
pub struct Reply {
    pub value: JsValue,
    pub transfer: Array,
}

impl Reply {
    pub fn new(value: JsValue) -> Reply {
        Reply { value, transfer: Array::new() }
    }

    /// Hands over something that the value holds and nobody here keeps.
    pub fn handing_over(self, transferable: impl Into<JsValue>) -> Reply {
        self.transfer.push(&transferable.into());
        self
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// [`Model`], whichever it is.
pub trait AnyModel {
    fn open<'a>(self: Rc<Self>, port: &'a Port) -> Answer<'a, Box<dyn AnySession>>;
    fn weight_bytes(&self) -> u64;
}

impl<M: Model> AnyModel for M {
    fn open<'a>(self: Rc<Self>, port: &'a Port) -> Answer<'a, Box<dyn AnySession>> {
        Box::pin(async move { Ok(Box::new(Model::open(&self, port).await?) as Box<dyn AnySession>) })
    }

    fn weight_bytes(&self) -> u64 {
        Model::weight_bytes(self)
    }
}

/// [`Session`], whichever it is.
pub trait AnySession {
    fn account(&self) -> &Account;
    fn request<'a>(&'a mut self, kind: &'a str, payload: &'a JsValue, port: &'a Port) -> Answer<'a, Reply>;
}

impl<S: Session> AnySession for S {
    fn account(&self) -> &Account {
        Session::account(self)
    }

    fn request<'a>(&'a mut self, kind: &'a str, payload: &'a JsValue, port: &'a Port) -> Answer<'a, Reply> {
        Box::pin(Session::request(self, kind, payload, port))
    }
}
