//! A conversation in a template, as Hugging Face's `apply_chat_template` hands it over.

use lantern_graph::{Error, Result};
use lantern_jinja::{Kind, Rendered, Template, Value, from_json};

use super::Message;

/// What is told of a template that fails; it must be possible in the page and on the command line.
const REMEDY: &str = "take another template, or another file of this model";

/// The conversation, and whose words count as typed.
pub(super) enum Conversation<'m> {
    Messages(&'m [Message]),
    /// One message's words alone are marked.
    Marked(&'m [Message], usize),
    /// A list of messages in JSON, with whatever they hold.
    Json(&'m str),
}

impl Conversation<'_> {
    fn value(&self) -> lantern_jinja::Result<Value> {
        match self {
            Self::Messages(messages) => {
                Value::list(messages.iter().map(|m| message(m, true)).collect::<Result<_, _>>()?)
            }
            Self::Marked(messages, marked) => {
                let messages = messages.iter().enumerate().map(|(i, m)| message(m, i == *marked));
                Value::list(messages.collect::<Result<_, _>>()?)
            }
            Self::Json(source) => {
                let Value::List(messages) = from_json(source, true)? else { return Ok(Value::None) };
                Value::list(messages.iter().map(with_plain_role).collect::<Result<_, _>>()?)
            }
        }
    }
}

fn message(message: &Message, typed: bool) -> lantern_jinja::Result<Value> {
    let content = if typed { Value::typed(&message.content) } else { Value::text(&message.content) };
    Value::dict([(Value::text("role"), role(&message.role)), (Value::text("content"), content)])
}

/// Templates make tokens of roles (`'<|' + message.role + '|>'`), so a role is nobody's words: as long as it is a word.
fn role(role: &str) -> Value {
    let is_word = role.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_word { Value::text(role) } else { Value::typed(role) }
}

fn with_plain_role(message: &Value) -> lantern_jinja::Result<Value> {
    let Value::Dict(dict) = message else { return Ok(message.clone()) };
    Value::dict(dict.entries().iter().map(|(key, value)| match (key, value) {
        (Value::Str(name), Value::Str(text)) if name.to_string() == "role" => (key.clone(), role(&text.to_string())),
        _ => (key.clone(), value.clone()),
    }))
}

/// # Errors
/// `chat.messages` for JSON that is no list of messages.
pub(super) fn check_json(source: &str) -> Result<()> {
    let wrong = |what: String| {
        Error::new("chat.messages", what, "give a list like [{\"role\": \"user\", \"content\": \"Hi\"}]")
    };
    match from_json(source, true) {
        Err(error) => Err(wrong(format!("the messages are no JSON: {}", error.message))),
        Ok(Value::List(messages)) => match messages.iter().position(|m| !matches!(m, Value::Dict(_))) {
            Some(at) => Err(wrong(format!("message {} of the list is no object", at + 1))),
            None if messages.is_empty() => Err(wrong("the list of messages is empty".into())),
            None => Ok(()),
        },
        Ok(_) => Err(wrong("the messages are no list".into())),
    }
}

/// `tokens`: the texts of tokens that templates name. `now`: seconds since 1970.
///
/// # Errors
/// `chat.template` with what the template said.
pub(super) fn render(
    template: &Template,
    tokens: &[(&'static str, String)],
    conversation: &Conversation,
    generation_prompt: bool,
    now: u64,
) -> Result<Rendered> {
    let attempt = |tools: bool| {
        let context = || {
            let mut names =
                vec![("messages", conversation.value()?), ("add_generation_prompt", Value::Bool(generation_prompt))];
            // Hugging Face hands these two over as None; `date_string` and such it leaves undefined.
            if tools {
                names.extend([("tools", Value::None), ("documents", Value::None)]);
            }
            names.extend(tokens.iter().map(|(name, text)| (*name, Value::text(text))));
            Ok(names)
        };
        template.render(context, now)
    };
    let written = match attempt(true) {
        // A template for conversations with tools goes through them unasked: there are none to go through.
        Err(error) if error.kind == Kind::Type => attempt(false).map_err(|_| error),
        result => result,
    };
    written.map_err(|error| failed(&error))
}

/// Go's templates, which Ollama's files carry, begin like Jinja's, and have no statements of their own signs.
fn is_go(source: &str) -> bool {
    !source.contains("{%")
        && source.split("{{").skip(1).any(|tag| {
            let inside = tag.trim_start_matches('-').trim_start();
            let word = inside.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let field = inside.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            let of_field =
                inside[word.len()..].trim_start().starts_with(['.', '$']) && inside[word.len()..].starts_with(' ');
            field || matches!(word, "if" | "range" | "with" | "template" | "block") && of_field
        })
}

/// # Errors
/// `chat.template`, with the line.
pub(super) fn parse(source: &str) -> Result<Template> {
    if is_go(source) {
        let cause = "the chat template is a Go template, as Ollama writes them, and not Jinja";
        return Err(Error::new("chat.template", cause, REMEDY));
    }
    Template::parse(source).map_err(|error| failed(&error))
}

fn failed(error: &lantern_jinja::Error) -> Error {
    let place = error.line.map_or(String::new(), |line| format!(" in line {line}"));
    let said: Vec<_> = error.message.split_whitespace().collect();
    let said = said.join(" ");
    let (what, remedy) = match error.kind {
        Kind::Raised => ("refused the conversation", "ask without what it refuses, or "),
        _ => ("failed", ""),
    };
    Error::new("chat.template", format!("the chat template {what}{place}: {said}"), format!("{remedy}{REMEDY}"))
}
