//! Stop strings: texts at which an answer ends, found as it grows, whatever tokens they come in.

use lantern_graph::{Error, Result};

/// Most stop strings, and bytes of one: what is held back while one may have begun is as long.
const MOST: usize = 16;
const LONGEST: usize = 256;

/// # Errors
/// `chat.stop`.
pub fn check(stops: &[String]) -> Result<()> {
    let bad = |cause: String, remedy: String| Err(Error::new("chat.stop", cause, remedy));
    if stops.len() > MOST {
        return bad(format!("there are {} stop strings", stops.len()), format!("give at most {MOST}"));
    }
    match stops.iter().find(|stop| !(1..=LONGEST).contains(&stop.len())) {
        Some(stop) if stop.is_empty() => bad("a stop string is empty".into(), "write something in it".into()),
        Some(stop) => bad(format!("a stop string has {} bytes", stop.len()), format!("give at most {LONGEST}")),
        None => Ok(()),
    }
}

/// A text as it grows, of which so much is decided as cannot belong to a stop string any more.
///
/// The first stop string to be complete ends the text; of those that end at the same character, the longest. So tokens do
/// not matter, only what they spell.
pub struct Matcher<'s> {
    stops: &'s [String],
    /// The end of the text, from where a stop string may have begun.
    tail: String,
    /// Bytes before it.
    decided: usize,
}

impl<'s> Matcher<'s> {
    pub fn new(stops: &'s [String]) -> Self {
        Self { stops, tail: String::new(), decided: 0 }
    }

    /// Adds to the text; gives the byte at which it ends when a stop string is complete. What comes after is ignored.
    pub fn push(&mut self, text: &str) -> Option<usize> {
        for character in text.chars() {
            self.tail.push(character);
            let complete = self.stops.iter().filter(|stop| self.tail.ends_with(stop.as_str()));
            if let Some(longest) = complete.map(String::len).max() {
                self.decided += self.tail.len() - longest;
                return Some(self.decided);
            }
        }
        let begun = |at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.tail[*at..]));
        let from = self.tail.char_indices().map(|(at, _)| at).find(begun).unwrap_or(self.tail.len());
        self.tail.drain(..from);
        self.decided += from;
        None
    }

    /// Bytes of the text that no stop string can take away.
    pub fn decided(&self) -> usize {
        self.decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a text that comes in `pieces`, step by step, and whether it was stopped.
    fn shown(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        check(&stops).unwrap();
        let (mut matcher, mut text, mut shown, mut out) = (Matcher::new(&stops), String::new(), 0, Vec::new());
        for piece in pieces {
            text += piece;
            let cut = matcher.push(piece);
            let until = cut.unwrap_or(matcher.decided());
            assert!(until >= shown, "what was shown stays");
            out.push(text[shown..until].to_owned());
            shown = until;
            if cut.is_some() {
                return (out, true);
            }
        }
        (out, false)
    }

    #[test]
    fn what_may_begin_a_stop_string_is_held_back_until_it_is_decided() {
        assert_eq!(shown(&["END"], &["an E", "ND of it"]), (vec!["an ".into(), String::new()], true));
        assert_eq!(shown(&["END"], &["an E", "N", "T"]), (vec!["an ".into(), String::new(), "ENT".into()], false));
        assert_eq!(shown(&["\nUser:"], &["Hi.", "\n", "Us", "er", ": yes"]).0.concat(), "Hi.");
        // "aab" begins again inside of what did not become it.
        assert_eq!(shown(&["aab"], &["a", "a", "a", "b", "c"]).0, ["", "", "a", ""]);
        assert_eq!(shown(&[], &["all ", "of it"]).0, ["all ", "of it"]);
    }

    #[test]
    fn the_first_to_be_complete_wins_however_the_text_is_cut() {
        let (stops, text) = (["abcd", "bc", "xbc"], "..xabcd");
        let mut cuts: Vec<Vec<&str>> = vec![vec![text], text.split("").collect()];
        cuts.extend((1..text.len()).map(|at| vec![&text[..at], &text[at..]]));
        for pieces in cuts {
            let (out, stopped) = shown(&stops, &pieces);
            assert!(stopped && out.concat() == "..xa", "{pieces:?}: {out:?}");
        }
        // Both end at the same character: the longest.
        assert_eq!(shown(&["bc", "xbc"], &["a", "x", "b", "c"]).0.concat(), "a");
    }

    #[test]
    fn characters_are_whole() {
        assert_eq!(shown(&["é…"], &["caf", "é", "…", "x"]).0, ["caf", "", ""]);
        assert_eq!(shown(&["é…"], &["café", "!"]).0.concat(), "café!");
        assert_eq!(shown(&["👩‍👩"], &["👩", "\u{200d}", "👧"]).0.concat(), "👩\u{200d}👧");
    }

    #[test]
    fn strings_that_cannot_be_are_refused() {
        let many = vec!["x".to_owned(); 17];
        for (stops, cause) in [(vec![String::new()], "empty"), (many, "17"), (vec!["é".repeat(129)], "258 bytes")] {
            let error = check(&stops).unwrap_err();
            assert!(error.code == "chat.stop" && error.cause.contains(cause), "{error}");
        }
        check(&["é".repeat(128)]).unwrap();
    }
}
