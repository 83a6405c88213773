//! A conversation at a terminal: a line, an answer, a line.

use lantern_graph::{Cancel, Executor, Result};

use super::interrupt::Answering;
use super::talk::Talk;
use crate::{input, output};

/// Reads and answers until there are no more lines. What can be said in another way ends a line, not the conversation.
///
/// # Errors
/// The executor's own; `output.*`, `input.read`.
pub async fn hold<E: Executor>(talk: &mut Talk<'_, E>) -> Result<()> {
    output::hint("Ctrl+C stops an answer; Ctrl+D ends the conversation");
    loop {
        output::ask("> ");
        let line = match input::line() {
            Ok(Some(line)) => line,
            Ok(None) => {
                output::hint("");
                return Ok(());
            }
            Err(error) if error.code == "input.utf8" => {
                output::complain(&error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let line = input::without_line_break(&line);
        if line.trim().is_empty() {
            continue;
        }
        let cancel = Cancel::new();
        let answering = Answering::new(&cancel);
        let answered = talk.answer(line, &cancel).await;
        drop(answering);
        match answered {
            Err(error) if error.code.starts_with("chat.") => output::complain(&error.to_string()),
            answered => answered?,
        }
    }
}
