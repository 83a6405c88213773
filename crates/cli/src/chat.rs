//! `lantern chat`.

use std::rc::Rc;

use lantern_demos::chat::{ChatModel, Finish, GenerateOptions, LoadOptions, Message, Overflow, check};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::{Chat, WhenFull};
use crate::device::{self, Device};
use crate::output;

pub async fn run(args: &Chat) -> Result<()> {
    if args.prompt.is_empty() && !args.raw {
        return Err(Error::new("chat.empty_prompt", "the prompt is empty", "write something, or add --raw"));
    }
    let source = FileSource::open(&args.model)?;
    // A file that cannot be run is refused before a device is woken.
    let checked = check(&Gguf::read(&source).await?, &load_options(args))?;
    if let Some(context) = args.context.filter(|context| *context > checked.trained_context) {
        return Err(Error::new(
            "llama.context",
            format!("--context {context}: the model was trained for {} positions", checked.trained_context),
            "ask for no more than that: beyond, its answers fall apart",
        ));
    }
    match device::open(&args.device).await? {
        Device::Cpu(cpu) => answer(&cpu, &source, args).await,
        Device::Gpu(gpu) => answer(&gpu, &source, args).await,
    }
}

async fn answer<E: Executor>(executor: &Rc<E>, source: &FileSource, args: &Chat) -> Result<()> {
    let cancel = Cancel::new();
    let model = Rc::new(ChatModel::load(executor, source, &load_options(args), &mut |_| {}, &cancel).await?);
    let prompt = match args.raw {
        true => model.raw_prompt(&args.prompt)?,
        false => model.chat_prompt(&[Message::new("user", args.prompt.as_str())])?,
    };
    let mut session = model.session(&mut |_| {}, &cancel).await?;
    let options = GenerateOptions {
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        seed: args.seed,
        overflow: match args.overflow {
            WhenFull::Stop => Overflow::Stop,
            WhenFull::Slide => Overflow::Slide { keep: args.keep.unwrap_or(first_tokens(&model)) },
        },
        ..GenerateOptions::default()
    };
    let mut written = Ok(());
    let mut shown = 0;
    let generation = session
        .generate(&prompt, &options, &cancel, &mut |token| {
            if args.json.json {
                return;
            }
            shown += token.text.len();
            written = output::text(&token.text);
            if written.is_err() {
                cancel.cancel();
            }
        })
        .await?;
    written?;
    if !args.json.json {
        // A last half character, and the end of the line.
        return output::line(generation.text.get(shown..).unwrap_or_default());
    }
    let device = executor.describe();
    output::json(&json!({
        "tokens": generation.tokens,
        "text": generation.text,
        "finish": finish_name(generation.finish),
        "prompt_tokens": generation.prompt_tokens,
        "slides": generation.slides,
        "dropped": generation.dropped,
        "prefill_ms": generation.prefill_ms,
        "decode_ms": generation.decode_ms,
        "tokens_per_s": generation.tokens_per_s(),
        "device": device.device,
        "tier": device.tier,
        "adapter": device.adapter,
        "dispatches_per_token": generation.dispatches_per_token,
        "bytes_per_token": generation.bytes_per_token,
    }))
}

fn load_options(args: &Chat) -> LoadOptions {
    let default = LoadOptions::default();
    LoadOptions { context_length: args.context.unwrap_or(default.context_length), ..default }
}

/// How many tokens stand before every prompt.
fn first_tokens<E: Executor>(model: &ChatModel<E>) -> usize {
    usize::from(model.tokenizer().add_bos() && model.tokenizer().bos().is_some())
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfText => "end_of_text",
        Finish::MaxTokens => "max_tokens",
        Finish::ContextFull => "context_full",
        Finish::Cancelled => "cancelled",
    }
}
