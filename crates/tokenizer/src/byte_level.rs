//! GPT-2's byte-level BPE, through the `tokenizers` crate: text is cut into words (rule.rs, split.rs), and the crate's
//! merge engine applies the file's merge list to each word's bytes.
//!
//! The vocabulary writes bytes as printable characters ("Ġ" is a space); single ones may be half a character.

use crate::rule::Named;
use crate::special::Literals;
use crate::split::{Splitter, failed};
use crate::vocab::{Vocab, unusable};
use lantern_graph::{Error, Result};
use lantern_weights::{Metadata, passed_over};
use std::collections::{HashMap, HashSet};
use tokenizers::models::bpe::{BpeConfig, PipelineBPE};
use tokenizers::pipeline::{Model, PipelineToken, PreTokenizerScratch};
use tokenizers::utils::byte_level::{BYTES_CHAR_LOOKUP, char_to_byte};

/// Words whose ids are remembered within one text: 33 bytes each.
const CACHED_WORDS: usize = 4096;

pub(crate) struct ByteLevel {
    model: PipelineBPE,
    splitter: Splitter,
    /// Ids from here on stand for bytes the vocabulary lacks.
    lacking: u32,
}

/// What is reused from text to text of one call.
pub(crate) struct Scratch {
    model: <PipelineBPE as Model>::Scratch,
    split: PreTokenizerScratch,
    tokens: Vec<PipelineToken>,
}

impl ByteLevel {
    pub fn read(
        meta: &Metadata,
        vocab: &Vocab,
        literals: &Literals,
        named: &Named,
        notices: &mut Vec<Error>,
    ) -> Result<Self> {
        // Only text goes to the crate, and only what is written in the byte alphabet: what it is given, it trusts.
        let is_text = |id: &u32| {
            let piece = vocab.piece(*id);
            vocab.is_text(*id)
                && !literals.is_guarded(*id)
                && !piece.is_empty()
                && piece.chars().all(|c| char_to_byte(c).is_some())
        };
        let mut ids: HashMap<&str, u32> = vocab.ids().filter(is_text).map(|id| (vocab.piece(id), id)).collect();
        if let Some(long) = ids.keys().find(|piece| piece.len() > usize::from(u16::MAX)) {
            return Err(unusable(format!("it has a token of {} bytes", long.len())));
        }
        // The crate wants all 256 bytes. A vocabulary that lacks some says nothing of them, and neither do we.
        let lacking = vocab.len() as u32;
        let alphabet: Vec<String> = BYTES_CHAR_LOOKUP.iter().map(char::to_string).collect();
        for (byte, letter) in (0..).zip(&alphabet) {
            ids.entry(letter).or_insert(lacking + byte);
        }
        let withheld: HashSet<&str> = literals.guarded_ids().map(|id| vocab.piece(id)).collect();
        let merges = merges(meta, &ids, &withheld, notices)?;
        let config = BpeConfig {
            vocab: ids.iter().map(|(piece, id)| ((*piece).to_owned(), *id)).collect(),
            merges,
            byte_level: true,
            ignore_merges: named.whole_words,
            cache_capacity: CACHED_WORDS,
            ..BpeConfig::default()
        };
        drop(ids);
        Ok(Self {
            model: PipelineBPE::from_config(config).map_err(|e| unusable(e.to_string()))?,
            splitter: named.rule.splitter()?,
            lacking,
        })
    }

    pub fn scratch(&self) -> Scratch {
        Scratch { model: self.model.init_scratch(), split: PreTokenizerScratch::default(), tokens: Vec::new() }
    }

    pub fn encode(&self, text: &str, scratch: &mut Scratch, ids: &mut Vec<u32>) -> Result<()> {
        let words = self.splitter.split(text, &mut scratch.split)?;
        scratch.tokens.clear();
        let tokens = &mut scratch.tokens;
        self.model.tokenize_spans(text, &words, &mut scratch.model, tokens).map_err(|e| failed(&e.to_string()))?;
        ids.extend(tokens.iter().map(|token| token.id()).filter(|id| *id < self.lacking));
        Ok(())
    }
}

/// The file's merges, each once, in its order: the first of two counts. Those that are not two pieces and those of pieces that
/// the vocabulary lacks are left out: vocabularies are cut down, and their lists of merges are not. So are those that would lead
/// text into what is `withheld` from it.
fn merges(
    meta: &Metadata,
    ids: &HashMap<&str, u32>,
    withheld: &HashSet<&str>,
    notices: &mut Vec<Error>,
) -> Result<Vec<(String, String)>> {
    const MERGES: &str = "tokenizer.ggml.merges";
    let list = meta.strings(MERGES)?;
    let mut merges = Vec::with_capacity(list.len());
    // Left, right and whole.
    let mut by_id = Vec::with_capacity(list.len());
    let mut seen = HashSet::with_capacity(list.len());
    let mut unusable = None;
    let mut left_out = 0;
    for merge in list {
        let (left, right) = merge.split_once(' ').unwrap_or((merge, ""));
        let whole = format!("{left}{right}");
        if !withheld.is_empty() && [left, right, &whole].into_iter().any(|piece| withheld.contains(piece)) {
            continue;
        }
        let id = |piece: &str| ids.get(piece).copied();
        let (Some(a), Some(b), Some(both)) = (id(left), id(right), id(&whole)) else {
            unusable.get_or_insert(merge);
            left_out += 1;
            continue;
        };
        if seen.insert((a, b)) {
            merges.push((left.to_owned(), right.to_owned()));
            by_id.push((a, b, both));
        }
    }
    if let Some(first) = unusable {
        let first: String = first.chars().take(80).collect();
        let of = merges.len() + left_out;
        let why = format!("{left_out} of its {of} merges, such as {first:?}, do not join two pieces of the vocabulary");
        notices.push(passed_over(MERGES, &why));
    }
    check_dense(ids, &by_id)?;
    Ok(merges)
}

/// The crate keeps the merges of its first 512 pieces in a table of at most 65,534, and panics where there are more: no
/// vocabulary of words has a tenth of that, but a file may.
fn check_dense(ids: &HashMap<&str, u32>, merges: &[(u32, u32, u32)]) -> Result<()> {
    const FIRST: usize = 512;
    let wholes: HashSet<u32> = merges.iter().map(|merge| merge.2).collect();
    // Its order: pieces that nothing merges into, by id, then the others by their first merge.
    let mut letters: Vec<u32> = ids.values().copied().filter(|id| !wholes.contains(id)).collect();
    letters.sort_unstable();
    let mut first: HashSet<u32> = letters.into_iter().take(FIRST).collect();
    for merge in merges {
        if first.len() == FIRST {
            break;
        }
        first.insert(merge.2);
    }
    let dense = merges.iter().filter(|(left, right, _)| first.contains(left) && first.contains(right)).count();
    if dense >= usize::from(u16::MAX) {
        return Err(unusable(format!("{dense} of its merges join single letters")));
    }
    Ok(())
}

/// A piece as bytes.
pub(crate) fn append_text(piece: &str, out: &mut Vec<u8>) {
    let mut utf8 = [0; 4];
    for c in piece.chars() {
        match char_to_byte(c) {
            Some(byte) => out.push(byte),
            None => out.extend(c.encode_utf8(&mut utf8).bytes()),
        }
    }
}
