//! Standard output and standard error, which may be closed at any time.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use lantern_graph::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::remedy;

/// The code of "nobody reads any more".
pub const CLOSED: &str = "output.closed";

/// The exit code that shells have for a program that Ctrl+C ended.
pub const INTERRUPTED: i32 = 130;

/// Writes as it is, and at once: a token is seen when it comes.
pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::new(CLOSED, "standard output was closed", "nothing to do"),
        _ => Error::new(
            "output.write",
            format!("standard output: {error}"),
            "make room on the disk, or send the output elsewhere",
        ),
    })
}

/// [`text`] of what may hold names from files: a terminal obeys control characters, so they are shown as a sign of their own.
pub fn names(names: &str) -> Result<()> {
    text(&shown(names))
}

pub fn line(line: &str) -> Result<()> {
    text(&format!("{line}\n"))
}

pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::new("output.json", error.to_string(), "report this, with the file"))?;
    line(&text)
}

fn one_line(text: &str) -> String {
    shown(&text.replace(['\n', '\r'], " "))
}

fn shown(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// One line on standard error.
pub fn complain(what: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "error: {}", one_line(what));
}

/// What is not as it was asked for, of work that goes on all the same: a line each on standard error, at once, and with the
/// result in JSON.
pub struct Notes {
    command: &'static str,
    told: Vec<Error>,
}

impl Notes {
    /// `command` as it is typed, `eval perplexity` for one: remedies differ.
    pub fn new(command: &'static str) -> Self {
        Self { command, told: Vec::new() }
    }

    pub fn tell(&mut self, note: Error) {
        let note = remedy::here(self.command, note);
        let _ = writeln!(io::stderr(), "warning: {}", one_line(&note.to_string()));
        self.told.push(note);
    }

    pub fn tell_all(&mut self, notes: impl IntoIterator<Item = Error>) {
        notes.into_iter().for_each(|note| self.tell(note));
    }

    /// `[{code, cause, remedy}]`.
    pub fn to_json(&self) -> Value {
        self.told.iter().map(|e| json!({"code": e.code, "cause": e.cause, "remedy": e.remedy})).collect()
    }

    /// What comes from here on is about another result.
    pub fn clear(&mut self) {
        self.told.clear();
    }
}

/// A line for the one who sits there; nothing where standard error is no terminal.
pub fn hint(text: &str) {
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// The sign that something may be typed, as [`hint`] is shown.
pub fn ask(sign: &str) {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "{sign}");
    }
}

/// How far something has come, on standard error: where a person looks on, and it takes long enough to wonder.
pub struct Meter {
    unit: &'static str,
    start: Instant,
    shown: Option<Instant>,
}

impl Meter {
    const WAIT: Duration = Duration::from_millis(500);
    const EVERY: Duration = Duration::from_millis(100);

    pub fn new(unit: &'static str) -> Self {
        Self { unit, start: Instant::now(), shown: None }
    }

    pub fn tell(&mut self, done: u64, total: u64) {
        let soon = self.shown.map_or(self.start.elapsed() < Self::WAIT, |last| last.elapsed() < Self::EVERY);
        if soon || !io::stderr().is_terminal() {
            return;
        }
        self.shown = Some(Instant::now());
        // With standard error closed nobody watches.
        let _ = write!(io::stderr(), "\r{done} of {total} {}", self.unit);
    }
}

impl Drop for Meter {
    /// The line is wiped: what counts is on standard output.
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r{:40}\r", "");
        }
    }
}
