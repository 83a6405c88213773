//! Child processes: run, tee, capture, and look for tools on PATH.

use crate::root;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A command in the repository's root. `cargo` is the one that runs xtask, so a toolchain override stays in force.
pub fn command(program: &str) -> Command {
    let program = match program {
        "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        other => other.into(),
    };
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

pub fn describe(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(OsStr::new("?")).to_string_lossy().into_owned();
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

/// Runs with this process's own output; an error when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let text = describe(command);
    println!("$ {text}");
    let status = command.status().with_context(|| format!("could not start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed ({status})");
    }
    Ok(())
}

/// Runs, shows standard output line by line as it comes, and hands each line to `on_line`. Returns whether it succeeded.
pub fn run_lines(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let text = describe(command);
    println!("$ {text}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start `{text}`"))?;
    let out = child.stdout.take().context("the child has no standard output")?;
    for line in BufReader::new(out).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        on_line(&line);
    }
    std::io::stdout().flush()?;
    Ok(child.wait()?.success())
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let text = describe(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("could not start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` failed ({})", output.status);
    }
    Ok(output.stdout)
}

/// Whether a command runs and succeeds, saying nothing.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

pub fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
