//! How a conversation is written down for a model: by the chat template out of its file, by its family's (family.rs), or by
//! one that was given.
//!
//! Templates are Jinja as Hugging Face renders it (the crate `jinja`). What a visitor typed never becomes a control token,
//! whatever a template does with it: the rendered text says which of its bytes were typed.

mod family;
mod render;

use lantern_graph::{Error, Result};
use lantern_jinja::{Rendered, Template};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{ChatTemplates, Metadata, Value};

use render::Conversation;

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

/// Where a template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The model's file.
    File,
    /// The family that the model's tokens or name tell, by its name.
    Family(&'static str),
    /// Whoever runs the model.
    Given,
}

pub struct ChatTemplate {
    /// One that cannot be read fails when a conversation wants it: a text can be continued without.
    template: Option<(Origin, Result<Template>)>,
    /// The texts of tokens that templates name: `bos_token` and such.
    tokens: Vec<(&'static str, String)>,
    /// Seconds since 1970, for templates that write the date.
    now: u64,
}

/// First words of a turn that have no token in common.
const PROBES: [&str; 4] = ["A", "z", "7", "?"];

impl ChatTemplate {
    /// `notices` hears of a template that is no text.
    pub fn from_gguf(m: &Metadata, tokenizer: &Tokenizer, notices: &mut Vec<Error>) -> Self {
        let template = match ChatTemplates::read(m, notices).chosen {
            Some(own) => Some((Origin::File, render::parse(own))),
            None => {
                let name = m.get("general.name").and_then(Value::as_str).unwrap_or_default();
                family::template(tokenizer, name).map(|(name, source)| (Origin::Family(name), render::parse(source)))
            }
        };
        Self { template, tokens: tokens(m, tokenizer), now: now() }
    }

    /// Another template than the file's.
    pub fn given(source: &str, m: &Metadata, tokenizer: &Tokenizer) -> Self {
        Self { template: Some((Origin::Given, render::parse(source))), tokens: tokens(m, tokenizer), now: now() }
    }

    /// A template without a model.
    pub fn alone(source: &str, bos_token: &str, eos_token: &str) -> Self {
        let tokens = vec![("bos_token", bos_token.to_owned()), ("eos_token", eos_token.to_owned())];
        Self { template: Some((Origin::Given, render::parse(source))), tokens, now: now() }
    }

    /// As if it were another time, in seconds since 1970.
    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    /// Whether there is one: without, a model continues texts.
    pub fn is_some(&self) -> bool {
        self.template.is_some()
    }

    pub fn origin(&self) -> Option<Origin> {
        self.template.as_ref().map(|(origin, _)| *origin)
    }

    /// What a reader should know of what becomes of a conversation: `chat.system_ignored` and `chat.question_ignored` where its
    /// system prompt or its last question leaves no trace. Nothing fails by it. None where the template fails.
    pub fn notices(&self, messages: &[Message]) -> Vec<Error> {
        let system = messages.iter().position(|m| m.role == "system");
        let question = messages.iter().rposition(|m| m.role == "user");
        let is_lost = |at: &usize| self.reaches(messages, *at) == Some(false);
        let named = [
            ("chat.system_ignored", "system prompt", system, "say it in the question itself"),
            ("chat.question_ignored", "last question", question, "take another file of this model"),
        ];
        let lost = named.into_iter().filter(|(.., at, _)| at.as_ref().is_some_and(is_lost));
        lost.map(|(code, what, _, remedy)| {
            Error::new(code, format!("the chat template leaves out the {what}: the model does not see it"), remedy)
        })
        .collect()
    }

    /// Whether a system prompt reaches the model. Some templates leave it out without a word, some refuse it.
    pub fn takes_instructions(&self) -> bool {
        self.reaches(&[Message::new("system", "B"), Message::new("user", "A")], 0) == Some(true)
    }

