//! The native tests: built once, then several programs at a time. A GPU test holds one software device and one core; run in a row
//! they leave the others idle.

use crate::counts::Counts;
use crate::drivers;
use crate::process::{command, describe, run_lines};
use crate::target_dir;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

/// One selection of packages for everything native: with another one cargo would unify features otherwise and build candle
/// again. xtask has a profile of its own, and its tests with it.
pub fn cargo_test() -> Command {
    let mut tests = command("cargo");
    tests.args(["test", "--workspace", "--exclude", "lantern-web", "--exclude", "xtask", "--no-fail-fast"]);
    tests
}

pub fn run(gpu: drivers::Gpu) -> Result<Counts> {
    let variables = variables(gpu);
    let mut counts = Counts::default();
    let mut own = command("cargo");
    own.args(["test", "--profile", "xtask", "--package", "xtask"]);
    let mut ok = run_lines(&mut own, |line| counts.add_cargo_line(line))?;
    ok &= run_all(programs()?, &variables, &mut counts);
    let mut documentation = cargo_test();
    documentation.arg("--doc").envs(variables);
    ok &= run_lines(&mut documentation, |line| counts.add_cargo_line(line))?;
    Ok(counts.with_exit(ok))
}

/// What tells the tests which GPU they use.
fn variables(gpu: drivers::Gpu) -> Vec<(&'static str, String)> {
    match gpu {
        drivers::Gpu::Own => Vec::new(),
        drivers::Gpu::Software(files) => {
            println!("no GPU here: VK_DRIVER_FILES={files}");
            // With a driver at hand, a GPU test that finds no adapter is a failure and not a machine without one.
            let mut variables = vec![("VK_DRIVER_FILES", files), ("LANTERN_NEEDS_GPU", "1".to_owned())];
            // lavapipe looks for a display there, and complains at every start when the variable is missing.
            if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
                variables.push(("XDG_RUNTIME_DIR", target_dir().display().to_string()));
            }
            variables
        }
        drivers::Gpu::None(why) => {
            println!("{why}: tests that need a GPU say that they skip");
            vec![("VK_DRIVER_FILES", "none".to_owned())]
        }
    }
}

/// A test program, and the folder of its package, where it runs.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    executable: PathBuf,
    folder: PathBuf,
}

/// Builds them all. Those of `gpu` come first: they take longest.
fn programs() -> Result<VecDeque<Program>> {
    let mut build = cargo_test();
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let text = describe(&build);
    println!("$ {text}");
    let output = build.stderr(Stdio::inherit()).output().with_context(|| format!("could not start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` failed ({})", output.status);
    }
    let mut programs: Vec<Program> = String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect();
    programs.sort_by_key(|program| !program.folder.ends_with("gpu"));
    Ok(programs.into())
}

/// The test program that a message of cargo's tells about, if it tells about one.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let executable = message["executable"].as_str().filter(|_| is_test)?;
    Some(Program { executable: executable.into(), folder: manifest.parent()?.to_owned() })
}

/// Runs them, one for each core at a time. What a program prints comes as a whole at its end.
fn run_all(programs: VecDeque<Program>, variables: &[(&'static str, String)], counts: &mut Counts) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(programs);
    let outcome = Mutex::new((counts, true));
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(program) = next() {
                    let (text, passed) = run_one(&program, variables);
                    // Nobody panics with the lock in hand.
                    let Ok(mut outcome) = outcome.lock() else { return };
                    println!("{text}");
                    text.lines().for_each(|line| outcome.0.add_cargo_line(line));
                    outcome.1 &= passed;
                }
            });
        }
    });
    outcome.into_inner().is_ok_and(|(_, ok)| ok)
}

/// What it printed, and whether all its tests passed.
fn run_one(program: &Program, variables: &[(&'static str, String)]) -> (String, bool) {
    let name = program.executable.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut test = Command::new(&program.executable);
    test.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
    test.envs(variables.iter().map(|(name, value)| (name, value)));
    let (told, passed) = match test.output() {
        Ok(output) => {
            let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (format!("{out}{err}"), output.status.success())
        }
        Err(error) => (format!("could not start it: {error}\n"), false),
    };
    (format!("     Running {name} ({:.1} s)\n{told}", start.elapsed().as_secs_f64()), passed)
}

#[cfg(test)]
mod tests {
    use super::{Program, program};

    #[test]
    fn a_test_program_is_read_from_a_message_of_cargo() {
        let message = |test: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/a/crates/gpu/Cargo.toml","profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let expected = Program { executable: "/a/target/race".into(), folder: "/a/crates/gpu".into() };
        assert_eq!(program(&message("true", r#""/a/target/race""#)), Some(expected));
        // A library, a program that is no test, and a line that is no message.
        assert_eq!(program(&message("true", "null")), None);
        assert_eq!(program(&message("false", r#""/a/target/lantern""#)), None);
        assert_eq!(program("   Compiling lantern"), None);
    }
}
