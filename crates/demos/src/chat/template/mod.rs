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
use lantern_weights::Metadata;

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
    /// # Errors
    /// `gguf.metadata` when the template is no string.
    pub fn from_gguf(m: &Metadata, tokenizer: &Tokenizer) -> Result<Self> {
        let own = m.find_str("tokenizer.chat_template")?.filter(|own| !own.trim().is_empty());
        let template = match own {
            Some(own) => Some((Origin::File, render::parse(own))),
            None => {
                let name = m.find_str("general.name").ok().flatten().unwrap_or_default();
                family::template(tokenizer, name).map(|(name, source)| (Origin::Family(name), render::parse(source)))
            }
        };
        Ok(Self { template, tokens: tokens(m, tokenizer), now: now() })
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

    /// Whether a conversation of one question can be written down; without a template there is nothing to check.
    ///
    /// # Errors
    /// `chat.template` with what is wrong with it.
    pub fn check(&self) -> Result<()> {
        self.render(&[Message::new("user", "Hello")]).map(|_| ())
    }

    /// What a reader should know of what becomes of a conversation: `chat.template` where its system prompt or its last
    /// question leaves no trace. Nothing fails by it. None where the template fails.
    pub fn notices(&self, messages: &[Message]) -> Vec<Error> {
        let system = messages.iter().position(|m| m.role == "system");
        let question = messages.iter().rposition(|m| m.role == "user");
        let is_lost = |at: &usize| {
            let written = self.write(&Conversation::Marked(messages, *at), true);
            let is_word = |c: char| !c.is_whitespace();
            let Ok(Some(written)) = written else { return false };
            messages[*at].content.contains(is_word)
                && !written.typed.iter().any(|t| written.text[t.clone()].contains(is_word))
        };
        let named = [("system prompt", system), ("last question", question)];
        let lost = named.into_iter().filter(|(_, at)| at.as_ref().is_some_and(is_lost));
        lost.map(|(what, _)| {
            Error::new(
                "chat.template",
                format!("the chat template leaves out the {what}: the model does not see it"),
                "say it in another message, or take another file of this model; on the command line, --template FILE takes another template",
            )
        })
        .collect()
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
    let named = |key: &str| m.find_u32(key).ok().flatten();
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
