//! `lantern chat`.

mod conversation;
mod interrupt;
mod notes;
mod talk;

use std::io::{self, IsTerminal};
use std::rc::Rc;

use lantern_demos::chat::{ChatModel, Checked, GenerateOptions, LoadOptions, check};
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{FileSource, Gguf};

use crate::args::Chat;
use crate::device::{self, Device};
use crate::input;
use crate::output::Notes;
use crate::template;
use talk::Talk;

/// What is asked, and how often.
enum Asked {
    Once(String),
    /// By a person, line after line.
    Lines,
}

/// The arguments, read and checked.
struct Wanted<'a> {
    args: &'a Chat,
    options: GenerateOptions,
    asked: Asked,
    gguf: Gguf,
    checked: Checked,
}

pub async fn run(args: &Chat) -> Result<()> {
    let options = generate_options(args)?;
    options.check()?;
    let asked = asked(args)?;
    let source = FileSource::open(&args.model)?;
    // A file that cannot be run is refused before a device is woken.
    let load = load_options(args)?;
    let gguf = Gguf::read(&source).await?;
    let checked = check(&gguf, &load)?;
    if !args.raw {
        checked.check_conversation()?;
    }
    let trained = checked.trained_context;
    if let Some(context) = args.context.filter(|context| *context > trained) {
        return Err(Error::new(
            "llama.context",
            format!("--context {context}: the model was trained for {trained} positions"),
            format!("give --context {trained} at most: beyond, its answers fall apart"),
        ));
    }
    let mut notes = Notes::new("chat");
    let wanted = Wanted { args, options, asked, gguf, checked };
    match device::open(&args.device, &mut notes).await? {
        Device::Cpu(cpu) => talk(&cpu, &source, wanted, notes).await,
        Device::Gpu(gpu) => talk(&gpu, &source, wanted, notes).await,
    }
}

async fn talk<E: Executor>(executor: &Rc<E>, source: &FileSource, wanted: Wanted<'_>, notes: Notes) -> Result<()> {
    let Wanted { args, options, asked, gguf, checked } = wanted;
    let trained = checked.trained_context;
    let model = ChatModel::load_checked(executor, source, &gguf, checked, &mut |_| {}, &Cancel::new()).await?;
    let mut talk = Talk::new(args, options, Rc::new(model), trained, notes).await?;
    match asked {
        Asked::Once(prompt) => talk.answer(&prompt, &Cancel::new()).await,
        Asked::Lines => conversation::hold(&mut talk).await,
    }
}

/// # Errors
/// `chat.empty_prompt`, `input.*`.
fn asked(args: &Chat) -> Result<Asked> {
    let prompt = match &args.prompt {
        Some(given) => input::prompt(given)?,
        None if io::stdin().is_terminal() => return Ok(Asked::Lines),
        None => input::standard_prompt()?,
    };
    if prompt.is_empty() && !args.raw {
        let cause = match args.prompt.as_deref() {
            None | Some("-") => "the prompt is empty: nothing came on standard input",
            Some(_) => "the prompt is empty",
        };
        return Err(Error::new("chat.empty_prompt", cause, "write something, or add --raw"));
    }
    Ok(Asked::Once(prompt))
}

/// All but what is done when the context is full: that wants the model.
fn generate_options(args: &Chat) -> Result<GenerateOptions> {
    let (sampling, default) = (&args.sampling, GenerateOptions::default());
    let repeat_last_n = match sampling.repeat_last_n {
        -1 => usize::MAX,
        n => usize::try_from(n).map_err(|_| {
            Error::new(
                "chat.repeat_last_n",
                format!("the penalty looks back {n} tokens"),
                "give --repeat-last-n -1 (all), 0 (none) or more",
            )
        })?,
    };
    Ok(GenerateOptions {
        max_tokens: args.max_tokens.unwrap_or(default.max_tokens),
        temperature: args.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        repeat_penalty: sampling.repeat_penalty,
        repeat_last_n,
        stop: sampling.stop.clone(),
        seed: sampling.seed,
        ..default
    })
}

/// # Errors
/// Those of reading `--template`.
fn load_options(args: &Chat) -> Result<LoadOptions> {
    let default = LoadOptions::default();
    Ok(LoadOptions {
        context_length: args.context.unwrap_or(default.context_length),
        template: args.template.as_deref().map(template::read).transpose()?,
        ..default
    })
}
