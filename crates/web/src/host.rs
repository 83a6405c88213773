//! One executor with the models and sessions on it, by number. Everything is shared and nothing stays borrowed while a
//! future waits: calls for several sessions interleave.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use js_sys::{Function, Uint32Array};
use lantern_demos::chat::{ChatModel, ChatSession, Finish, GenerateOptions, LoadOptions, Message};
use lantern_demos::{Progress, Stage};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{ByteSource, Gguf};
use wasm_bindgen::JsValue;

use crate::blob::BlobSource;
use crate::js;

pub struct Host<E: Executor> {
    pub executor: Rc<E>,
    /// Most bytes of weights this executor takes.
    ceiling: Option<u64>,
    models: RefCell<HashMap<u32, Rc<ChatModel<E>>>>,
    /// `None` while it generates.
    sessions: RefCell<HashMap<u32, Option<ChatSession<E>>>>,
    next: Cell<u32>,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E, ceiling: Option<u64>) -> Self {
        Self {
            executor: Rc::new(executor),
            ceiling,
            models: RefCell::default(),
            sessions: RefCell::default(),
            next: Cell::new(1),
        }
    }

    fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// Gives `{model, info}`.
    pub async fn load_model(&self, source: BlobSource, cancel: &Cancel, progress: &Function) -> Result<JsValue> {
        let header = Gguf::read(&source).await?;
        let parameters: u64 = header.tensors.iter().map(|t| t.elements()).sum();
        let bytes: u64 = header.tensors.iter().map(|t| t.bytes).sum();
        if let Some(ceiling) = self.ceiling.filter(|ceiling| bytes > *ceiling) {
            return Err(Error::new(
                "cpu.ceiling",
                format!(
                    "the model's weights are {} MB, and without a GPU at most {} MB fit in this page",
                    bytes / 1_000_000,
                    ceiling / 1_000_000
                ),
                "choose a smaller model, or a browser with WebGPU",
            ));
        }
        // Weights lie in several types in one file; the one most bytes are in gives it its name.
        let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
        for tensor in &header.tensors {
            *by_type.entry(tensor.ggml_type.name()).or_default() += tensor.bytes;
        }
        let weights = by_type.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(String::new(), |(name, _)| name);
        let named = header.metadata.find_str("general.name")?.map(str::to_owned);
        let name = named.or_else(|| source.name()).unwrap_or_else(|| "A model without a name".into());

        let mut tell = teller(progress);
        let model = ChatModel::load(&self.executor, &source, &LoadOptions::default(), &mut tell, cancel).await?;
        let info = js::object(&[
            ("name", name.into()),
            ("weights", weights.into()),
            ("parameters", (parameters as f64).into()),
            ("bytes", (source.len() as f64).into()),
            ("context", (model.config().context_length as f64).into()),
            ("chat", model.has_template().into()),
        ]);
        let number = self.number();
        self.models.borrow_mut().insert(number, Rc::new(model));
        Ok(js::object(&[("model", number.into()), ("info", info)]))
    }

    pub fn close_model(&self, model: u32) {
        self.models.borrow_mut().remove(&model);
    }

    pub async fn open_session(&self, model: u32, cancel: &Cancel, progress: &Function) -> Result<JsValue> {
        let model = self.models.borrow().get(&model).cloned().ok_or_else(|| closed("model", model))?;
        let session = model.session(&mut teller(progress), cancel).await?;
        let number = self.number();
        self.sessions.borrow_mut().insert(number, Some(session));
        Ok(number.into())
    }

    /// One that generates ends after its present step.
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
        let taken = match self.sessions.borrow_mut().get_mut(&session) {
            None => return Err(closed("session", session)),
            Some(slot) => slot.take(),
        };
        let mut taken = taken.ok_or_else(|| {
            Error::new("session.busy", "this session is generating already", "wait for its end, or stop it first")
        })?;
        let generated = generate(&mut taken, request, cancel, on_prompt, on_token).await;
        if let Some(slot) = self.sessions.borrow_mut().get_mut(&session) {
            *slot = Some(taken);
        }
        generated
    }
}

