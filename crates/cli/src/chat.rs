//! `lantern chat`.

use std::rc::Rc;

use lantern_demos::chat::{ChatModel, Finish, GenerateOptions, LoadOptions, Message, Overflow, check};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{FileSource, Gguf};
use serde_json::json;

use crate::args::{Chat, WhenFull};
use crate::device::{self, Device};
use crate::{output, template};

pub async fn run(args: &Chat) -> Result<()> {
    if args.prompt.is_empty() && !args.raw {
        return Err(Error::new("chat.empty_prompt", "the prompt is empty", "write something, or add --raw"));
    }
    let source = FileSource::open(&args.model)?;
    let options = generate_options(args)?;
    options.check()?;
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
        Device::Cpu(cpu) => answer(&cpu, &source, args, &options).await,
        Device::Gpu(gpu) => answer(&gpu, &source, args, &options).await,
    }
}

async fn answer<E: Executor>(
    executor: &Rc<E>,
    source: &FileSource,
    args: &Chat,
    options: &GenerateOptions,
) -> Result<()> {
    let cancel = Cancel::new();
    let mut load = load_options(args);
    load.template = args.template.as_deref().map(template::read).transpose()?;
    let model = Rc::new(ChatModel::load(executor, source, &load, &mut |_| {}, &cancel).await?);
    if let Some(notice) = model.tokenizer().notice() {
        output::warn(notice);
    }
    let (prompt, first) = match args.raw {
        true => (model.raw_prompt(&args.prompt)?, first_tokens(&model)),
        false => {
            let system = args.system.iter().map(|text| Message::new("system", text.as_str()));
            let messages: Vec<Message> = system.chain([Message::new("user", args.prompt.as_str())]).collect();
            let prompt = model.chat_prompt(&messages)?;
            model.chat_notices(&messages).iter().for_each(output::warn);
            (prompt, model.system_prefix(&messages)?)
        }
    };
    let overflow = match args.overflow {
        WhenFull::Stop => Overflow::Stop,
        WhenFull::Slide => Overflow::Slide { keep: args.keep.unwrap_or(first) },
    };
    let options = GenerateOptions { overflow, ..options.clone() };
    let mut session = model.session(&mut |_| {}, &cancel).await?;
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
        "read_bytes_per_token": generation.read_bytes_per_token,
        "sampling": {
            "temperature": options.temperature,
            "top_k": options.top_k,
            "top_p": options.top_p,
            "min_p": options.min_p,
            "repeat_penalty": options.repeat_penalty,
            "repeat_last_n": args.sampling.repeat_last_n,
            "seed": options.seed,
            "stop": options.stop,
        },
    }))
}

/// All but what is done when the context is full: that wants the model.
fn generate_options(args: &Chat) -> Result<GenerateOptions> {
    let sampling = &args.sampling;
    let repeat_last_n = match sampling.repeat_last_n {
        -1 => usize::MAX,
        n => usize::try_from(n).map_err(|_| {
            Error::new(
                "chat.repeat_last_n",
                format!("the penalty looks back {n} tokens"),
                "give -1 (all), 0 (none) or more",
            )
        })?,
    };
    Ok(GenerateOptions {
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        repeat_penalty: sampling.repeat_penalty,
        repeat_last_n,
        stop: sampling.stop.clone(),
        seed: sampling.seed,
        ..GenerateOptions::default()
    })
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
        Finish::StopString => "stop_string",
        Finish::MaxTokens => "max_tokens",
        Finish::ContextFull => "context_full",
        Finish::Cancelled => "cancelled",
    }
}
