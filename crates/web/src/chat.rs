//! The chat's calls: prompts and tokens across the edge.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Function, Promise, Uint32Array};
use lantern_demos::chat::{
    ChatModel, ChatSession, ChatTemplate, Checked, Finish, GenerateOptions, LoadOptions, Message, Overflow, check, warm,
};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::download::{Look, Part, Stored};
use lantern_weights::{ByteSource, Gguf, Value};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::host::{Given, Limits, teller};
use crate::js;

/// Looks at a GGUF header as soon as it is here: what cannot run is given up before the rest is fetched. Of what can, the page
/// hears what kind of model it is, and the device makes its kernels while the weights arrive.
pub struct Header<'a, E> {
    pub executor: &'a Rc<E>,
    pub limits: Limits,
    pub cancel: &'a Cancel,
    pub known: &'a Known,
    pub warming: &'a Warming,
}

impl<P: Part, E: Executor> Look<P> for Header<'_, E> {
    async fn look(&mut self, stored: &Stored<'_, P>) -> Result<bool> {
        let header = match Gguf::read(stored).await {
            Err(error) if error.code == Stored::<P>::MORE => return Ok(false),
            read => read?,
        };
        let checked = check(&header, &LoadOptions::default())?;
        checked.check_conversation()?;
        self.limits.check_weights(header.tensors.iter().map(|t| t.bytes).sum())?;
        self.known.tell(&checked.template);
        self.warming.begin(self.executor, checked, self.cancel);
        Ok(true)
    }
}

/// What kind of model it is, told to the page once, as soon as anything says so: see `Known` in `www/lantern/core/protocol.js`.
pub struct Known {
    hears: Function,
    told: Cell<bool>,
}

impl Known {
    pub fn new(hears: &Function) -> Self {
        Self { hears: hears.clone(), told: Cell::new(false) }
    }

    fn tell(&self, template: &ChatTemplate) {
        if !self.told.replace(true) {
            let kind = js::object(&[
                ("chat", template.is_some().into()),
                ("instructions", template.takes_instructions().into()),
            ]);
            // What that function throws is its own affair.
            let _ = self.hears.call1(&JsValue::NULL, &kind);
        }
    }
}

/// Kernels in the making. [`Warming::end`] comes before anything else of this load compiles: none is made twice at once.
#[derive(Default)]
pub struct Warming(RefCell<Option<Promise>>);

impl Warming {
    fn begin<E: Executor>(&self, executor: &Rc<E>, checked: Checked, cancel: &Cancel) {
        if self.0.borrow().is_some() {
            return;
        }
        let (executor, cancel) = (executor.clone(), cancel.clone());
        self.0.replace(Some(future_to_promise(async move {
            // What fails here fails again where a session is opened, and is told there.
            let _ = warm(&*executor, &checked, &cancel).await;
            Ok(JsValue::UNDEFINED)
        })));
    }

    /// Waits for what was begun.
    pub async fn end(&self) {
        let begun = self.0.take();
        if let Some(begun) = begun {
            let _ = JsFuture::from(begun).await;
        }
    }
}

/// A model and what the page shows of it.
pub async fn load<E: Executor>(
    executor: &Rc<E>,
    given: Given,
    limits: Limits,
    known: &Known,
    cancel: &Cancel,
    progress: &Function,
) -> Result<(ChatModel<E>, JsValue)> {
    let header = Gguf::read(&given).await?;
    let parameters: u64 = header.tensors.iter().map(|t| t.elements()).sum();
    limits.check_weights(header.tensors.iter().map(|t| t.bytes).sum())?;
    let checked = check(&header, &LoadOptions::default())?;
    known.tell(&checked.template);
    // Weights lie in several types in one file; the one most bytes are in gives it its name.
    let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in &header.tensors {
        *by_type.entry(tensor.ggml_type.name()).or_default() += tensor.bytes;
    }
    let weights = by_type.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(String::new(), |(name, _)| name);
    let named = header.metadata.get("general.name").and_then(Value::as_str).map(str::to_owned);
    // Files call themselves by what their converters knew; the list's name is written for people.
    let name = given.listed_as.clone().or(named).or(given.name()).unwrap_or_else(|| "A model without a name".into());

    let mut tell = teller(progress);
    let model = ChatModel::load_checked(executor, &given, &header, checked, &mut tell, cancel).await?;
    // A model without a template is drawn as what it is; another's template wants a word.
    let family = model.template_notice().filter(|_| model.has_template());
    let notices = model.notices().iter().chain(&family);
    let info = js::object(&[
        ("name", name.into()),
        ("weights", weights.into()),
        ("parameters", (parameters as f64).into()),
        ("bytes", (given.len() as f64).into()),
        ("context", (model.config().context_length as f64).into()),
        ("chat", model.has_template().into()),
        ("instructions", model.takes_instructions().into()),
        ("notices", js_sys::Array::from_iter(notices.map(js::failure)).into()),
    ]);
    Ok((model, info))
}

