//! The one error type of the house.
//!
//! Whatever goes wrong is told to a person: what happened (`cause`) and what to do now (`remedy`). `code` is stable,
//! so that pages, scripts and tests can recognise it.

use std::fmt;

/// `{code, cause, remedy}`: the same three on the command line, in the page, and in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Stable, dotted, lower case: `gguf.truncated`, `gpu.lost`, `run.cancelled`.
    pub code: &'static str,
    /// What happened, with the numbers and names in it. One sentence, no full stop needed.
    pub cause: String,
    /// What the reader can do now.
    pub remedy: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: &'static str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), remedy: remedy.into() }
    }

    /// The visitor asked for it to stop: not a failure, but it ends the work the same way.
    pub fn cancelled() -> Self {
        Self::new("run.cancelled", "stopped on request", "start again when you like")
    }

    pub fn is_cancelled(&self) -> bool {
        self.code == "run.cancelled"
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.code, self.cause, self.remedy)
    }
}

impl std::error::Error for Error {}
