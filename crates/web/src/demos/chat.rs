//! Chat: a conversation's ids and words across the edge. What goes back and forth is only what the other side lacks; the page has
//! all of it, and sends it again to a Worker that does not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, Promise, Uint32Array};
use lantern_demos::chat::{
    ChatModel, ChatSession, ChatTemplate, Checked, Finish, GenerateOptions, Generation, LoadOptions, Message, Overflow,
    check, warm,
};
use lantern_graph::{Account, Error, Executor, Result};
use lantern_weights::download::{Look, Part, Stored};
use lantern_weights::{ByteSource, Gguf, Value};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::contract::{Loaded, Loading, Model, Reply, Session, known};
use crate::host::Given;
use crate::js;
use crate::port::Port;

/// One GGUF.
pub async fn load<E: Executor>(mut loading: Loading<'_, E>) -> Result<Loaded> {
    let Loading { executor, shared, port, .. } = loading;
    let first = First { executor, port, seen: RefCell::default(), known: Cell::default(), warming: RefCell::default() };
    let gathered = loading.gather(|| &first).await;
    first.warmed().await;
    let (mut files, notice) = gathered?;
    let file = files.pop().ok_or_else(|| Error::new("web.request", "no file was given", "choose one"))?;
    let Header { gguf, checked } = first.header(&file).await?;
    let facts = Facts::of(&gguf, &file);
    let (tell, cancel) = (&mut port.teller(), port.cancel());
    let model = ChatModel::load_sharing(executor, shared, &file, &gguf, checked, tell, cancel).await?;
    let info = facts.info(&model);
    Ok(Loaded::new(model, info, notice))
}

/// What a file begins with, and what came of it.
struct Header<C> {
    gguf: Gguf,
    checked: C,
}

/// Looks at a GGUF header as soon as it is here, once: what cannot run is given up before the rest is fetched. Of what can, the
/// page hears what kind of model it is, and the device makes its kernels while the weights arrive.
struct First<'a, E> {
    executor: &'a Rc<E>,
    port: &'a Port,
    seen: RefCell<Option<Header<Rc<Checked>>>>,
    known: Cell<bool>,
    /// Kernels in the making.
    warming: RefCell<Option<Promise>>,
}

impl<P: Part, E: Executor> Look<P> for &First<'_, E> {
    async fn look(&mut self, stored: &Stored<'_, P>) -> Result<bool> {
        let gguf = match Gguf::read(stored).await {
            Err(error) if error.code == Stored::<P>::MORE => return Ok(false),
            read => read?,
        };
        // Before the rest is fetched. Weights of a file that is here may be on the device already.
        self.executor.check_weights(gguf.tensors.iter().map(|t| t.bytes).sum())?;
        let checked = Rc::new(check(&gguf, &LoadOptions::default())?);
        checked.check_conversation()?;
        self.tell(&checked.template);
        self.warm(&checked);
        // A file that changed on its way is looked at again.
        self.seen.replace(Some(Header { gguf, checked }));
        Ok(true)
    }
}

impl<E: Executor> First<'_, E> {
    /// What was seen while the file came, or is seen now in a file that was here.
    async fn header(&self, file: &Given) -> Result<Header<Checked>> {
        if let Some(Header { gguf, checked }) = self.seen.take() {
            let checked = Rc::try_unwrap(checked).or_else(|_| check(&gguf, &LoadOptions::default()))?;
            return Ok(Header { gguf, checked });
        }
        let gguf = Gguf::read(file).await?;
        let checked = check(&gguf, &LoadOptions::default())?;
        self.tell(&checked.template);
        Ok(Header { gguf, checked })
    }

    /// What kind of model it is: told once, as soon as anything says so.
    fn tell(&self, template: &ChatTemplate) {
        if !self.known.replace(true) {
            let known = [("chat", template.is_some().into()), ("instructions", template.takes_instructions().into())];
            self.port.send("known", &js::object(&known));
        }
    }

    fn warm(&self, checked: &Rc<Checked>) {
        if self.warming.borrow().is_some() {
            return;
        }
        let (executor, checked, cancel) = (self.executor.clone(), checked.clone(), self.port.cancel().clone());
        self.warming.replace(Some(future_to_promise(async move {
            // What fails here fails again where a session is opened, and is told there.
            let _ = warm(&*executor, &checked, &cancel).await;
            Ok(JsValue::UNDEFINED)
        })));
    }

    /// Waits for what was begun, before anything else of this load compiles: no kernel is made twice at once.
    async fn warmed(&self) {
        let begun = self.warming.take();
        if let Some(begun) = begun {
            let _ = JsFuture::from(begun).await;
        }
    }
}

