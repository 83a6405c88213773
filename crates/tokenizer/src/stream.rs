//! Decoding while tokens arrive: a character is given out when it is whole.

use crate::Tokenizer;

/// Text from tokens, one at a time. A token may end in the middle of a character; what is incomplete waits for the
/// next one.
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The first bytes of a character: at most three.
    held: Vec<u8>,
}

impl<'a> DecodeStream<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, held: Vec::new() }
    }

    /// The text this token completes; empty for control tokens and parts of characters. Bytes that cannot become
    /// UTF-8 any more are U+FFFD.
    pub fn push(&mut self, id: u32) -> String {
        self.tokenizer.append(id, &mut self.held);
        let mut text = String::new();
        let mut kept = 0;
        for chunk in self.held.utf8_chunks() {
            text += chunk.valid();
            kept = chunk.invalid().len();
            if kept > 0 {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        // The last chunk may be the beginning of a character rather than a broken one.
        let tail = &self.held[self.held.len() - kept..];
        if kept > 0 && std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none()) {
            text.pop();
            self.held.drain(..self.held.len() - kept);
        } else {
            self.held.clear();
        }
        text
    }

    /// The end: a character that was never completed is U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}