fn closed(what: &str, number: u32) -> Error {
    Error::new("session.closed", format!("{what} {number} is closed"), "open it again")
}

/// Hands progress to a JavaScript function. What that function throws is its own affair.
fn teller(progress: &Function) -> impl FnMut(Progress) {
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

async fn generate<E: Executor>(
    session: &mut ChatSession<E>,
    request: &JsValue,
    cancel: &Cancel,
    on_prompt: &Function,
    on_token: &Function,
) -> Result<JsValue> {
    let ids = prompt_ids(session.model(), &js::field(request, "prompt"))?;
    let options = GenerateOptions {
        max_tokens: js::number(request, "maxTokens")? as usize,
        temperature: js::number(request, "temperature")? as f32,
        seed: js::number(request, "seed")? as u64,
        first_step: js::number(request, "firstStep")? as u64,
    };
    let _ = on_prompt.call1(&JsValue::NULL, &Uint32Array::from(ids.as_slice()));
    // The last token always runs again: its output is where the answer begins.
    let shared = session.keep_prefix(ids.split_last().map_or(&[], |(_, before)| before));
    let rest = ids.get(shared..).unwrap_or_default();
    let generation = session
        .generate(rest, &options, cancel, &mut |token| {
            let _ = on_token.call2(&JsValue::NULL, &token.id.into(), &token.text.as_str().into());
        })
        .await?;
    let finish = match generation.finish {
        Finish::EndOfText => "end",
        Finish::MaxTokens => "max-tokens",
        Finish::ContextFull => "context-full",
        Finish::Cancelled => "cancelled",
    };
    Ok(js::object(&[
        ("tokens", js_sys::Array::from_iter(generation.tokens.iter().map(|id| JsValue::from(*id))).into()),
        ("finish", finish.into()),
        ("promptTokens", (ids.len() as f64).into()),
        ("prefillMs", generation.prefill_ms.into()),
        ("decodeMs", generation.decode_ms.into()),
        ("dispatchesPerToken", (generation.dispatches_per_token as f64).into()),
        ("bytesPerToken", (generation.bytes_per_token as f64).into()),
    ]))
}

/// `{ids, text}`, a text and what the visitor adds to it; or `{turns: [{role, content}]}`, a conversation.
fn prompt_ids<E: Executor>(model: &ChatModel<E>, prompt: &JsValue) -> Result<Vec<u32>> {
    if !js::field(prompt, "turns").is_undefined() {
        let turns = js::array(prompt, "turns")?;
        let messages: Result<Vec<_>> = turns
            .iter()
            .map(|turn| Ok(Message::new(js::string(&turn, "role")?, js::string(&turn, "content")?)))
            .collect();
        return model.chat_prompt(&messages?);
    }
    let held: Vec<u32> = js::array(prompt, "ids")?.iter().filter_map(|id| id.as_f64()).map(|id| id as u32).collect();
    let text = js::string(prompt, "text")?;
    let Some(last) = held.last() else { return model.raw_prompt(&text) };
    let added = continued(model, *last, &text)?;
    Ok(held.into_iter().chain(added).collect())
}

/// The ids of words that follow others: with the space between, which some vocabularies put there by themselves.
fn continued<E: Executor>(model: &ChatModel<E>, last: u32, text: &str) -> Result<Vec<u32>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let tokenizer = model.tokenizer();
    let ids = tokenizer.encode(text, false)?;
    let shown = |id: u32| tokenizer.stream().push(id);
    let parted = shown(last).ends_with(char::is_whitespace)
        || ids.first().is_some_and(|id| shown(*id).starts_with(char::is_whitespace));
    if parted { Ok(ids) } else { tokenizer.encode(&format!(" {text}"), false) }
}