    /// Whether any word of one message is in what the template writes of them all; `None` without a template, where it fails, or
    /// where the message has no word.
    fn reaches(&self, messages: &[Message], at: usize) -> Option<bool> {
        let is_word = |c: char| !c.is_whitespace();
        if !messages[at].content.contains(is_word) {
            return None;
        }
        let written = self.write(&Conversation::Marked(messages, at), true).ok()??;
        Some(written.typed.iter().any(|typed| written.text[typed.clone()].contains(is_word)))
    }

    /// What a visitor should know of how conversations are written down: `chat.no_template` where none is known, and
    /// `chat.family_template` where the file brings none and its family's is used. Nothing fails by it.
    pub fn notice(&self) -> Option<Error> {
        match self.origin() {
            None => Some(Error::new(
                "chat.no_template",
                "no chat template is known for this model, so it continues the prompt as text",
                "instructions stand before it as text, with no mark of their own; a model that converses has a template",
            )),
            Some(Origin::Family(family)) => Some(Error::new(
                "chat.family_template",
                format!("the file has no chat template, so that of its family is used: {family}"),
                "where answers seem odd, get a file that brings its own",
            )),
            Some(Origin::File | Origin::Given) => None,
        }
    }

    /// The conversation up to where the model goes on; `None` without a template.
    ///
    /// # Errors
    /// `chat.template` with what the template said.
    pub fn render(&self, messages: &[Message]) -> Result<Option<Rendered>> {
        self.write(&Conversation::Messages(messages), true)
    }

    /// A conversation of messages in JSON, which may hold more than roles and texts; with the beginning of an answer, or
    /// without.
    ///
    /// # Errors
    /// `chat.messages` for JSON that is none; as `render`.
    pub fn render_json(&self, messages: &str, generation_prompt: bool) -> Result<Option<Rendered>> {
        render::check_json(messages)?;
        self.write(&Conversation::Json(messages), generation_prompt)
    }

    fn write(&self, conversation: &Conversation, generation_prompt: bool) -> Result<Option<Rendered>> {
        match &self.template {
            None => Ok(None),
            Some((_, Err(error))) => Err(error.clone()),
            Some((_, Ok(template))) => {
                render::render(template, &self.tokens, conversation, generation_prompt, self.now).map(Some)
            }
        }
    }

    /// The ids of a conversation up to where the model goes on. Without a template: the messages' texts, a line each,
    /// after the file's first token.
    ///
    /// # Errors
    /// `chat.template` when the template fails; `chat.empty_prompt` when no token comes out; the tokenizer's own.
    pub fn prompt(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Vec<u32>> {
        match self.render(messages)? {
            Some(written) => encode(tokenizer, &written),
            None => {
                let texts: Vec<_> = messages.iter().map(|m| m.content.as_str()).collect();
                raw_prompt(tokenizer, &texts.join("\n"))
            }
        }
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
}

/// The ids of what a template wrote, after the file's first token.
///
/// # Errors
/// `chat.empty_prompt` when no token comes out; the tokenizer's own.
pub fn encode(tokenizer: &Tokenizer, written: &Rendered) -> Result<Vec<u32>> {
    let mut ids = tokenizer.encode_around(&written.text, &written.typed)?;
    // Most templates write the first token themselves.
    if let Some(bos) = tokenizer.bos().filter(|bos| tokenizer.add_bos() && ids.first() != Some(bos)) {
        ids.insert(0, bos);
    }
    non_empty(ids)
}

fn tokens(m: &Metadata, tokenizer: &Tokenizer) -> Vec<(&'static str, String)> {
    let piece = |id: Option<u32>| id.and_then(|id| tokenizer.piece(id)).unwrap_or_default().to_owned();
    let named = |key: &str| m.get(key).and_then(Value::as_u32);
    vec![
        ("bos_token", piece(tokenizer.bos())),
        ("eos_token", piece(tokenizer.eos())),
        ("unk_token", piece(named("tokenizer.ggml.unknown_token_id"))),
        ("pad_token", piece(named("tokenizer.ggml.padding_token_id"))),
    ]
}

/// Seconds since 1970. The page has no clock of std's, and no time zone here: the date is UTC's.
fn now() -> u64 {
    let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
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
