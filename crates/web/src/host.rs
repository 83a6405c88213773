//! Models and sessions on one executor, by number.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::Function;
use lantern_demos::autoencode::{Autoencoder, AutoencoderSession};
use lantern_demos::chat::{ChatModel, ChatSession};
use lantern_demos::{Progress, Stage};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::ByteSource;
use wasm_bindgen::JsValue;

use crate::asked::{Asked, gather};
use crate::library::Library;
use crate::storage::Source;
use crate::{autoencode, chat, js};

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

enum Model<E: Executor> {
    Chat(Rc<ChatModel<E>>),
    Autoencode(Rc<Autoencoder<E>>),
}

/// Boxed: its sizes differ much, and it moves at every call.
enum Session<E: Executor> {
    Chat(Box<ChatSession<E>>),
    Autoencode(Box<AutoencoderSession<E>>),
}

pub struct Host<E: Executor> {
    pub executor: Rc<E>,
    pub limits: Limits,
    models: RefCell<HashMap<u32, Model<E>>>,
    /// `None` while it works.
    sessions: RefCell<HashMap<u32, Option<Session<E>>>>,
    next: Cell<u32>,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E, limits: Limits) -> Self {
        Self {
            executor: Rc::new(executor),
            limits,
            models: RefCell::default(),
            sessions: RefCell::default(),
            next: Cell::new(1),
        }
    }

    fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// Gives `{model, info, notice}`. `known` hears what kind of model it is as soon as that is known.
    pub async fn load_model(
        &self,
        demo: &str,
        asked: Asked,
        library: &Library,
        cancel: &Cancel,
        progress: &Function,
        known: &Function,
    ) -> Result<JsValue> {
        let limits = self.limits;
        let (model, info, notice) = match demo {
            "chat" => {
                let (known, warming) = (chat::Known::new(known), chat::Warming::default());
                let header =
                    || chat::Header { executor: &self.executor, limits, cancel, known: &known, warming: &warming };
                let gathered = gather(asked, library, limits, header, cancel, progress).await;
                warming.end().await;
                let (mut given, notice) = gathered?;
                let only = given.pop().ok_or_else(|| Error::new("web.request", "no file was given", "choose one"))?;
                let (model, info) = chat::load(&self.executor, only, limits, &known, cancel, progress).await?;
                (Model::Chat(Rc::new(model)), info, notice)
            }
            "autoencode" => {
                let (given, notice) = gather(asked, library, limits, || autoencode::Header, cancel, progress).await?;
                let (model, info) = autoencode::load(&self.executor, given, limits, cancel, progress).await?;
                (Model::Autoencode(Rc::new(model)), info, notice)
            }
            _ => return Err(unfit(&format!("there is no demo {demo:?}"))),
        };
        let number = self.number();
        self.models.borrow_mut().insert(number, model);
        let notice = notice.as_ref().map_or(JsValue::NULL, js::failure);
        Ok(js::object(&[("model", number.into()), ("info", info), ("notice", notice)]))
    }

    pub fn close_model(&self, model: u32) {
        self.models.borrow_mut().remove(&model);
    }

    pub async fn open_session(&self, model: u32, cancel: &Cancel, progress: &Function) -> Result<JsValue> {
        let opened = match self.models.borrow().get(&model) {
            None => return Err(closed("model", model)),
            Some(Model::Chat(model)) => Model::Chat(model.clone()),
            Some(Model::Autoencode(model)) => Model::Autoencode(model.clone()),
        };
        let session = match opened {
            Model::Chat(model) => Session::Chat(Box::new(model.session(&mut teller(progress), cancel).await?)),
            Model::Autoencode(model) => Session::Autoencode(Box::new(model.session())),
        };
        let number = self.number();
        self.sessions.borrow_mut().insert(number, Some(session));
        Ok(number.into())
    }

    /// One that works ends after its present step.
    pub fn close_session(&self, session: u32) {
        self.sessions.borrow_mut().remove(&session);
    }

    pub async fn generate(
        &self,
        session: u32,
        request: &JsValue,
        cancel: &Cancel,
        on_prompt: &Function,
        on_token: &Function,
    ) -> Result<JsValue> {
        self.work(session, async |taken| match taken {
            Session::Chat(chat) => chat::generate(chat, request, cancel, on_prompt, on_token).await,
            Session::Autoencode(_) => Err(unfit("this session is for pictures")),
        })
        .await
    }

    pub async fn encode(
        &self,
        session: u32,
        request: &JsValue,
        cancel: &Cancel,
        progress: &Function,
    ) -> Result<JsValue> {
        self.work(session, async |taken| autoencode::encode(pictures(taken)?, request, cancel, progress).await).await
    }

    pub async fn decode(
        &self,
        session: u32,
        request: &JsValue,
        cancel: &Cancel,
        progress: &Function,
    ) -> Result<JsValue> {
        self.work(session, async |taken| autoencode::decode(pictures(taken)?, request, cancel, progress).await).await
    }

    /// Takes a session out for as long as it works: no borrow lasts across an await.
    async fn work(&self, session: u32, work: impl AsyncFnOnce(&mut Session<E>) -> Result<JsValue>) -> Result<JsValue> {
        let taken = match self.sessions.borrow_mut().get_mut(&session) {
            None => return Err(closed("session", session)),
            Some(slot) => slot.take(),
        };
        let mut taken = taken.ok_or_else(|| {
            Error::new("session.busy", "this session is at work already", "wait for its end, or stop it first")
        })?;
        let done = work(&mut taken).await;
        if let Some(slot) = self.sessions.borrow_mut().get_mut(&session) {
            *slot = Some(taken);
        }
        done
    }
}

fn pictures<E: Executor>(session: &mut Session<E>) -> Result<&mut AutoencoderSession<E>> {
    match session {
        Session::Autoencode(session) => Ok(session),
        Session::Chat(_) => Err(unfit("this session is for text")),
    }
}

fn closed(what: &str, number: u32) -> Error {
    Error::new("session.closed", format!("{what} {number} is closed"), "open it again")
}

fn unfit(cause: &str) -> Error {
    Error::new("web.request", cause, "reload the page: its parts are of different versions")
}

/// Hands progress to a JavaScript function. What that function throws is its own affair.
pub fn teller(progress: &Function) -> impl FnMut(Progress) {
    let progress = progress.clone();
    move |Progress { stage, done, total }| {
        let stage = match stage {
            Stage::Code => "code",
            // The file is in the browser already: what is read from it here goes straight to the device.
            Stage::Weights | Stage::Upload => "upload",
            Stage::Compile => "compile",
            Stage::Run => "run",
        };
        let told =
            js::object(&[("stage", stage.into()), ("done", (done as f64).into()), ("total", (total as f64).into())]);
        let _ = progress.call1(&JsValue::NULL, &told);
    }
}
