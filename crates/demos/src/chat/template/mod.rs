//! How a conversation is written down for a model: by the chat template out of its file, or by its family's (family.rs).
//!
//! Templates are Jinja as Hugging Face renders it (jinja.rs). What a visitor typed never becomes a control token, whatever
//! a template does with it (typed.rs).

mod date;
mod family;
mod jinja;
mod typed;

use lantern_graph::{Error, Result};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{ChatTemplates, Metadata, Value};

use jinja::Renderer;
use typed::StandIns;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

pub struct ChatTemplate {
    source: Option<String>,
    /// The texts of tokens that templates name: `bos_token` and such.
    tokens: Vec<(&'static str, String)>,
}

/// First words of a turn that have no token in common.
const PROBES: [&str; 4] = ["A", "z", "7", "?"];

impl ChatTemplate {
    /// # Errors
    /// None today: a template that cannot be used shows when a conversation is written down.
    pub fn from_gguf(m: &Metadata, tokenizer: &Tokenizer) -> Result<Self> {
        // Whoever checks the file tells of entries that are no texts.
        let source = match ChatTemplates::read(m, &mut Vec::new()).chosen {
            Some(own) => Some(own.to_owned()),
            None => {
                let name = m.get("general.name").and_then(Value::as_str).unwrap_or_default();
                family::template(tokenizer, name).map(str::to_owned)
            }
        };
        let piece = |id: Option<u32>| id.and_then(|id| tokenizer.piece(id)).unwrap_or_default().to_owned();
        let named = |key: &str| m.get(key).and_then(Value::as_u32);
        let tokens = vec![
            ("bos_token", piece(tokenizer.bos())),
            ("eos_token", piece(tokenizer.eos())),
            ("unk_token", piece(named("tokenizer.ggml.unknown_token_id"))),
            ("pad_token", piece(named("tokenizer.ggml.padding_token_id"))),
        ];
        Ok(Self { source, tokens })
    }

    /// Whether there is one: without, a model continues texts.
    pub fn is_some(&self) -> bool {
        self.source.is_some()
    }

    /// The conversation up to where the model goes on; `None` without a template.
    ///
    /// # Errors
    /// `chat.template` with what the template said.
    pub fn render(&self, messages: &[Message]) -> Result<Option<String>> {
        let Some(source) = &self.source else { return Ok(None) };
        Renderer::new().render(source, &self.tokens, messages).map(Some)
    }

    /// The ids of a conversation up to where the model goes on. Without a template: the messages' texts, a line each,
    /// after the file's first token.
    ///
    /// # Errors
    /// `chat.template` when the template fails; `chat.empty_prompt` when no token comes out; the tokenizer's own.
    pub fn prompt(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Vec<u32>> {
        let Some(source) = &self.source else {
            let texts: Vec<_> = messages.iter().map(|m| m.content.as_str()).collect();
            return raw_prompt(tokenizer, &texts.join("\n"));
        };
        let mut ids = self.ids(tokenizer, source, messages)?;
        // Most templates write the first token themselves.
        if let Some(bos) = tokenizer.bos().filter(|bos| tokenizer.add_bos() && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        non_empty(ids)
    }

    /// How many of a conversation's first ids stay the same whatever is asked: its system prompt with what the template
    /// writes around it, up to the first word of the first question. A template that writes the system prompt into that
    /// question is no different.
    ///
    /// # Errors
    /// As `prompt`.
    pub fn system_prefix(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<usize> {
        let ids = self.prompt(tokenizer, messages)?;
        let system: Vec<Message> = messages.iter().take_while(|m| m.role == "system").cloned().collect();
        let mut len = ids.len();
        for probe in PROBES {
            let mut messages = system.clone();
            messages.push(Message::new("user", probe));
            let other = self.prompt(tokenizer, &messages)?;
            len = len.min(ids.iter().zip(&other).take_while(|(a, b)| a == b).count());
        }
        Ok(len)
    }

    fn ids(&self, tokenizer: &Tokenizer, source: &str, messages: &[Message]) -> Result<Vec<u32>> {
        let renderer = Renderer::new();
        let guarded = tokenizer.guarded_chars();
        let stand_ins = StandIns::choose(guarded, messages, source)?;
        let veiled: Vec<Message> = messages.iter().map(|m| Message::new(&m.role, stand_ins.veil(&m.content))).collect();
        let plain = renderer.render(source, &self.tokens, messages)?;
        let safe = renderer.render(source, &self.tokens, &veiled).map(|text| stand_ins.unveil(&text));
        let special = |ids: &[u32]| ids.iter().copied().filter(|id| tokenizer.is_guarded(*id)).collect::<Vec<_>>();

        // The template treated the words as words: it is known of every character whose it is.
        if let Ok((text, typed)) = &safe
            && *text == plain
        {
            return tokenizer.encode_around(text, typed);
        }
        // It looked into them (for a `</think>`, say), so only the plain text is what the model knows. That will do where
        // nobody wrote a guarded token, and none came about by what the template did.
        let ids = tokenizer.encode_around(&plain, &[])?;
        let mut wrote = false;
        for message in messages {
            wrote |= !special(&tokenizer.encode_around(&message.content, &[])?).is_empty();
        }
        match safe {
            Err(_) if !wrote => Ok(ids),
            Err(error) => Err(error),
            Ok((text, typed)) => {
                let safe = tokenizer.encode_around(&text, &typed)?;
                Ok(if !wrote && special(&ids) == special(&safe) { ids } else { safe })
            }
        }
    }
}

/// The ids of a text to be continued: the file's first token (BOS), then the text. The text may be empty where the file
/// has such a token. Special tokens in the text are plain text.
///
/// # Errors
/// `chat.empty_prompt`; the tokenizer's own.
pub fn raw_prompt(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let mut ids = tokenizer.encode(text, false)?;
    if let Some(bos) = tokenizer.bos().filter(|_| tokenizer.add_bos() || ids.is_empty()) {
        ids.insert(0, bos);
    }
    non_empty(ids)
}

fn non_empty(ids: Vec<u32>) -> Result<Vec<u32>> {
    if ids.is_empty() {
        return Err(Error::new("chat.empty_prompt", "the prompt holds no token", "write something"));
    }
    Ok(ids)
}
