//! `lantern template`: what a conversation becomes, by a model's chat template or another.

use std::io::Read;
use std::path::Path;

use lantern_demos::chat::{ChatTemplate, Origin, encode};
use lantern_graph::{Error, Result};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf, Value};
use serde_json::json;

use crate::args::Template;
use crate::output;

pub async fn run(args: &Template) -> Result<()> {
    let messages = messages(&args.messages)?;
    let given = args.template.as_deref().map(read).transpose()?;
    let mut tokenizer = None;
    let template = match (&args.model, &given) {
        (Some(path), _) => {
            let mut metadata = Gguf::read(&FileSource::open(path)?).await?.metadata;
            if let Some(source) = &given {
                metadata.set("tokenizer.chat_template", Value::String(source.clone()));
            }
            let read = &*tokenizer.insert(Tokenizer::from_gguf(&metadata)?);
            match &given {
                Some(source) => ChatTemplate::given(source, &metadata, read),
                None => ChatTemplate::from_gguf(&metadata, read)?,
            }
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
    let origin = match template.origin() {
        Some(Origin::Family(name)) => format!("family {name}"),
        Some(Origin::Given) => "--template".to_owned(),
        _ => "file".to_owned(),
    };
    if let Some(Origin::Family(name)) = template.origin() {
        output::warn(&Error::new(
            "chat.template",
            format!("the file has no chat template: the one of its family, {name}, is taken"),
            "give another with --template",
        ));
    }
    if !args.json.json {
        return output::line(&written.text);
    }
    let typed: Vec<[usize; 2]> = written.typed.iter().map(|range| [range.start, range.end]).collect();
    let mut shown = json!({ "text": written.text, "typed": typed, "source": origin });
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
        return Ok(given.to_owned());
    }
    if given != "-" {
        return read(Path::new(given));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| Error::new("input.read", format!("standard input: {e}"), "give the messages as UTF-8"))?;
    Ok(text)
}

/// A file of text.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            "input.read",
            format!("{}: {error}", path.display()),
            "check the path; the file must be text in UTF-8",
        )
    })
}
