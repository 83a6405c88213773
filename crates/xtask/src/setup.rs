//! What a fresh machine lacks: the wasm target, Chromium, Node, npm packages, cargo-deny, curl, pip.
//!
//! Each function is a no-op when the thing is there, so that every command may call it.

use crate::process::{command, output, run, succeeds, which};
use crate::{root, target_dir};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pinned, because a new cargo-deny may turn a green tree red.
const CARGO_DENY: &str = "0.20.2";
/// What playwright-core asks for; the newest that still runs on Debian 12's Node is pinned.
const NODE_MAJOR: u32 = 18;

pub fn wasm_target() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let Some(rustup) = which("rustup") else {
        // A distribution's Rust: it either has the target's standard library or cargo will say which package is missing.
        return Ok(());
    };
    let installed = Command::new(&rustup).args(["target", "list", "--installed"]).current_dir(root()).output()?;
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line.trim() == TARGET) {
        return Ok(());
    }
    run(Command::new(rustup).args(["target", "add", TARGET]).current_dir(root()))
}

/// rustfmt and clippy are in rustup's default profile, not in its minimal one.
pub fn lint_components() -> Result<()> {
    let mut missing = Vec::new();
    for (component, program) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !succeeds(command("cargo").args([program, "--version"])) {
            missing.push(component);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    run(command("rustup").args(["component", "add"]).args(missing))
}

/// The browser that tests drive: `CHROMIUM`, else one on PATH, else the system's package.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        bail!("CHROMIUM names {}, which is not there", path.display());
    }
    let find = || {
        ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].iter().find_map(|name| which(name))
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    apt_install(&["chromium", "libvulkan1", "mesa-vulkan-drivers"])?;
    find().context("Chromium is not on PATH after its installation; set CHROMIUM to its executable")
}

/// Node and the packages of `tests/package-lock.json`.
pub fn npm_packages() -> Result<()> {
    if which("node").is_none() || which("npm").is_none() {
        apt_install(&["nodejs", "npm"])?;
    }
    let version = String::from_utf8(output(Command::new("node").arg("--version"))?)?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("node is {}; the browser tests need {NODE_MAJOR} or newer on PATH", version.trim());
    }
    let tests = root().join("tests");
    let wanted = std::fs::read(tests.join("package-lock.json")).context("tests/package-lock.json")?;
    let stamp = tests.join("node_modules").join(".lantern-lock");
    if std::fs::read(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&tests))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// What fetches over the network: part of Windows and macOS.
pub fn curl() -> Result<()> {
    if succeeds(Command::new("curl").arg("--version")) { Ok(()) } else { apt_install(&["curl"]) }
}

/// pip, which knows the package index of this machine.
pub fn pip() -> Result<Command> {
    if let Some(pip) = find_pip() {
        return Ok(pip);
    }
    apt_install(&["python3-pip"])
        .context("Python's pip, which knows where the package index is (or set PIP_INDEX_URL)")?;
    find_pip().context("pip does not run after its installation: set PIP_INDEX_URL to the address of a package index")
}

/// A pip that runs.
fn find_pip() -> Option<Command> {
    const PIPS: [&[&str]; 5] =
        [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["py", "-m", "pip"], &["pip3"], &["pip"]];
    let command = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    };
    PIPS.iter().find(|words| succeeds(command(words).arg("--version"))).map(|words| command(words))
}

/// cargo-deny from PATH, or built once into `target/tools`. Built without LTO: the released profile takes many times as long,
/// and the tool runs for a second.
pub fn cargo_deny() -> Result<PathBuf> {
    if let Some(path) = which("cargo-deny") {
        return Ok(path);
    }
    let tools = target_dir().join("tools");
    let path = tools.join("bin").join("cargo-deny");
    if !path.is_file() {
        let mut install = command("cargo");
        install.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root"]).arg(&tools);
        install.env("CARGO_PROFILE_RELEASE_LTO", "off");
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        run(&mut install)?;
    }
    Ok(path)
}

/// Whether cargo-deny has fetched its advisory database at an earlier time.
pub fn has_advisory_database() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(entries) = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok()) else { return false };
    entries.flatten().any(|entry| entry.path().is_dir())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let by_hand = format!("install by hand: {names}");
    if !cfg!(target_os = "linux") || which("apt-get").is_none() {
        bail!("missing from this system, which has no apt-get; {by_hand}");
    }
    let prefix: &[&str] = if is_root() {
        &[]
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        bail!("missing, and neither root nor passwordless sudo is at hand; {by_hand}");
    };
    let apt = |args: &[&str]| {
        let line: Vec<&str> =
            prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).collect();
        run(Command::new(line[0]).args(&line[1..]).args(args))
    };
    apt(&["update"])?;
    apt(&[["install", "-y", "--no-install-recommends"].as_slice(), packages].concat())
}

/// The owner of /proc/self is the effective user.
fn is_root() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(Path::new("/proc/self")).is_ok_and(|meta| meta.uid() == 0)
    }
    #[cfg(not(unix))]
    false
}
