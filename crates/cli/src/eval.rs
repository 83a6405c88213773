//! `lantern eval`.

use std::rc::Rc;

use lantern_demos::chat::{self, ChatModel, LoadOptions, PerplexityOptions, check};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::Perplexity;
use crate::device::{self, Device};
use crate::output;

pub async fn perplexity(args: &Perplexity) -> Result<()> {
    let source = FileSource::open(&args.model)?;
    check(&Gguf::read(&source).await?, &load_options(args))?;
    let text = std::fs::read_to_string(&args.text).map_err(|error| {
        Error::new("eval.text", format!("{}: {error}", args.text.display()), "give the path of a UTF-8 text file")
    })?;
    match device::open(&args.device).await? {
        Device::Cpu(cpu) => score(&cpu, &source, &text, args).await,
        Device::Gpu(gpu) => score(&gpu, &source, &text, args).await,
    }
}

async fn score<E: Executor>(executor: &Rc<E>, source: &FileSource, text: &str, args: &Perplexity) -> Result<()> {
    let cancel = Cancel::new();
    let model = Rc::new(ChatModel::load(executor, source, &load_options(args), &mut |_| {}, &cancel).await?);
    model.notices().iter().for_each(output::warn);
    // The text is text: a special token written in it stays letters.
    let ids = model.tokenizer().encode(text, false)?;
    let options = PerplexityOptions { context: args.context, pieces: args.pieces.unwrap_or(usize::MAX) };
    let mut meter = output::Meter::new("pieces");
    let found = chat::perplexity(&model, &ids, &options, &mut |p| meter.tell(p.done, p.total), &cancel).await?;
    drop(meter);
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
    }))
}

fn load_options(args: &Perplexity) -> LoadOptions {
    LoadOptions { context_length: args.context, ..LoadOptions::default() }
}
