//! `cargo xtask test`: every check there is, in order, each with a heading and its time. The last line counts them.

use crate::counts::Counts;
use crate::process::{command, output, run, run_lines, succeeds};
use crate::serve::Site;
use crate::{drivers, native, notices, root, setup, target_dir, web};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

pub fn main(quick: bool) -> Result<ExitCode> {
    let mut report = Report::default();
    if quick {
        report.gate("set-up", setup::lint_components);
        format_and_native(&mut report);
    } else {
        everything(&mut report);
    }
    Ok(report.finish())
}

fn everything(report: &mut Report) {
    let deny = report.value("set-up", || {
        setup::lint_components()?;
        setup::wasm_target()?;
        setup::chromium()?;
        setup::npm_packages()?;
        setup::cargo_deny()
    });
    report.gate("format", format);
    report.gate("clippy, native", clippy_native);
    report.gate("clippy, wasm32", clippy_wasm);
    report.gate("types of the page's JavaScript", types);
    report.gate("third-party notices", notices::check);
    match deny {
        Some(deny) => {
            report.gate("licences, bans, sources", || licences(&deny));
            report.suite("advisories", || advisories(&deny));
        }
        None => report.not_run("licences, bans, sources", "set-up failed"),
    }
    report.suite("native tests", || native::run(drivers::for_tests()?));
    let shaders = report.value("list of shaders", list_shaders);
    let built = report.value("WebAssembly build", web::build);
    match &built {
        Some(sizes) => report.gate("WebAssembly size", || size_gate(sizes)),
        None => report.not_run("WebAssembly size", "the build failed"),
    }
    match (shaders, built) {
        (Some(shaders), Some(_)) => report.suite("browser tests", || browser(&shaders)),
        _ => report.not_run("browser tests", "what they test did not build"),
    }
}

fn format_and_native(report: &mut Report) {
    report.gate("format", format);
    report.suite("native tests", || native::run(drivers::for_quick_tests()));
}

fn format() -> Result<()> {
    run(command("cargo").args(["fmt", "--all", "--check"]))
}

fn clippy_native() -> Result<()> {
    run(command("cargo").args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The same crates as the page sees them: other code is compiled in under `cfg(target_arch = "wasm32")`.
fn clippy_wasm() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let clippy = ["clippy", "--package", "lantern-web", "--all-features", "--target", TARGET, "--", "-D", "warnings"];
    run(command("cargo").args(clippy))
}

fn licences(deny: &PathBuf) -> Result<()> {
    run(Command::new(deny).current_dir(root()).args(["--workspace", "check", "licenses", "bans", "sources"]))
}

/// The page and its Worker see different globals, so each is a program of its own.
fn types() -> Result<()> {
    let tests = root().join("tests");
    for program in ["page", "worker"] {
        let mut tsc = Command::new("node");
        tsc.arg("node_modules/typescript/bin/tsc").args(["--pretty", "false", "--project"]);
        run(tsc.arg(format!("types/{program}.json")).current_dir(&tests))?;
    }
    Ok(())
}

/// The advisory database is a git repository: fetched when it can be, used as it lies in cargo's home otherwise.
fn advisories(deny: &PathBuf) -> Result<Counts> {
    let mut fetch = Command::new(deny);
    fetch.current_dir(root()).args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
    if !succeeds(&mut fetch) {
        if !setup::has_advisory_database() {
            println!("skipped: the advisory database is not on this machine and cannot be reached");
            return Ok(Counts::default());
        }
        println!("the advisory database cannot be reached; checking against the copy on this machine");
    }
    let mut check = Command::new(deny);
    run(check.current_dir(root()).args(["--workspace", "check", "--disable-fetch", "advisories"]))?;
    Ok(Counts::gate(true))
}

/// Every variant of every kernel, for the browser to compile: `[{name, tier, f16, subgroups, wgsl}]`.
fn list_shaders() -> Result<PathBuf> {
    // Brings the program up to date that the command line's own tests run; mostly there is nothing to do.
    run(native::cargo_test().args(["--no-run", "--quiet"]))?;
    let lantern = target_dir().join("debug").join("lantern").with_extension(std::env::consts::EXE_EXTENSION);
    let json = output(Command::new(lantern).args(["shaders", "--json"]))?;
    let path = target_dir().join("shaders.json");
    std::fs::write(&path, json)?;
    Ok(path)
}

fn size_gate(sizes: &web::Sizes) -> Result<()> {
    sizes.print();
    if sizes.total_gz_bytes() > web::LIMIT_GZ_BYTES {
        bail!("{} bytes gz is over the limit of {}", sizes.total_gz_bytes(), web::LIMIT_GZ_BYTES);
    }
    Ok(())
}

fn browser(shaders: &PathBuf) -> Result<Counts> {
    let site = Site::start(0)?;
    let tap = target_dir().join("browser-tests.tap");
    let tests = root().join("tests").join("browser");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&tests)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    let mut node = Command::new("node");
    // One file at a time: two software GPUs on one processor would only wait for each other.
    node.args(["--test", "--test-concurrency=1", "--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.arg("--test-reporter=tap").arg(format!("--test-reporter-destination={}", tap.display()));
    node.args(files).current_dir(root().join("tests"));
    node.env("LANTERN_URL", &site.url).env("LANTERN_SHADERS", shaders).env("CHROMIUM", setup::chromium()?);
    let ok = run_lines(&mut node, |_| {})?;
    let mut counts = Counts::default();
    for line in std::fs::read_to_string(&tap).context("Node's report")?.lines() {
        counts.add_tap_line(line);
    }
    Ok(counts.with_exit(ok))
}

/// The steps so far, for the summary at the end.
#[derive(Default)]
struct Report {
    steps: Vec<(String, f64, Counts)>,
    failures: Vec<String>,
}

impl Report {
    fn suite(&mut self, name: &str, step: impl FnOnce() -> Result<Counts>) {
        println!("\n== {name}");
        let start = Instant::now();
        let counts = step().unwrap_or_else(|error| {
            println!("{error:#}");
            Counts::gate(false)
        });
        let seconds = start.elapsed().as_secs_f64();
        println!("-- {name}: {} passed, {} failed, {seconds:.1} s", counts.passed, counts.failed);
        if counts.failed > 0 {
            self.failures.push(name.to_owned());
        }
        self.steps.push((name.to_owned(), seconds, counts));
    }

    fn gate(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        self.suite(name, || step().map(|()| Counts::gate(true)));
    }

    /// A gate whose product later steps need.
    fn value<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        let mut value = None;
        self.gate(name, || step().map(|made| value = Some(made)));
        value
    }

    /// A step whose ground is missing is a failure too: nothing is passed over in silence.
    fn not_run(&mut self, name: &str, why: &str) {
        self.gate(name, || bail!("not run: {why}"));
    }

    fn finish(self) -> ExitCode {
        println!("\n== summary");
        let mut total = Counts::default();
        for (name, seconds, counts) in &self.steps {
            println!("{name:<26} {seconds:>7.1} s  {:>4} passed  {:>3} failed", counts.passed, counts.failed);
            total += *counts;
        }
        if !self.failures.is_empty() {
            println!("failed: {}", self.failures.join(", "));
        }
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
