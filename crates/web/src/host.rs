//! What the Worker has open: an executor, and models and sessions by number. Which demo they are of, they know themselves.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Account, Error, Executor, Result};
use lantern_weights::{ByteSource, Origin, SharedWeights};
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
    /// What its contents are told by from all others: `Journal::origin`.
    pub origin: Option<Rc<str>>,
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

    fn origin(&self, offset: u64) -> Option<Origin> {
        Some(Origin { file: self.origin.clone()?, offset })
    }
}

/// What this executor takes.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Most bytes of weights, and as many again for what is computed; `None` where the device itself says.
    pub ceiling: Option<u64>,
}

/// An executor and what it takes.
pub struct Host<E: Executor> {
    pub executor: Rc<E>,
    pub limits: Limits,
    /// What its models have in common.
    pub shared: SharedWeights<E>,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E, limits: Limits) -> Self {
        Self { executor: Rc::new(executor), limits, shared: SharedWeights::default() }
    }
}

/// Models and sessions by number. What is closed is freed when the last that needs it ends.
#[derive(Default)]
pub struct Table {
    models: RefCell<HashMap<u32, Rc<dyn AnyModel>>>,
    sessions: RefCell<HashMap<u32, Open>>,
    last: Cell<u32>,
}

/// A session that was not closed.
struct Open {
    model: Rc<dyn AnyModel>,
    /// Its own, as it was when its present work began.
    account: Account,
    /// `None` while it works.
    session: Option<Box<dyn AnySession>>,
}

/// Bytes on the device, of one session.
pub struct Memory {
    /// Shared with every session of its model.
    pub weights: u64,
    /// Its own, pictures apart.
    pub work: u64,
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
        let found = found.ok_or_else(|| closed("model", model))?;
        let session = found.clone().open(port).await?;
        let number = self.number();
        let open = Open { model: found, account: session.account().clone(), session: Some(session) };
        self.sessions.borrow_mut().insert(number, open);
        Ok(number)
    }

    /// `None` for a session that is closed.
    pub fn memory(&self, session: u32) -> Option<Memory> {
        let sessions = self.sessions.borrow();
        let Open { model, account, session } = sessions.get(&session)?;
        let account = session.as_ref().map_or(account, |session| session.account());
        Some(Memory { weights: model.weight_bytes(), work: account.bytes() })
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
            Some(open) => {
                if let Some(session) = &open.session {
                    open.account = session.account().clone();
                }
                open.session.take()
            }
        };
        let mut taken = taken.ok_or_else(|| {
            Error::new("session.busy", "this session is at work already", "wait for its end, or stop it first")
        })?;
        let done = taken.request(kind, payload, port).await;
        if let Some(open) = self.sessions.borrow_mut().get_mut(&session) {
            open.session = Some(taken);
        }
        done
    }
}

fn closed(what: &str, number: u32) -> Error {
    Error::new("session.closed", format!("{what} {number} is closed"), "open it again")
}
