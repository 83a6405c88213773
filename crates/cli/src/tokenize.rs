//! `lantern tokenize`: the ids of standard input alone, without a first token (BOS) before them.

use lantern_graph::Result;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::Tokenize;
use crate::input;
use crate::output::{self, Notes};

pub async fn run(args: &Tokenize) -> Result<()> {
    let source = FileSource::open(&args.model)?;
    let gguf = Gguf::read(&source).await?;
    gguf.check_whole()?;
    let tokenizer = Tokenizer::from_gguf(&gguf.metadata).map_err(|error| gguf.unless_part(error))?;
    let text = input::standard()?;
    let ids = tokenizer.encode(&text, !args.no_special)?;
    let mut notes = Notes::new("tokenize");
    notes.tell_all(tokenizer.notices().to_vec());
    notes.tell_all(tokenizer.notice_of(&text)?);
    output::json(&json!({"ids": ids}))
}
