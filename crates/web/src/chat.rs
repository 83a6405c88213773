//! The chat's calls: prompts and tokens across the edge.

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Function, Uint32Array};
use lantern_demos::chat::{ChatModel, ChatSession, Finish, GenerateOptions, LoadOptions, Message, check};
use lantern_graph::{Cancel, Executor, Result};
use lantern_weights::download::{Look, Part, Stored};
use lantern_weights::{ByteSource, Gguf};
use wasm_bindgen::JsValue;

use crate::host::{Given, Limits, teller};
use crate::js;

/// Looks at a GGUF header as soon as it is here: what cannot run is given up before the rest is fetched.
pub struct Header(pub Limits);

impl<P: Part> Look<P> for Header {
    async fn look(&mut self, stored: &Stored<'_, P>) -> Result<bool> {
        let header = match Gguf::read(stored).await {
            Err(error) if error.code == Stored::<P>::MORE => return Ok(false),
            read => read?,
        };
        check(&header, &LoadOptions::default())?;
        self.0.check_weights(header.tensors.iter().map(|t| t.bytes).sum())?;
        Ok(true)
    }
}

/// A model and what the page shows of it.
pub async fn load<E: Executor>(
    executor: &Rc<E>,
    given: Given,
    limits: Limits,
    cancel: &Cancel,
    progress: &Function,
) -> Result<(ChatModel<E>, JsValue)> {
    let Given { source, name: file_name } = given;
    let header = Gguf::read(&source).await?;
    let parameters: u64 = header.tensors.iter().map(|t| t.elements()).sum();
    limits.check_weights(header.tensors.iter().map(|t| t.bytes).sum())?;
    // Weights lie in several types in one file; the one most bytes are in gives it its name.
    let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in &header.tensors {
        *by_type.entry(tensor.ggml_type.name()).or_default() += tensor.bytes;
    }
    let weights = by_type.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(String::new(), |(name, _)| name);
    let named = header.metadata.find_str("general.name")?.map(str::to_owned);
    let name = named.or(file_name).unwrap_or_else(|| "A model without a name".into());

    let mut tell = teller(progress);
    let model = ChatModel::load(executor, &source, &LoadOptions::default(), &mut tell, cancel).await?;
    let info = js::object(&[
        ("name", name.into()),
        ("weights", weights.into()),
        ("parameters", (parameters as f64).into()),
        ("bytes", (source.len() as f64).into()),
        ("context", (model.config().context_length as f64).into()),
        ("chat", model.has_template().into()),
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
