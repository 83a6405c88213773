//! The list of pieces, what kind each is, and the way from text to id.

use lantern_graph::{Error, Result};
use lantern_weights::Metadata;
use std::collections::HashMap;
use std::rc::Rc;

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
    pieces: Vec<Rc<str>>,
    kinds: Vec<Kind>,
    /// Whether `kinds` comes from the file.
    typed: bool,
    /// Pieces that text may merge into. Control, unknown and byte pieces are not among them, as in SentencePiece: no
    /// spelling of `</s>` in a visitor's text becomes the token.
    by_text: HashMap<Rc<str>, u32>,
}

impl Vocab {
    /// `byte_level`: a vocabulary without byte pieces, so none is looked for where types are missing.
    pub fn read(meta: &Metadata, byte_level: bool) -> Result<Self> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        const TYPES: &str = "tokenizer.ggml.token_type";
        let pieces: Vec<Rc<str>> = meta.strings(TOKENS)?.into_iter().map(Rc::from).collect();
        if pieces.is_empty() || u32::try_from(pieces.len()).is_err() {
            return Err(unusable(format!("it has {} tokens", pieces.len())));
        }
        let types = meta.find_ints(TYPES)?;
        if let Some(types) = &types
            && types.len() != pieces.len()
        {
            return Err(Error::new(
                "gguf.metadata",
                format!("{TYPES} has {} entries, and {TOKENS} has {}", types.len(), pieces.len()),
                "convert the model again with a current converter, or get the file again",
            ));
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
        Ok(Self { pieces, kinds, typed: types.is_some(), by_text: HashMap::new() })
    }

    /// In a file without token types, makes `id` a control token.
    pub fn make_control(&mut self, id: u32) {
        if !self.typed {
            self.kinds[id as usize] = Kind::Control;
        }
    }

    /// Builds the way from text to id. Of two pieces with one text the later counts, as in llama.cpp.
    pub fn index(&mut self) {
        let text = |kind: &Kind| matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused);
        self.by_text = (0..)
            .zip(&self.pieces)
            .filter(|(id, _)| text(&self.kinds[*id as usize]))
            .map(|(id, p)| (p.clone(), id))
            .collect();
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    pub fn contains(&self, id: u32) -> bool {
        (id as usize) < self.pieces.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = u32> {
        0..self.pieces.len() as u32
    }

    /// `id` is in the vocabulary.
    pub fn piece(&self, id: u32) -> &str {
        &self.pieces[id as usize]
    }

    /// `id` is in the vocabulary.
    pub fn kind(&self, id: u32) -> Kind {
        self.kinds[id as usize]
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }
}

/// `<0x0A>` is byte 10.
fn byte_piece(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

pub(crate) fn unusable(why: String) -> Error {
    Error::new(
        "tokenizer.vocab",
        format!("the file's vocabulary cannot be used: {why}"),
        "convert the model again with a current converter, or get the file again",
    )
}
