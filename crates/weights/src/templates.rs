//! Which of a file's chat templates is used. Most have one; a list has one by default and others by name.

use crate::{Metadata, Value};
use lantern_graph::Error;

const KEY: &str = "tokenizer.chat_template";

/// A file's chat templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatTemplates<'m> {
    /// The text of the one that is used.
    pub chosen: Option<&'m str>,
    /// What the others are called.
    pub others: Vec<&'m str>,
}

impl<'m> ChatTemplates<'m> {
    /// `tokenizer.chat_template`, or of those by name (`tokenizer.chat_template.NAME`) "default", or the first. `notices` hears
    /// of entries that are no texts.
    pub fn read(metadata: &'m Metadata, notices: &mut Vec<Error>) -> Self {
        let text = |value: &'m Value| value.as_list().first().and_then(Value::as_str);
        let plain = metadata.optional(KEY, "a text", text, notices).filter(|own| !own.trim().is_empty());
        let mut named: Vec<(&str, &str)> = Vec::new();
        for (key, _) in metadata.iter() {
            let Some(name) = key.strip_prefix(KEY).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let template = metadata.optional(key, "a text", text, notices).filter(|own| !own.trim().is_empty());
            named.extend(template.map(|template| (name, template)));
        }
        let chosen = plain.or_else(|| {
            let default = named.iter().position(|(name, _)| *name == "default").unwrap_or(0);
            (!named.is_empty()).then(|| named.remove(default).1)
        });
        Self { chosen, others: named.into_iter().map(|(name, _)| name).collect() }
    }
}
