//! The list of pieces, what kind each is, and the way from text to id.

use lantern_graph::{Error, Result};
use lantern_weights::{Metadata, Value, passed_over};
use std::hash::{BuildHasher, RandomState};

/// GGUF's token types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Normal,
    /// Stands for what the vocabulary has no piece for.
    Unknown,
    /// Says something to the model, and has no text.
    Control,
    /// Text that is never split.
    UserDefined,
    Unused,
    /// One byte, for text the pieces cannot spell.
    Byte(u8),
}

pub(crate) struct Vocab {
    /// All pieces, one after the other: a string each would cost more in its bookkeeping than in its text.
    text: String,
    /// Where each piece ends in `text`.
    ends: Vec<u32>,
    kinds: Vec<Kind>,
    /// Whether `kinds` comes from the file.
    typed: bool,
    index: Index,
}

/// Pieces that text may merge into, by their text: ids in an open hash table of twice their number, `NONE` where free.
/// Control, unknown and byte pieces are not among them, as in SentencePiece: no spelling of `</s>` in a visitor's text
/// becomes the token.
#[derive(Default)]
struct Index {
    slots: Vec<u32>,
    hasher: RandomState,
    /// Bytes of the longest piece.
    longest: usize,
}

const NONE: u32 = u32::MAX;

impl Vocab {
    /// `byte_level`: a vocabulary without byte pieces, so none is looked for where types are missing. A type that means
    /// nothing is that of text.
    pub fn read(meta: &Metadata, byte_level: bool, notices: &mut Vec<Error>) -> Result<Self> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        const TYPES: &str = "tokenizer.ggml.token_type";
        let pieces = meta.strings(TOKENS)?;
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        if pieces.is_empty() || pieces.len() > MAX_TOKENS || u32::try_from(bytes).is_err() {
            return Err(unusable(format!("it has {} tokens of {bytes} bytes", pieces.len())));
        }
        let types = meta.optional(TYPES, "a list", Value::as_array, notices);
        let mut odd = Odd::default();
        let kind = |(i, piece): (usize, &&str)| {
            let byte = || byte_piece(piece).map(Kind::Byte);
            let Some(types) = types else { return byte().filter(|_| !byte_level).unwrap_or(Kind::Normal) };
            let known = match types.get(i).and_then(Value::as_i64) {
                // 0 is "undefined" in old files.
                Some(0 | 1) => Some(Kind::Normal),
                Some(2) => Some(Kind::Unknown),
                Some(3) => Some(Kind::Control),
                Some(4) => Some(Kind::UserDefined),
                Some(5) => Some(Kind::Unused),
                Some(6) => byte(),
                _ => None,
            };
            known.unwrap_or_else(|| {
                odd.add(i);
                Kind::Normal
            })
        };
        let kinds = pieces.iter().enumerate().map(kind).collect();
        odd.tell(TYPES, "has no known type and is taken as text", notices);
        let mut text = String::with_capacity(bytes);
        let mut ends = Vec::with_capacity(pieces.len());
        for piece in pieces {
            text += piece;
            ends.push(text.len() as u32);
        }
        Ok(Self { text, ends, kinds, typed: types.is_some(), index: Index::default() })
    }

    /// Whether the file says of what kind its tokens are.
    pub fn typed(&self) -> bool {
        self.typed
    }

    pub fn make_control(&mut self, id: u32) {
        self.kinds[id as usize] = Kind::Control;
    }

    /// Builds the way from text to id, but not to the `withheld`. Of two pieces with one text the later counts, as in
    /// llama.cpp.
    pub fn index(&mut self, withheld: impl Fn(u32) -> bool) {
        let is_text = |id: &u32| self.is_text(*id) && !withheld(*id);
        let longest = self.ids().filter(is_text).map(|id| self.piece(id).len()).max().unwrap_or(0);
        let slots = vec![NONE; (2 * self.len()).next_power_of_two()];
        let mut index = Index { slots, hasher: RandomState::new(), longest };
        for id in self.ids().filter(is_text) {
            let slot = self.slot(&index, self.piece(id));
            index.slots[slot] = id;
        }
        self.index = index;
    }

    /// The slot of a text: where its id stands, or where it would. There is a free one: half of them are.
    fn slot(&self, index: &Index, text: &str) -> usize {
        let mask = index.slots.len() - 1;
        let mut slot = index.hasher.hash_one(text) as usize & mask;
        while index.slots[slot] != NONE && self.piece(index.slots[slot]) != text {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// `id` is in the vocabulary. Whether text may become it.
    pub fn is_text(&self, id: u32) -> bool {
        matches!(self.kind(id), Kind::Normal | Kind::UserDefined | Kind::Unused)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn contains(&self, id: u32) -> bool {
        (id as usize) < self.ends.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.ends.len() as u32
    }

    /// `id` is in the vocabulary.
    pub fn piece(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.text[start as usize..self.ends[id] as usize]
    }

    /// `id` is in the vocabulary.
    pub fn kind(&self, id: u32) -> Kind {
        self.kinds[id as usize]
    }

    /// `None` before `index`.
    pub fn find(&self, text: &str) -> Option<u32> {
        if text.len() > self.index.longest || self.index.slots.is_empty() {
            return None;
        }
        Some(self.index.slots[self.slot(&self.index, text)]).filter(|id| *id != NONE)
    }
}

/// Tokens of which a list says nothing of use: how many, and the first.
#[derive(Default)]
pub(crate) struct Odd {
    count: usize,
    first: usize,
}

impl Odd {
    pub fn add(&mut self, id: usize) {
        if self.count == 0 {
            self.first = id;
        }
        self.count += 1;
    }

    /// One notice for all of them. `what` is true of each.
    pub fn tell(&self, key: &str, what: &str, notices: &mut Vec<Error>) {
        let more = match self.count {
            0 => return,
            1 => String::new(),
            count => format!("; {} more are like it", count - 1),
        };
        notices.push(passed_over(key, &format!("token {} {what}{more}", self.first)));
    }
}

/// Thirty times the largest about; keeps ids, and those beside them, far from the end of a u32.
const MAX_TOKENS: usize = 1 << 23;

/// `<0x0A>` is byte 10.
fn byte_piece(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

pub(crate) fn unusable(why: String) -> Error {
    Error::new("tokenizer.vocab", format!("the file's vocabulary cannot be used: {why}"), CONVERT)
}

const CONVERT: &str = "convert the model again with a current converter, or get the file again";
