//! A file that appears when it is whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use lantern_graph::{Error, Result};

use crate::output::INTERRUPTED;

fn bad(output: &Path, why: &str, remedy: &str) -> Result<()> {
    Err(Error::new("quantize.output", format!("{}: {why}", output.display()), remedy.to_owned()))
}

/// Refuses what can be known to fail before hours of work.
pub fn check_free(output: &Path) -> Result<()> {
    let bad = |why, remedy| bad(output, why, remedy);
    if output.is_dir() {
        return bad("it is a folder", "name a file");
    }
    // A device would be replaced by the file.
    if output.exists() && !output.is_file() {
        return bad("it is no plain file", "name another");
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return bad("there is no such folder", "make the folder first");
    }
    Ok(())
}

/// As [`check_free`], and refuses an output that would destroy its input.
pub fn check_output(input: &Path, output: &Path) -> Result<()> {
    check_free(output)?;
    if output.exists() && output.canonicalize().ok() == input.canonicalize().ok() {
        return bad(output, "it is the input too, whose weights would be lost", "name another file");
    }
    Ok(())
}

/// The output while it is being written, beside its final place: what was there stays until the new one is whole. Dropped before
/// that, and on Ctrl-C, it goes away.
pub struct PartFile {
    part: PathBuf,
    whole: PathBuf,
    kept: bool,
}

impl PartFile {
    pub fn create(whole: &Path) -> Result<(Self, File)> {
        // A link stays one.
        let whole = whole.canonicalize().unwrap_or_else(|_| whole.to_owned());
        let part = whole.with_file_name(format!(".lantern-{}.part", std::process::id()));
        let part = Self { part, whole, kept: false };
        unfinished(|all| all.insert(part.part.clone()));
        remove_on_interrupt();
        let file = File::create(&part.part).map_err(|error| part.failed(&error))?;
        Ok((part, file))
    }

    /// Makes it the output.
    pub fn keep(mut self) -> Result<()> {
        // Its bytes reach the disk before its name does: a power cut leaves the old file or the new one.
        let synced = File::options().write(true).open(&self.part).and_then(|file| file.sync_all());
        synced.and_then(|()| std::fs::rename(&self.part, &self.whole)).map_err(|error| self.failed(&error))?;
        self.kept = true;
        unfinished(|all| all.remove(&self.part));
        Ok(())
    }

    pub fn failed(&self, error: &std::io::Error) -> Error {
        let cause = format!("{}: {error}", self.whole.display());
        Error::new("quantize.output", cause, "check the disk, and that you may write there")
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing to add to the error that led here.
            let _ = std::fs::remove_file(&self.part);
            unfinished(|all| all.remove(&self.part));
        }
    }
}

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished<T>(change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
    change(&mut UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Ctrl-C, a closed terminal and `kill` end the program at once, with nothing of an unfinished output left.
fn remove_on_interrupt() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = ignored_signals();
        // Where there are no such signals there is no such end.
        let _ = ctrlc::set_handler(|| {
            // Held until the end, so that no other file begins.
            unfinished(|all| {
                all.iter().for_each(|part| drop(std::fs::remove_file(part)));
                std::process::exit(INTERRUPTED)
            });
        });
        // Under `nohup`, and in the background of a script, signals were to be ignored, and are.
        ignored.into_iter().for_each(ignore);
    });
}

#[cfg(unix)]
fn ignored_signals() -> Vec<i32> {
    let is_ignored = |signal: &i32| {
        // SAFETY: it is asked for and not changed; zeros are a valid place for the answer.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        let asked = unsafe { libc::sigaction(*signal, std::ptr::null(), &raw mut now) };
        asked == 0 && now.sa_sigaction == libc::SIG_IGN
    };
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().filter(is_ignored).collect()
}

#[cfg(unix)]
fn ignore(signal: i32) {
    // SAFETY: no code of ours is called by it.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

#[cfg(not(unix))]
fn ignored_signals() -> Vec<i32> {
    Vec::new()
}

#[cfg(not(unix))]
fn ignore(_: i32) {}
