//! Python's strings, which are sequences of code points, each of which remembers whether it was typed.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use crate::budget;
use crate::error::Result;

/// A character, and whether a visitor typed it. What is made of typed characters (their upper case, say) is typed too.
/// Comparing looks at the character alone.
#[derive(Clone, Copy)]
pub struct Glyph(u32);

const TYPED: u32 = 1 << 31;

impl Glyph {
    pub fn new(c: char, typed: bool) -> Self {
        Self(c as u32 | if typed { TYPED } else { 0 })
    }

    pub fn char(self) -> char {
        char::from_u32(self.0 & !TYPED).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    pub fn typed(self) -> bool {
        self.0 & TYPED != 0
    }

    /// Another character in this one's place.
    pub(crate) fn with(self, c: char) -> Self {
        Self::new(c, self.typed())
    }

    pub(crate) fn is(self, c: char) -> bool {
        self.char() == c
    }
}

impl PartialEq for Glyph {
    fn eq(&self, other: &Self) -> bool {
        self.char() == other.char()
    }
}

impl Eq for Glyph {}

impl PartialOrd for Glyph {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Glyph {
    fn cmp(&self, other: &Self) -> Ordering {
        self.char().cmp(&other.char())
    }
}

struct Counted(Box<[Glyph]>);

impl Drop for Counted {
    fn drop(&mut self) {
        budget::freed(size_of_val::<[Glyph]>(&self.0));
    }
}

#[derive(Clone)]
pub struct Text {
    glyphs: Rc<Counted>,
    /// MarkupSafe's `Markup`: escaped already.
    safe: bool,
}

impl Text {
    pub(crate) fn new(glyphs: Vec<Glyph>) -> Self {
        budget::taken(size_of_val::<[Glyph]>(&glyphs));
        Self { glyphs: Rc::new(Counted(glyphs.into_boxed_slice())), safe: false }
    }

    /// A text that nobody typed.
    pub fn plain(text: &str) -> Self {
        Self::new(glyphs(text))
    }

    pub fn typed(text: &str) -> Self {
        Self::new(text.chars().map(|c| Glyph::new(c, true)).collect())
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self::new(self[range].to_vec()).marked(self.safe)
    }

    /// The same kind of string, `str` or `Markup`, with other characters.
    pub(crate) fn like(&self, glyphs: Vec<Glyph>) -> Self {
        Self::new(glyphs).marked(self.safe)
    }

    pub(crate) fn is_safe(&self) -> bool {
        self.safe
    }

    pub(crate) fn marked(mut self, safe: bool) -> Self {
        self.safe = safe;
        self
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.iter().map(|g| g.char()).eq(text.chars())
    }

    /// # Errors
    /// The budget's, where both do not fit.
    pub(crate) fn followed_by(&self, other: &[Glyph]) -> Result<Self> {
        budget::room((self.len() + other.len()) * size_of::<Glyph>())?;
        budget::spend(self.len() + other.len())?;
        Ok(Self::new([self, other].concat()))
    }
}

impl Deref for Text {
    type Target = [Glyph];

    fn deref(&self) -> &[Glyph] {
        &self.glyphs.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|g| fmt::Write::write_char(f, g.char()))
    }
}

pub(crate) fn glyphs(text: &str) -> Vec<Glyph> {
    text.chars().map(|c| Glyph::new(c, false)).collect()
}

pub(crate) fn string(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|g| g.char()).collect()
}

/// A finished text, and the bytes of it that were typed, in order and apart.
pub(crate) fn provenance(glyphs: &[Glyph]) -> (String, Vec<Range<usize>>) {
    let mut text = String::with_capacity(glyphs.len());
    let mut typed: Vec<Range<usize>> = Vec::new();
    for glyph in glyphs {
        let start = text.len();
        text.push(glyph.char());
        match typed.last_mut() {
            _ if !glyph.typed() => {}
            Some(last) if last.end == start => last.end = text.len(),
            _ => typed.push(start..text.len()),
        }
    }
    (text, typed)
}

/// The places of `needle` in `hay` from `from` on, apart from each other, in time linear in both (Knuth, Morris and Pratt
/// 1977). `needle` is not empty.
pub(crate) fn occurrences(hay: &[Glyph], needle: &[Glyph], from: usize, most: usize) -> Vec<usize> {
    let mut found = Vec::new();
    if needle.is_empty() || hay.len() < from + needle.len() {
        return found;
    }
    // How much of the needle's beginning its first i + 1 characters end with.
    let mut fallback = vec![0usize; needle.len()];
    let mut matched = 0;
    for i in 1..needle.len() {
        while matched > 0 && needle[i] != needle[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(needle[i] == needle[matched]);
        fallback[i] = matched;
    }
    matched = 0;
    for (i, glyph) in hay.iter().enumerate().skip(from) {
        if found.len() == most {
            break;
        }
        while matched > 0 && *glyph != needle[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(*glyph == needle[matched]);
        if matched == needle.len() {
            found.push(i + 1 - matched);
            matched = 0;
        }
    }
    found
}