/// What the page shows of a file.
struct Facts {
    name: String,
    weights: String,
    parameters: u64,
    bytes: u64,
}

impl Facts {
    fn of(gguf: &Gguf, file: &Given) -> Facts {
        // Weights lie in several types in one file; the one most bytes are in gives it its name.
        let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
        for tensor in &gguf.tensors {
            *by_type.entry(tensor.ggml_type.name()).or_default() += tensor.bytes;
        }
        let weights = by_type.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(String::new(), |(name, _)| name);
        let named = gguf.metadata.get("general.name").and_then(Value::as_str).map(str::to_owned);
        // Files call themselves by what their converters knew; the list's name is written for people.
        let name = file.listed_as.clone().or(named).or(file.name()).unwrap_or_else(|| "A model without a name".into());
        let parameters = gguf.tensors.iter().map(|t| t.elements()).sum();
        Facts { name, weights, parameters, bytes: file.len() }
    }

    fn info<E: Executor>(self, model: &ChatModel<E>) -> JsValue {
        // A model without a template is drawn as what it is; another's template wants a word.
        let family = model.template_notice().filter(|_| model.has_template());
        let notices = model.notices().iter().chain(&family);
        js::object(&[
            ("name", self.name.into()),
            ("weights", self.weights.into()),
            ("parameters", (self.parameters as f64).into()),
            ("bytes", (self.bytes as f64).into()),
            ("context", (model.config().context_length as f64).into()),
            ("chat", model.has_template().into()),
            ("instructions", model.takes_instructions().into()),
            ("notices", Array::from_iter(notices.map(js::failure)).into()),
        ])
    }
}

impl<E: Executor> Model for ChatModel<E> {
    type Session = Conversation<E>;

    async fn open(self: &Rc<Self>, port: &Port) -> Result<Conversation<E>> {
        let session = self.session(&mut port.teller(), port.cancel()).await?;
        Ok(Conversation { session, said: Vec::new() })
    }

    fn weight_bytes(&self) -> u64 {
        self.weight_bytes()
    }
}

pub struct Conversation<E: Executor> {
    session: ChatSession<E>,
    /// All ids, those that the context forgot too: what the page has, and of a stopped answer maybe more.
    said: Vec<u32>,
}

impl<E: Executor> Session for Conversation<E> {
    fn account(&self) -> &Account {
        self.session.account()
    }

    async fn request(&mut self, kind: &str, payload: &JsValue, port: &Port) -> Result<Reply> {
        known(kind, &["generate"])?;
        self.generate(payload, port).await
    }
}

