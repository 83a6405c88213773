//! `lantern template`: what a conversation becomes, by a model's chat template or another.

use std::path::Path;

use lantern_demos::chat::{ChatTemplate, Origin, encode};
use lantern_graph::{Error, Result};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf, Value};
use serde_json::json;

use crate::args::Template;
use crate::input;
use crate::output::{self, Notes};

pub async fn run(args: &Template) -> Result<()> {
    let messages = messages(&args.messages)?;
    let given = args.template.as_deref().map(read).transpose()?;
    let mut notes = Notes::new("template");
    let mut tokenizer = None;
    let template = match (&args.model, &given) {
        (Some(path), _) => {
            let mut gguf = Gguf::read(&FileSource::open(path)?).await?;
            gguf.check_whole()?;
            if let Some(source) = &given {
                gguf.metadata.set("tokenizer.chat_template", Value::String(source.clone()));
            }
            let read = Tokenizer::from_gguf(&gguf.metadata).map_err(|error| gguf.unless_part(error))?;
            notes.tell_all(read.notices().to_vec());
            let mut skipped = Vec::new();
            let template = match &given {
                Some(source) => ChatTemplate::given(source, &gguf.metadata, &read),
                None => ChatTemplate::from_gguf(&gguf.metadata, &read, &mut skipped),
            };
            notes.tell_all(skipped);
            tokenizer = Some(read);
            template
        }
        (None, Some(source)) => ChatTemplate::alone(source, &args.bos_token, &args.eos_token),
        (None, None) => return Err(Error::new("chat.template", "no template is named", "give --model or --template")),
    };
    let written = template.render_json(&messages, !args.no_generation_prompt)?.ok_or_else(|| {
        Error::new(
            "chat.template",
            "the file has no chat template, and its family is not known: it continues texts",
            "give another model, or a template with --template",
        )
    })?;
    notes.tell_all(template.notice());
    if !args.json.json {
        return output::line(&written.text);
    }
    let origin = match template.origin() {
        Some(Origin::Family(name)) => format!("family {name}"),
        Some(Origin::Given) => "--template".to_owned(),
        _ => "file".to_owned(),
    };
    let typed: Vec<[usize; 2]> = written.typed.iter().map(|range| [range.start, range.end]).collect();
    let mut shown = json!({ "text": written.text, "typed": typed, "source": origin, "notes": notes.to_json() });
    if let Some(tokenizer) = &tokenizer {
        let ids = encode(tokenizer, &written)?;
        shown["pieces"] = ids.iter().map(|id| tokenizer.piece(*id)).collect();
        shown["ids"] = ids.into();
    }
    output::json(&shown)
}

/// JSON as it is given, in a file, or on standard input (`-`).
fn messages(given: &str) -> Result<String> {
    if given.trim_start().starts_with('[') {
        Ok(given.to_owned())
    } else {
        input::file(Path::new(given), "chat.messages")
    }
}

/// A template's file.
///
/// # Errors
/// `chat.template_file`; `input.read`, `input.utf8`.
pub fn read(path: &Path) -> Result<String> {
    input::file(path, "chat.template_file")
}
