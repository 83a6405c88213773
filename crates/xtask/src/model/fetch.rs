//! A file of known size and hash, over HTTP, taken up where it broke off.
//!
//! By curl, which Windows, macOS and nearly every Linux have: a TLS library of our own would want a C compiler on every machine
//! that builds xtask (clang on Windows on Arm).

use super::{Wheel, length, megabytes, sha256};
use anyhow::{Context, Result, bail};
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Attempts in a row that bring no byte, after which it is left for another time.
const PATIENCE: u64 = 3;

/// curl's exit codes (`man curl`).
const REFUSED: i32 = 22;
const NO_RANGES: i32 = 33;
const TOO_LARGE: i32 = 63;

/// curl, for the web's addresses alone, a dead connection noticed after half a minute.
pub fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args([
        "--fail",
        "--location",
        "--globoff",
        "--show-error",
        "--proto",
        "=http,https",
        "--proto-redir",
        "=http,https",
    ]);
    curl.args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "30"]);
    curl
}

/// Makes `part` the whole file. Bytes that are there already are gone on with; the hash decides whether they belong together.
/// `address` is asked when there is something to fetch.
pub fn whole(part: &Path, file: &Wheel, address: impl FnOnce() -> Result<String>) -> Result<()> {
    let mut address = Some(address);
    let mut url = String::new();
    let (mut anew, mut idle) = (false, 0);
    loop {
        let have = length(part)?;
        if have == file.bytes && sha256(part)? == file.sha256 {
            return Ok(());
        }
        if have >= file.bytes {
            begin_anew(part, &mut anew, "what came has another SHA-256 than the published file")?;
            continue;
        }
        if let Some(address) = address.take() {
            url = address()?;
        }
        if have > 0 {
            println!("{} of {} are here: going on", megabytes(have), megabytes(file.bytes));
        }
        let Attempt { exit, status } = attempt(&url, have, file.bytes, part)?;
        if length(part)? > have {
            idle = 0;
            continue;
        }
        match (exit, status) {
            (Some(NO_RANGES), _) | (_, 416) if have > 0 => {
                begin_anew(part, &mut anew, "the server does not send the rest of what is here")?;
            }
            (Some(TOO_LARGE), _) => bail!("the file at {url} is larger than the published one: it is another file"),
            // Too busy (429) and too slow (408) pass.
            (Some(REFUSED), 400..500) if !matches!(status, 408 | 429) => {
                bail!("the server answers {status} for {url}: try again later, or set PIP_INDEX_URL to another index");
            }
            _ => {
                idle += 1;
                if idle == PATIENCE {
                    bail!(
                        "{} of {} are here, and no more came: check the connection and run the same command again, \
                         it goes on from there",
                        megabytes(have),
                        megabytes(file.bytes)
                    );
                }
                thread::sleep(Duration::from_secs(idle));
            }
        }
    }
}

/// Drops what is here, once: a second time it would be the same.
fn begin_anew(part: &Path, anew: &mut bool, why: &str) -> Result<()> {
    std::fs::remove_file(part).with_context(|| format!("could not remove {}", part.display()))?;
    if *anew {
        bail!(
            "{why}, and so it was when fetched from its first byte: try again later, or set PIP_INDEX_URL to another index"
        );
    }
    println!("{why}: it is fetched from its first byte");
    *anew = true;
    Ok(())
}

struct Attempt {
    /// `None` where a signal ended it.
    exit: Option<i32>,
    /// Of HTTP; 0 where there was no answer.
    status: u16,
}

fn attempt(url: &str, from: u64, bytes: u64, part: &Path) -> Result<Attempt> {
    let mut curl = curl();
    curl.arg(if std::io::stderr().is_terminal() { "--progress-bar" } else { "--silent" });
    curl.args([
        "--continue-at",
        &from.to_string(),
        "--max-filesize",
        &bytes.to_string(),
        "--write-out",
        "%{http_code}",
    ]);
    curl.arg("--output").arg(part).args(["--url", url]);
    let output = curl.stderr(Stdio::inherit()).output().context("could not start curl")?;
    let status = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    Ok(Attempt { exit: output.status.code(), status })
}
