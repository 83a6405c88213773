//! The list of pieces, what kind each is, and the way from text to id.

use lantern_graph::{Error, Result};
use lantern_weights::Metadata;
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
    /// `byte_level`: a vocabulary without byte pieces, so none is looked for where types are missing.
    pub fn read(meta: &Metadata, byte_level: bool) -> Result<Self> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        const TYPES: &str = "tokenizer.ggml.token_type";
        let pieces = meta.strings(TOKENS)?;
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        if pieces.is_empty() || pieces.len() > MAX_TOKENS || u32::try_from(bytes).is_err() {
            return Err(unusable(format!("it has {} tokens of {bytes} bytes", pieces.len())));
        }
        let types = meta.find_ints(TYPES)?;
        if let Some(types) = &types
            && types.len() != pieces.len()
        {
            return Err(contradiction(format!(
                "{TYPES} has {} entries, and {TOKENS} has {}",
                types.len(),
                pieces.len()
            )));
        }
        let kind = |i: usize, piece: &str| {
            let Some(types) = &types else {
                return Ok(byte_piece(piece).filter(|_| !byte_level).map_or(Kind::Normal, Kind::Byte));
            };
            Ok(match types[i] {
                2 => Kind::Unknown,
                3 => Kind::Control,
                4 => Kind::UserDefined,
                5 => Kind::Unused,
                6 => Kind::Byte(byte_piece(piece).ok_or_else(|| {
                    unusable(format!("token {i} is of type byte and reads {piece:?}, where <0x00> to <0xFF> is needed"))
                })?),
                // 0 is "undefined" in old files.
                0 | 1 => Kind::Normal,
                other => return Err(unusable(format!("token {i} has the unknown type {other}"))),
            })
        };
        let kinds = pieces.iter().enumerate().map(|(i, piece)| kind(i, piece)).collect::<Result<_>>()?;
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

pub(crate) fn contradiction(what: String) -> Error {
    Error::new("gguf.metadata", what, CONVERT)
}

const CONVERT: &str = "convert the model again with a current converter, or get the file again";
