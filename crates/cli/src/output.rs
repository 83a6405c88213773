//! Standard output and standard error, which may be closed at any time.

use std::io::{self, Write};

use lantern_graph::{Error, Result};
use serde::Serialize;

/// The code of "nobody reads any more".
pub const CLOSED: &str = "output.closed";

/// Writes as it is, and at once: a token is seen when it comes.
pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::new(CLOSED, "standard output was closed", "nothing to do"),
        _ => Error::new("output.write", format!("standard output: {error}"), "check the disk, or where output goes"),
    })
}

pub fn line(line: &str) -> Result<()> {
    text(&format!("{line}\n"))
}

pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::new("output.json", error.to_string(), "report this, with the file"))?;
    line(&text)
}

/// One line on standard error.
pub fn complain(what: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "error: {}", what.replace(['\n', '\r'], " "));
}

/// One line on standard error, of something that goes on all the same.
pub fn warn(notice: &Error) {
    let _ = writeln!(io::stderr(), "warning: {}", notice.to_string().replace(['\n', '\r'], " "));
}
