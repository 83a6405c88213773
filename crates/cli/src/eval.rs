//! `lantern eval`.

use std::rc::Rc;

use lantern_demos::chat::{self, ChatModel, Checked, LoadOptions, PerplexityOptions, check};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::Perplexity;
use crate::device::{self, Device};
use crate::input;
use crate::output::{self, Notes};

pub async fn perplexity(args: &Perplexity) -> Result<()> {
    let source = FileSource::open(&args.model)?;
    // A file that cannot be run is refused before a device is woken.
    let gguf = Gguf::read(&source).await?;
    let checked = check(&gguf, &LoadOptions { context_length: args.context, ..LoadOptions::default() })?;
    let file = File { source, gguf, checked };
    let text = input::file(&args.text, "eval.text")?;
    let mut notes = Notes::new("eval perplexity");
    match device::open(&args.device, &mut notes).await? {
        Device::Cpu(cpu) => score(&cpu, file, &text, args, notes).await,
        Device::Gpu(gpu) => score(&gpu, file, &text, args, notes).await,
    }
}

struct File {
    source: FileSource,
    gguf: Gguf,
    checked: Checked,
}

async fn score<E: Executor>(
    executor: &Rc<E>,
    File { source, gguf, checked }: File,
    text: &str,
    args: &Perplexity,
    mut notes: Notes,
) -> Result<()> {
    let cancel = Cancel::new();
    let model = Rc::new(ChatModel::load_checked(executor, &source, &gguf, checked, &mut |_| {}, &cancel).await?);
    // The text is text: a special token written in it stays letters.
    let ids = model.tokenizer().encode(text, false)?;
    let options = PerplexityOptions { context: args.context, pieces: args.pieces.unwrap_or(usize::MAX) };
    let mut meter = output::Meter::new("pieces");
    let found = chat::perplexity(&model, &ids, &options, &mut |p| meter.tell(p.done, p.total), &cancel).await?;
    drop(meter);
    notes.tell_all(model.notices().to_vec());
    notes.tell_all(model.tokenizer().notice_of(text)?);
    notes.tell_all(model.executor().notices());
    notes.tell_all(left_out(&found, ids.len(), args));
    if !args.json.json {
        return output::line(&format!(
            "perplexity {:.4} ± {:.4}, {:.4} nats a token: {} tokens in {} pieces of {}",
            found.perplexity, found.standard_error, found.nll, found.scored_tokens, found.pieces, found.context
        ));
    }
    let device = executor.describe();
    output::json(&json!({
        "perplexity": found.perplexity,
        "standard_error": found.standard_error,
        "nll": found.nll,
        "scored_tokens": found.scored_tokens,
        "text_tokens": ids.len(),
        "pieces": found.pieces,
        "context": found.context,
        "device": device.device,
        "tier": device.tier,
        "adapter": device.adapter,
        "notes": notes.to_json(),
    }))
}

/// What was not scored, and pieces that are not as long as they were to be.
fn left_out(found: &chat::Perplexity, tokens: usize, args: &Perplexity) -> Vec<Error> {
    let mut told = Vec::new();
    if found.context < args.context {
        let cause =
            format!("pieces have {} tokens: neither model nor text has room for {}", found.context, args.context);
        told.push(Error::new("eval.shorter", cause, "compare only with figures for pieces of that length"));
    }
    // Whoever asked for so many pieces knows.
    let left = tokens - found.pieces * found.context;
    if left > 0 && args.pieces.is_none_or(|most| found.pieces < most) {
        let cause = format!("the text's last {left} of {tokens} tokens were left out: they are no whole piece");
        told.push(Error::new("eval.left_out", cause, "a --context that divides the text leaves fewer out"));
    }
    told
}