impl<E: Executor> Conversation<E> {
    /// `request`: `GenerateRequest` of `www/lantern/chat/messages.js`. Sends `prompt`, a `notice` for what
    /// of it does not reach the model, then a `token` for each; gives `Generated`.
    async fn generate(&mut self, request: &JsValue, port: &Port) -> Result<Reply> {
        let Prompt { held, ids, first, notices } = self.prompt(request)?;
        let options = options(request, first)?;
        options.check()?;
        let kept = self.said[..held].iter().zip(&ids).take_while(|(held, id)| held == id).count();
        let news = Uint32Array::from(&ids[kept..]);
        let prompt = [("kept", (kept as f64).into()), ("ids", news.into()), ("first", (first as f64).into())];
        port.send("prompt", &js::object(&prompt));
        for notice in &notices {
            port.send("notice", &js::failure(notice));
        }
        // The page keeps the whole conversation; the context what is left of it.
        let (rest, forgotten) = self.session.resume(&ids, options.overflow)?;
        let prompt_tokens = ids.len();
        self.said = ids;
        let said = &mut self.said;
        let generation = self
            .session
            .generate(&rest, &options, port.cancel(), &mut |token| {
                said.push(token.id);
                port.send("token", &js::object(&[("id", token.id.into()), ("text", token.text.as_str().into())]));
            })
            .await?;
        Ok(Reply::new(generated(&generation, prompt_tokens, forgotten)))
    }

    /// What an answer begins from: `{turns: [{role, content}], held}`, a conversation; or `{held, ids, text}`, a text and what the
    /// visitor adds to it. `held`: how many of the first ids the page has as they are here.
    fn prompt(&self, request: &JsValue) -> Result<Prompt> {
        let (model, asked) = (self.session.model(), js::field(request, "prompt"));
        let held = js::number(&asked, "held")? as usize;
        let known = self.said.get(..held).ok_or_else(|| js::unfit("held", "a number of ids that are here"))?;
        if !js::field(&asked, "turns").is_undefined() {
            let turns = js::array(&asked, "turns")?;
            let messages: Vec<Message> = turns
                .iter()
                .map(|turn| Ok(Message::new(js::string(&turn, "role")?, js::string(&turn, "content")?)))
                .collect::<Result<_>>()?;
            // Finding its end writes the conversation down several times: only where something may be forgotten.
            let slides = js::field(request, "overflow").as_string().is_some_and(|overflow| overflow == "slide");
            let first = if slides { model.system_prefix(&messages)? } else { 0 };
            let notices = model.chat_notices(&messages);
            return Ok(Prompt { held, ids: model.chat_prompt(&messages)?, first, notices });
        }
        let lacking = js::array(&asked, "ids")?;
        let lacking = lacking.iter().filter_map(|id| id.as_f64()).map(|id| id as u32);
        let before: Vec<u32> = known.iter().copied().chain(lacking).collect();
        let text = js::string(&asked, "text")?;
        // A conversation that is taken up again says what it was told; a text has the file's first token.
        let first = match js::field(&asked, "first").as_f64() {
            Some(first) => first as usize,
            None => usize::from(model.tokenizer().add_bos()),
        };
        let Some(last) = before.last() else {
            return Ok(Prompt { held, ids: model.raw_prompt(&text)?, first, notices: Vec::new() });
        };
        let added = continued(model, *last, &text)?;
        Ok(Prompt { held, ids: before.into_iter().chain(added).collect(), first, notices: Vec::new() })
    }
}

struct Prompt {
    held: usize,
    ids: Vec<u32>,
    /// How many of them a context that slides keeps: the system prompt.
    first: usize,
    /// What of a conversation the template leaves out.
    notices: Vec<Error>,
}

fn generated(generation: &Generation, prompt_tokens: usize, forgotten: usize) -> JsValue {
    let finish = match generation.finish {
        Finish::EndOfText => "end",
        Finish::StopString => "stop-string",
        Finish::MaxTokens => "max-tokens",
        Finish::ContextFull => "context-full",
        Finish::Cancelled => "cancelled",
    };
    js::object(&[
        ("finish", finish.into()),
        ("promptTokens", (prompt_tokens as f64).into()),
        ("dropped", ((forgotten + generation.dropped) as f64).into()),
        ("prefillMs", generation.prefill_ms.into()),
        ("decodeMs", generation.decode_ms.into()),
        ("dispatchesPerToken", (generation.dispatches_per_token as f64).into()),
        ("bytesPerToken", (generation.bytes_per_token as f64).into()),
        ("readBytesPerToken", generation.read_bytes_per_token.into()),
    ])
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
