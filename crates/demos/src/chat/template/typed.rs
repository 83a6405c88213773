//! Telling a visitor's words from the template's, in the text that comes out of it.
//!
//! While a template runs, every character of a message that occurs in a guarded token's text stands as another, out of
//! Unicode's private use and used by nobody here. Whatever the template does with them (cut, join, trim, replace), a
//! stand-in in the result was typed; and put back, it says which bytes are. White space stays itself, since templates
//! trim: no guarded token is made of that alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use lantern_graph::{Error, Result};

use super::Message;

pub(super) struct StandIns {
    veil: BTreeMap<char, char>,
    unveil: BTreeMap<char, char>,
}

const PRIVATE: char = '\u{f0000}';

impl StandIns {
    /// # Errors
    /// `chat.template` when the messages use all of Unicode's private characters.
    pub fn choose(guarded: &BTreeSet<char>, messages: &[Message], source: &str) -> Result<Self> {
        let typed = || messages.iter().flat_map(|m| m.content.chars());
        let roles = messages.iter().flat_map(|m| m.role.chars());
        let used: BTreeSet<char> = typed()
            .chain(roles)
            .chain(source.chars())
            .filter(|c| *c >= PRIVATE)
            .chain(guarded.iter().copied())
            .collect();
        let mut free = (PRIVATE..='\u{ffffd}').chain('\u{100000}'..='\u{10fffd}').filter(|c| !used.contains(c));
        let mut veil = BTreeMap::new();
        for c in typed().filter(|c| guarded.contains(c)) {
            if let std::collections::btree_map::Entry::Vacant(place) = veil.entry(c) {
                place.insert(free.next().ok_or_else(|| {
                    Error::new(
                        "chat.template",
                        "the messages use every private character of Unicode, and one is needed to tell them from the template",
                        "leave the private characters out",
                    )
                })?);
            }
        }
        let unveil = veil.iter().map(|(typed, stand_in)| (*stand_in, *typed)).collect();
        Ok(Self { veil, unveil })
    }

    pub fn veil(&self, text: &str) -> String {
        text.chars().map(|c| self.veil.get(&c).copied().unwrap_or(c)).collect()
    }

    /// The text as it was meant, and the bytes of it that stood in other characters.
    pub fn unveil(&self, text: &str) -> (String, Vec<Range<usize>>) {
        let mut out = String::with_capacity(text.len());
        let mut typed: Vec<Range<usize>> = Vec::new();
        for c in text.chars() {
            let Some(meant) = self.unveil.get(&c) else {
                out.push(c);
                continue;
            };
            let start = out.len();
            out.push(*meant);
            match typed.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = out.len(),
                None => typed.push(start..out.len()),
            }
        }
        (out, typed)
    }
}
