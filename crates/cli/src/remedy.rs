//! What the reader of an error can do here, at the command line. The crates below say what helps and name no flag: the page
//! shows the same errors. `crates/web/src/remedy.rs` is this file's counterpart.

use lantern_graph::Error;

/// How a remedy is said at the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is, of this flag's value.
    Flag(&'static str),
    /// With these words in the place of those.
    Say(&'static str, &'static str),
    /// In other words.
    Instead(&'static str),
}

use Way::{Flag, Instead, Say};

/// By code and command; the first that fits. A command stands for those below it, and none for all.
pub const WAYS: &[(&str, &str, Way)] = &[
    ("autoencoder.too_large", "autoencode", Say("allow more memory", "allow more with --memory-mib")),
    ("chat.keep", "chat", Instead("give a smaller --keep, or a longer --context")),
    (
        "chat.logits",
        "",
        Instead(
            "get the file again; if that does not help, give --device cpu --tier exact, which computes most carefully",
        ),
    ),
    ("chat.min_p", "chat", Flag("--min-p")),
    (
        "chat.no_template",
        "chat",
        Instead(
            "--system stands before it as a line of text, with no mark of its own; --raw says that continuing is meant",
        ),
    ),
    ("chat.repeat_penalty", "chat", Flag("--repeat-penalty")),
    ("chat.stop", "chat", Flag("--stop")),
    ("chat.temperature", "chat", Flag("--temperature")),
    (
        "chat.template",
        "chat",
        Instead(
            "leave --system out if it was given, or give another template with --template FILE; `lantern template` shows what a \
             conversation becomes. --raw continues the prompt without a template, but takes what looks like a special token \
             (<|im_start|>) as letters, so a model that converses answers badly",
        ),
    ),
    ("chat.top_p", "chat", Flag("--top-p")),
    ("compress.bits", "compress", Flag("--bits")),
    ("compress.damping", "compress apply", Flag("--damping")),
    ("compress.group", "compress apply", Flag("--group")),
    (
        "compress.no_crossover",
        "compress crossover",
        Instead("give a smaller --nu, whose tails are heavier, or fewer --bits"),
    ),
    ("compress.sparsity", "compress apply", Flag("--sparsity")),
    ("compress.unsupported", "compress apply", Instead("leave --equalize and --rotate out for this model")),
    ("cpu.memory", "autoencode", Instead("give a smaller picture, or close other programs")),
    ("cpu.memory", "bench chat", Instead("give a smaller --shape, or close other programs")),
    ("cpu.memory", "chat", Instead("give a shorter --context or a smaller model, or close other programs")),
    ("cpu.memory", "eval", Instead("give a shorter --context or a smaller model, or close other programs")),
    (
        "eval.not_a_number",
        "",
        Instead(
            "get the file again; if that does not help, give --device cpu --tier exact, which computes most carefully",
        ),
    ),
    ("eval.too_short", "eval", Say("a longer text", "a longer --text")),
    (
        "gpu.adapter",
        "bench kernels",
        Instead("see `lantern devices` for the adapters there are, or update the graphics driver"),
    ),
    (
        "gpu.adapter",
        "",
        Instead("see `lantern devices` for the adapters there are, or give --device cpu without --adapter"),
    ),
    ("gpu.clock", "bench kernels", Instead("give a larger --working-set-mib")),
    ("gpu.device", "bench kernels", Instead("close other programs that use the graphics card, or update its driver")),
    ("gpu.device", "", Instead("give --device cpu, or close other programs that use the graphics card")),
    ("gpu.kernel", "bench kernels", Instead("update the graphics driver, and please report it")),
    ("gpu.kernel", "", Instead("give --device cpu, or update the graphics driver, and please report it")),
    ("gpu.lost", "bench kernels", Instead("run it again; if it is lost again, update the graphics driver")),
    ("gpu.lost", "", Instead("run it again; if it is lost again, give --device cpu or update the graphics driver")),
    ("gpu.memory", "autoencode", Instead("give a smaller picture, or --device cpu")),
    ("gpu.memory", "bench chat", Instead("give a smaller --shape, or --device cpu")),
    ("gpu.memory", "bench kernels", Instead("give a smaller --working-set-mib")),
    ("gpu.memory", "chat", Instead("give a shorter --context, a smaller model, or --device cpu")),
    ("gpu.memory", "", Instead("give a smaller model, or --device cpu")),
    ("gpu.shader", "", Instead("give a lower --tier: core or software")),
    ("gpu.tier", "", Flag("--tier")),
    ("gpu.too_large", "autoencode", Instead("give a smaller picture, or --device cpu")),
    ("gpu.too_large", "bench chat", Instead("give a smaller --shape, or --device cpu")),
    ("gpu.too_large", "bench kernels", Instead("give a smaller --working-set-mib")),
    ("gpu.too_large", "chat", Instead("give a shorter --context, or --device cpu")),
    ("gpu.too_large", "eval", Instead("give a shorter --context, or --device cpu")),
    ("gpu.too_large", "", Instead("give --device cpu")),
    ("gpu.validation", "bench kernels", Instead("give another --tier, and please report it")),
    ("gpu.validation", "", Instead("give another --tier or --device cpu, and please report it")),
    ("gpu.variant", "", Flag("--variant")),
    ("gpu.weight", "", Instead("give --device cpu")),
    ("llama.context", "bench chat", Instead("give fewer --prompt-tokens and --tokens")),
    ("llama.context", "chat", Instead("give a shorter --context")),
    ("llama.context", "compress apply", Instead("give a shorter --context")),
    ("llama.context", "eval", Instead("give a shorter --context")),
    ("quantize.requantize", "quantize", Say("allow it", "add --allow-requantize")),
];

/// `error` as `command` tells it. What names a flag already is the command line's own.
pub fn here(command: &str, error: Error) -> Error {
    let below = |of: &str| of.is_empty() || command == of || command.starts_with(&format!("{of} "));
    let way = WAYS.iter().find(|(code, of, _)| *code == error.code && below(of));
    let remedy = match way {
        Some((_, _, way)) if !error.remedy.contains("--") => match way {
            Flag(flag) => format!("{flag}: {}", error.remedy),
            Say(words, ours) => error.remedy.replace(words, ours),
            Instead(ours) => (*ours).to_owned(),
        },
        _ => return error,
    };
    Error { remedy, ..error }
}

/// How long a conversation is, and how long it may become.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Tokens that it has.
    pub needed: usize,
    /// Tokens that the answer may have.
    pub answer: usize,
    /// Positions of the context as it is.
    pub context: usize,
    /// Positions that the model was trained for.
    pub trained: usize,
}