pub async fn generate<E: Executor>(
    session: &mut ChatSession<E>,
    request: &JsValue,
    cancel: &Cancel,
    on_prompt: &Function,
    on_token: &Function,
) -> Result<JsValue> {
    let Prompt { ids, first } = prompt(session.model(), request)?;
    let options = options(request, first)?;
    options.check()?;
    let _ = on_prompt.call2(&JsValue::NULL, &Uint32Array::from(ids.as_slice()), &(first as f64).into());
    // The page keeps the whole conversation; the context what is left of it.
    let (rest, forgotten) = session.resume(&ids, options.overflow)?;
    let generation = session
        .generate(&rest, &options, cancel, &mut |token| {
            let _ = on_token.call2(&JsValue::NULL, &token.id.into(), &token.text.as_str().into());
        })
        .await?;
    let finish = match generation.finish {
        Finish::EndOfText => "end",
        Finish::StopString => "stop-string",
        Finish::MaxTokens => "max-tokens",
        Finish::ContextFull => "context-full",
        Finish::Cancelled => "cancelled",
    };
    Ok(js::object(&[
        ("tokens", js_sys::Array::from_iter(generation.tokens.iter().map(|id| JsValue::from(*id))).into()),
        ("finish", finish.into()),
        ("promptTokens", (ids.len() as f64).into()),
        ("dropped", ((forgotten + generation.dropped) as f64).into()),
        ("prefillMs", generation.prefill_ms.into()),
        ("decodeMs", generation.decode_ms.into()),
        ("dispatchesPerToken", (generation.dispatches_per_token as f64).into()),
        ("bytesPerToken", (generation.bytes_per_token as f64).into()),
        ("readBytesPerToken", generation.read_bytes_per_token.into()),
    ]))
}

/// `overflow: "slide"` forgets all but the first tokens, else the answer stops where the context is full.
fn overflow(request: &JsValue, keep: usize) -> Result<Overflow> {
    match js::field(request, "overflow").as_string().as_deref() {
        Some("slide") => Ok(Overflow::Slide { keep }),
        Some("stop") | None => Ok(Overflow::Stop),
        Some(_) => Err(js::unfit("overflow", "\"stop\" or \"slide\"")),
    }
}

/// How a request's tokens are drawn; what it does not say is as the command line has it. `first`: how many tokens of the
/// prompt are never forgotten.
fn options(request: &JsValue, first: usize) -> Result<GenerateOptions> {
    let default = GenerateOptions::default();
    let number = |name: &str, default: f32| match js::field(request, name).is_undefined() {
        true => Ok(default),
        false => js::number(request, name).map(|value| value as f32),
    };
    // -1 is all there is: of tokens to choose from, of those that were there.
    let count = |name: &str, default: usize| match js::field(request, name).is_undefined() {
        true => Ok(default),
        false => match js::number(request, name)? {
            -1.0 => Ok(usize::MAX),
            value if value >= 0.0 && value.fract() == 0.0 => Ok(value as usize),
            value => {
                let code = if name == "topK" { "chat.top_k" } else { "chat.repeat_last_n" };
                Err(Error::new(code, format!("{name} is {value}"), "give a whole number from 0 on"))
            }
        },
    };
    let stop = match js::field(request, "stop").is_undefined() {
        true => Vec::new(),
        false => js::array(request, "stop")?
            .iter()
            .map(|text| text.as_string().ok_or_else(|| js::unfit("stop", "an array of texts")))
            .collect::<Result<_>>()?,
    };
    Ok(GenerateOptions {
        max_tokens: js::number(request, "maxTokens")? as usize,
        temperature: js::number(request, "temperature")? as f32,
        top_k: count("topK", default.top_k)?,
        top_p: number("topP", default.top_p)?,
        min_p: number("minP", default.min_p)?,
        repeat_penalty: number("repeatPenalty", default.repeat_penalty)?,
        repeat_last_n: count("repeatLastN", default.repeat_last_n)?,
        stop,
        seed: js::number(request, "seed")? as u64,
        first_step: js::number(request, "firstStep")? as u64,
        overflow: overflow(request, first)?,
    })
}

/// What an answer begins from.
struct Prompt {
    ids: Vec<u32>,
    /// How many of them a context that slides keeps: the system prompt.
    first: usize,
}

/// A request's prompt: `{ids, text}`, a text and what the visitor adds to it; or `{turns: [{role, content}]}`, a conversation.
fn prompt<E: Executor>(model: &ChatModel<E>, request: &JsValue) -> Result<Prompt> {
    let asked = js::field(request, "prompt");
    if !js::field(&asked, "turns").is_undefined() {
        let turns = js::array(&asked, "turns")?;
        let messages: Vec<Message> = turns
            .iter()
            .map(|turn| Ok(Message::new(js::string(&turn, "role")?, js::string(&turn, "content")?)))
            .collect::<Result<_>>()?;
        // Finding its end writes the conversation down several times: only where something may be forgotten.
        let slides = js::field(request, "overflow").as_string().is_some_and(|overflow| overflow == "slide");
        let first = if slides { model.system_prefix(&messages)? } else { 0 };
        return Ok(Prompt { ids: model.chat_prompt(&messages)?, first });
    }
    let held: Vec<u32> = js::array(&asked, "ids")?.iter().filter_map(|id| id.as_f64()).map(|id| id as u32).collect();
    let text = js::string(&asked, "text")?;
    let tokenizer = model.tokenizer();
    // A conversation that is taken up again says what it was told; a text has the file's first token.
    let first = match js::field(&asked, "first").as_f64() {
        Some(first) => first as usize,
        None => usize::from(tokenizer.add_bos()),
    };
    let Some(last) = held.last() else { return Ok(Prompt { ids: model.raw_prompt(&text)?, first }) };
    let added = continued(model, *last, &text)?;
    Ok(Prompt { ids: held.into_iter().chain(added).collect(), first })
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
