//! Text that comes from standard input, or from a file whose name may be `-` for that.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use lantern_graph::{Error, Result};

use crate::output;

/// What stands for standard input.
const STDIN: &str = "-";

/// Standard input to its end, as it is.
///
/// # Errors
/// `input.read`, `input.utf8`.
pub fn standard() -> Result<String> {
    if io::stdin().is_terminal() {
        output::hint("reads from the terminal: end the text with Ctrl+D on a line of its own");
    }
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map_err(|error| unread(&error))?;
    String::from_utf8(bytes).map_err(|error| not_utf8(&format!("byte {}", error.utf8_error().valid_up_to())))
}

/// A line of standard input with its end; `None` where there is no more.
///
/// # Errors
/// `input.read`, `input.utf8`.
pub fn line() -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = io::BufRead::read_until(&mut io::stdin().lock(), b'\n', &mut bytes);
    if read.map_err(|error| unread(&error))? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8(bytes);
    line.map(Some).map_err(|error| not_utf8(&format!("byte {} of this line", error.utf8_error().valid_up_to())))
}

/// A prompt as `--prompt` gives it: `-` is standard input.
///
/// # Errors
/// `input.read`, `input.utf8`.
pub fn prompt(given: &str) -> Result<String> {
    if given == STDIN { standard_prompt() } else { Ok(given.to_owned()) }
}

/// All of standard input as a prompt: `echo` and editors end a text with a line break that nobody means.
///
/// # Errors
/// `input.read`, `input.utf8`.
pub fn standard_prompt() -> Result<String> {
    standard().map(|text| without_line_break(&text).to_owned())
}

pub fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A text file, or standard input for `-`. `code` is that of the command that asks for it.
///
/// # Errors
/// `code`; `input.read`, `input.utf8`.
pub fn file(path: &Path, code: &'static str) -> Result<String> {
    if path.as_os_str() == STDIN {
        return standard();
    }
    std::fs::read_to_string(path).map_err(|error| {
        let cause = format!("{}: {error}", path.display());
        Error::new(code, cause, "give the path of a UTF-8 text file, or - for standard input")
    })
}

fn unread(error: &io::Error) -> Error {
    Error::new("input.read", format!("standard input: {error}"), "give the text on standard input")
}

fn not_utf8(place: &str) -> Error {
    let remedy = "convert the text to UTF-8, for example with iconv";
    Error::new("input.utf8", format!("standard input is not UTF-8 at {place}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_prompt() {
        for (text, prompt) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\na \n", "\na "), ("", "")]
        {
            assert_eq!(without_line_break(text), prompt, "{text:?}");
        }
    }
}
