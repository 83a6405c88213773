//! What the Worker has open: an executor, and models and sessions by number. Which demo they are of, they know themselves.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Error, Executor, Result};
use lantern_weights::ByteSource;
use wasm_bindgen::JsValue;

use crate::contract::{AnyModel, AnySession, Loaded, Reply};
use crate::js;
use crate::port::Port;
use crate::storage::Source;

/// A file that is here.
pub struct Given {
    pub source: Source,
    /// What a person calls it, where anybody does.
    pub name: Option<String>,
    /// What the list of models calls it.
    pub listed_as: Option<String>,
}

impl ByteSource for Given {
    fn len(&self) -> u64 {
        self.source.len()
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.source.read(offset, buf).await
    }

    fn name(&self) -> Option<String> {
        self.name.clone()
    }
}

/// What this executor takes.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Most bytes of weights, and as many again for what is computed; `None` where the device itself says.
    pub ceiling: Option<u64>,
}

impl Limits {
    /// # Errors
    /// `cpu.ceiling`.
    pub fn check_weights(&self, bytes: u64) -> Result<()> {
        match self.ceiling.filter(|ceiling| bytes > *ceiling) {
            None => Ok(()),
            Some(ceiling) => Err(Error::new(
                "cpu.ceiling",
                format!(
                    "the model's weights are {} MB, and without a GPU at most {} MB fit in this page",
                    bytes / 1_000_000,
                    ceiling / 1_000_000
                ),
                "choose a smaller model, or a browser with WebGPU",
            )),
        }
    }
}

/// An executor and what it takes.
pub struct Host<E: Executor> {
    pub executor: Rc<E>,
    pub limits: Limits,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E, limits: Limits) -> Self {
        Self { executor: Rc::new(executor), limits }
    }
}

/// Models and sessions by number. What is closed is freed when the last that needs it ends.
#[derive(Default)]
pub struct Table {
    models: RefCell<HashMap<u32, Rc<dyn AnyModel>>>,
    /// `None` while it works.
    sessions: RefCell<HashMap<u32, Option<Box<dyn AnySession>>>>,
    last: Cell<u32>,
}

impl Table {
    fn number(&self) -> u32 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// Gives `{model, info, notice}`.
    pub fn keep(&self, Loaded { model, info, notice }: Loaded) -> JsValue {
        let number = self.number();
        self.models.borrow_mut().insert(number, model);
        let notice = notice.as_ref().map_or(JsValue::NULL, js::failure);
        js::object(&[("model", number.into()), ("info", info), ("notice", notice)])
    }

    pub fn close_model(&self, model: u32) {
        self.models.borrow_mut().remove(&model);
    }

    /// Gives the session's number.
    ///
    /// # Errors
    /// `session.closed` for a model that is; the demo's own.
    pub async fn open(&self, model: u32, port: &Port) -> Result<u32> {
        let found = self.models.borrow().get(&model).cloned();
        let session = found.ok_or_else(|| closed("model", model))?.open(port).await?;
        let number = self.number();
        self.sessions.borrow_mut().insert(number, Some(session));
        Ok(number)
    }

    /// One that works ends after its present step.
    pub fn close_session(&self, session: u32) {
        self.sessions.borrow_mut().remove(&session);
    }

    /// Takes a session out for as long as it works: no borrow lasts across an await.
    ///
    /// # Errors
    /// `session.closed`, `session.busy`; the demo's own.
    pub async fn request(&self, session: u32, kind: &str, payload: &JsValue, port: &Port) -> Result<Reply> {
        let taken = match self.sessions.borrow_mut().get_mut(&session) {
            None => return Err(closed("session", session)),
            Some(slot) => slot.take(),
        };
        let mut taken = taken.ok_or_else(|| {
            Error::new("session.busy", "this session is at work already", "wait for its end, or stop it first")
        })?;
        let done = taken.request(kind, payload, port).await;
        if let Some(slot) = self.sessions.borrow_mut().get_mut(&session) {
            *slot = Some(taken);
        }
        done
    }
}

fn closed(what: &str, number: u32) -> Error {
    Error::new("session.closed", format!("{what} {number} is closed"), "open it again")
}
