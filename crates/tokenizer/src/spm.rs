//! SentencePiece BPE: of all adjacent pairs whose joined text is a piece, the one whose piece has the highest score is
//! merged, the leftmost among equals, until none is left (Kudo and Richardson 2018, arXiv:1808.06226; the ids are
//! llama.cpp's).
//!
//! The merge loop is ours because a merge list, which is what BPE libraries take, cannot say this: a list ranks each
//! split of a piece (`a`+`aa`, `aa`+`a`) and each piece of equal score apart, where SentencePiece takes the leftmost.
//! Runs of one character (spaces, digits, dashes) are where the two part.

use crate::vocab::{Kind, Odd, Vocab, unusable};
use lantern_graph::{Error, Result};
use lantern_weights::{Metadata, Value};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// SentencePiece writes a space as this.
const SPACE: char = '\u{2581}';

pub(crate) struct Spm {
    scores: Vec<f32>,
    /// The piece of each byte, for text the vocabulary cannot spell.
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
    adds_space: bool,
}

/// No neighbour.
const NONE: usize = usize::MAX;

/// A stretch of the text, in a list of neighbours. Length 0: merged into its left neighbour.
struct Symbol {
    start: usize,
    len: usize,
    prev: usize,
    next: usize,
}

/// Two neighbours that may merge. `len`: of both when it was found, which tells if either has changed since.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pair {}

impl Spm {
    pub fn read(meta: &Metadata, vocab: &Vocab, unknown: Option<u32>, notices: &mut Vec<Error>) -> Self {
        const SCORES: &str = "tokenizer.ggml.scores";
        let scores = match meta.optional(SCORES, "a list", Value::as_array, notices) {
            // As in llama.cpp.
            None => vec![0.0; vocab.len()],
            Some(list) => {
                let mut odd = Odd::default();
                let score = |id: usize| {
                    list.get(id).and_then(Value::as_f32).unwrap_or_else(|| {
                        odd.add(id);
                        f32::NEG_INFINITY
                    })
                };
                let scores = (0..vocab.len()).map(score).collect();
                odd.tell(SCORES, "has no score and is merged last", notices);
                scores
            }
        };
        let mut bytes = [None; 256];
        for id in vocab.ids() {
            if let Kind::Byte(byte) = vocab.kind(id) {
                bytes[usize::from(byte)] = Some(id);
            }
        }
        let space = meta.optional("tokenizer.ggml.add_space_prefix", "true or false", Value::as_bool, notices);
        Self {
            // -0 and 0 are one score, and `total_cmp` would part them.
            scores: scores.into_iter().map(|score| score + 0.0).collect(),
            bytes,
            unknown,
            adds_space: space.unwrap_or(true),
        }
    }

    pub fn adds_space(&self) -> bool {
        self.adds_space
    }

    /// `at_start`: nothing, or a special token, comes before this text.
    pub fn encode(&self, vocab: &Vocab, text: &str, at_start: bool, ids: &mut Vec<u32>) -> Result<()> {
        let prefix = (at_start && self.adds_space).then_some(SPACE);
        let text: String = prefix.into_iter().chain(text.chars().map(|c| if c == ' ' { SPACE } else { c })).collect();
        let symbols = self.merge(vocab, &text);
        let mut at = 0;
        while let Some(symbol) = symbols.get(at) {
            self.emit(vocab, &text[symbol.start..symbol.start + symbol.len], ids)?;
            at = symbol.next;
        }
        Ok(())
    }

    fn merge(&self, vocab: &Vocab, text: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        for (i, (start, c)) in text.char_indices().enumerate() {
            symbols.push(Symbol { start, len: c.len_utf8(), prev: i.wrapping_sub(1), next: i + 1 });
        }
        if let Some(last) = symbols.last_mut() {
            last.next = NONE;
        }
        let mut queue = BinaryHeap::new();
        let offer = |queue: &mut BinaryHeap<Pair>, symbols: &[Symbol], left: usize, right: usize| {
            let (Some(a), Some(b)) = (symbols.get(left), symbols.get(right)) else { return };
            let len = a.len + b.len;
            if let Some(id) = vocab.find(&text[a.start..a.start + len]) {
                queue.push(Pair { score: self.scores[id as usize], left, right, len });
            }
        };
        for right in 1..symbols.len() {
            offer(&mut queue, &symbols, right - 1, right);
        }
        while let Some(Pair { left, right, len, .. }) = queue.pop() {
            let (a, b) = (symbols[left].len, symbols[right].len);
            if a == 0 || b == 0 || a + b != len {
                continue;
            }
            let next = symbols[right].next;
            symbols[right].len = 0;
            (symbols[left].len, symbols[left].next) = (len, next);
            if let Some(after) = symbols.get_mut(next) {
                after.prev = left;
            }
            offer(&mut queue, &symbols, symbols[left].prev, left);
            offer(&mut queue, &symbols, left, next);
        }
        symbols
    }

    /// A merged stretch is a piece, or a character the vocabulary lacks: then its bytes.
    fn emit(&self, vocab: &Vocab, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        if let Some(id) = vocab.find(text) {
            ids.push(id);
            return Ok(());
        }
        let bytes: Option<Vec<u32>> = text.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        match (bytes, self.unknown) {
            (Some(bytes), _) => ids.extend(bytes),
            (None, Some(unknown)) => ids.push(unknown),
            (None, None) => return Err(unusable(format!("it cannot spell {text:?}, and has no unknown token"))),
        }
        Ok(())
    }
}

/// A piece as text.
pub(crate) fn append_text(piece: &str, out: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    for c in piece.chars() {
        let c = if c == SPACE { ' ' } else { c };
        out.extend(c.encode_utf8(&mut utf8).bytes());
    }
}