impl Room {
    /// A longer context where the model allows it.
    pub fn remedy(&self) -> String {
        let Self { needed, answer, context, trained } = *self;
        if needed <= trained && context < trained {
            let enough = needed.saturating_add(answer).min(trained);
            return format!("--context {enough} holds it all; this model allows up to {trained}");
        }
        format!("shorten the prompt: this model was trained for {trained} positions, and --context cannot go beyond")
    }
}

/// `chat.too_long` and `chat.keep` with the numbers of this conversation.
pub fn of_room(error: Error, room: &Room) -> Error {
    match error.code {
        "chat.too_long" => {
            Error { remedy: format!("{}; or add --overflow slide to forget the oldest", room.remedy()), ..error }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_nearest_command_s_way_is_taken_and_a_flag_that_was_named_stays() {
        let said = |command, code, remedy| here(command, Error::new(code, "cause", remedy)).remedy;
        assert_eq!(said("bench kernels", "gpu.memory", "use less"), "give a smaller --working-set-mib");
        assert_eq!(said("bench conv", "gpu.memory", "use less"), "give a smaller model, or --device cpu");
        assert_eq!(said("chat", "chat.top_p", "give a number"), "--top-p: give a number");
        assert_eq!(said("chat", "llama.context", "give --context 64 at most"), "give --context 64 at most");
        assert_eq!(
            said("quantize", "quantize.requantize", "start again, or allow it"),
            "start again, or add --allow-requantize"
        );
        assert_eq!(said("chat", "source.open", "give the path"), "give the path");
    }

    #[test]
    fn a_way_names_only_flags_that_its_command_has() {
        for (code, of, way) in WAYS {
            // Those that can be run on either device, where all are meant.
            let commands = match *of {
                "" => vec!["autoencode", "bench chat", "bench conv", "chat", "diff", "eval perplexity"],
                "eval" => vec!["eval perplexity"],
                "compress" => vec!["compress theory", "compress crossover", "compress layers", "compress apply"],
                of => vec![of],
            };
            let (Flag(text) | Say(_, text) | Instead(text)) = way;
            let end = |c: char| c.is_whitespace() || ",;:".contains(c);
            for flag in text.split(end).filter_map(|word| word.strip_prefix("--")) {
                for name in &commands {
                    let mut command = crate::args::Cli::command();
                    for word in name.split(' ') {
                        command = command.find_subcommand(word).unwrap().clone();
                    }
                    assert!(
                        command.get_arguments().any(|a| a.get_long() == Some(flag)),
                        "{code}: {name} has no --{flag}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_context_is_proposed_that_the_model_allows() {
        let remedy = |needed, answer, context, trained| Room { needed, answer, context, trained }.remedy();
        assert!(remedy(60, 6, 32, 512).starts_with("--context 66 "));
        assert!(remedy(510, 256, 32, 512).starts_with("--context 512 "));
        assert!(remedy(600, 6, 32, 512).starts_with("shorten the prompt"));
        assert!(remedy(512, 6, 512, 512).starts_with("shorten the prompt"));
    }
}
