//! `lantern tokenize`: the ids of standard input alone, without a first token (BOS) before them.

use std::io::Read;

use lantern_graph::{Error, Result};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::Tokenize;
use crate::output;

pub async fn run(args: &Tokenize) -> Result<()> {
    let source = FileSource::open(&args.model)?;
    let gguf = Gguf::read(&source).await?;
    gguf.check_whole()?;
    let tokenizer = Tokenizer::from_gguf(&gguf.metadata).map_err(|error| gguf.unless_part(error))?;
    tokenizer.notices().iter().for_each(output::warn);
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new("input.read", format!("standard input: {e}"), "give the text on standard input"))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let place = e.utf8_error().valid_up_to();
        Error::new("input.utf8", format!("standard input is not UTF-8 at byte {place}"), "convert the text to UTF-8")
    })?;
    output::json(&json!({"ids": tokenizer.encode(&text, !args.no_special)?}))
}
