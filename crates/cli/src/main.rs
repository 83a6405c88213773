//! `lantern`: everything the pages do, natively, on any adapter: the way to test, measure and script.
//!
//! Results go to standard output, as text or with `--json`; what goes wrong is one line on standard error and a
//! non-zero exit.

mod args;
mod autoencode;
mod bench;
mod chat;
mod compress;
mod device;
mod devices;
mod diff;
mod eval;
mod input;
mod inspect;
mod models;
mod output;
mod part_file;
mod picture;
mod quantize;
mod races;
mod remedy;
mod shaders;
mod template;
mod tokenize;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use lantern_graph::Result;

use args::{Bench, Cli, Command, Compress, Eval};

fn main() -> ExitCode {
    quiet_drivers();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let given: Vec<String> = std::env::args().skip(1).collect();
            let command = format!("lantern {}", given.join(" "));
            output::complain(&format!("usage: {0} needs a command (see {0} --help)", command.trim_end()));
            return ExitCode::from(2);
        }
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            // Its first paragraph says what is wrong, a name or value a line; the others repeat the help.
            let what: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
            let what = what.join(" ");
            let help = command_help(&std::env::args().skip(1).collect::<Vec<_>>());
            output::complain(&format!("usage: {} (see {help})", what.trim_start_matches("error: ")));
            return ExitCode::from(2);
        }
        // --help and --version.
        Err(help) => return exit(output::text(&help.to_string())),
    };
    let done = pollster::block_on(run(&cli.command));
    exit(done.map_err(|error| remedy::here(name(&cli.command), error)))
}

/// The help that has the options of what was typed.
fn command_help(given: &[String]) -> String {
    let (mut command, mut typed) = (Cli::command(), String::from("lantern"));
    for word in given {
        let Some(next) = command.find_subcommand(word).cloned() else { break };
        typed += &format!(" {word}");
        command = next;
    }
    format!("{typed} --help")
}

/// As it is typed.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Chat(_) => "chat",
        Command::Autoencode(_) => "autoencode",
        Command::Quantize(_) => "quantize",
        Command::Inspect(_) => "inspect",
        Command::Tokenize(_) => "tokenize",
        Command::Template(_) => "template",
        Command::Models(_) => "models",
        Command::Devices(_) => "devices",
        Command::Diff(_) => "diff",
        Command::Eval { what: Eval::Perplexity(_) } => "eval perplexity",
        Command::Compress { what } => match what {
            Compress::Theory(_) => "compress theory",
            Compress::Crossover(_) => "compress crossover",
            Compress::Layers(_) => "compress layers",
            Compress::Bounds(_) => "compress bounds",
            Compress::Apply(_) => "compress apply",
        },
        Command::Bench { what: Bench::Kernels(_) } => "bench kernels",
        Command::Bench { what: Bench::Conv(_) } => "bench conv",
        Command::Bench { what: Bench::Chat(_) } => "bench chat",
        Command::Shaders(_) => "shaders",
    }
}

/// Mesa's Vulkan drivers look for a Wayland display, and libwayland complains on standard error, which is ours, when
/// there is no runtime folder at all: on servers and in containers.
fn quiet_drivers() {
    #[cfg(target_os = "linux")]
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the first thing `main` does; no other thread is there to read the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us has seen enough: `lantern … | head` is no failure.
        Err(error) if error.code == output::CLOSED => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Chat(args) => chat::run(args).await,
        Command::Autoencode(args) => autoencode::run(args).await,
        Command::Quantize(args) => quantize::run(args).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Tokenize(args) => tokenize::run(args).await,
        Command::Template(args) => template::run(args).await,
        Command::Models(args) => models::run(args),
        Command::Devices(args) => devices::run(args).await,
        Command::Diff(args) => diff::run(args).await,
        Command::Eval { what: Eval::Perplexity(args) } => eval::perplexity(args).await,
        Command::Compress { what } => compress::run(what).await,
        Command::Bench { what: Bench::Kernels(args) } => bench::kernels(args).await,
        Command::Bench { what: Bench::Conv(args) } => bench::conv(args).await,
        Command::Bench { what: Bench::Chat(args) } => bench::chat(args).await,
        Command::Shaders(args) => shaders::run(args),
    }
}
