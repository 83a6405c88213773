//! A file that appears when it is whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use lantern_graph::{Error, Result};

/// Refuses what can be known to fail before hours of work, and an output that would destroy its input.
pub fn check_output(input: &Path, output: &Path) -> Result<()> {
    let bad = |why: &str, remedy: &str| {
        Err(Error::new("quantize.output", format!("{}: {why}", output.display()), remedy.to_owned()))
    };
    if output.is_dir() {
        return bad("it is a folder", "name a file");
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return bad("there is no such folder", "make the folder first");
    }
    if output.exists() && output.canonicalize().ok() == input.canonicalize().ok() {
        return bad("it is the input too, whose weights would be lost", "name another file");
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
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = Self { part: whole.with_file_name(name), whole: whole.to_owned(), kept: false };
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

    fn failed(&self, error: &std::io::Error) -> Error {
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

/// As shells have it: 128, and the number of the signal.
const INTERRUPTED: i32 = 130;

/// Ctrl-C, a closed terminal and `kill` end the program at once, with nothing of an unfinished output left.
fn remove_on_interrupt() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where there are no such signals there is no such end.
        let _ = ctrlc::set_handler(|| {
            // Held until the end, so that no other file begins.
            unfinished(|all| {
                all.iter().for_each(|part| drop(std::fs::remove_file(part)));
                std::process::exit(INTERRUPTED)
            });
        });
    });
}
