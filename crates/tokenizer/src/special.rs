//! Tokens that stand in a text as they are written: which they are, and how they are cut out of it.
//!
//! Most must come from the one who writes the prompt and never from the one who only fills it in: these are guarded.

use crate::vocab::{Kind, Vocab};
use lantern_weights::{ChatTemplates, Metadata, Value};
use std::collections::BTreeSet;
use std::ops::Range;

/// What ends an answer in the formats in use, beside the file's own `eos`. Files often name only one of the two or three
/// a model was trained to stop at, or give them the wrong type; llama.cpp knows them by their text too.
const ENDS: [&str; 24] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<turn|>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    // Of code models: the end of a file, or of what a repository holds.
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<reponame>",
];

/// What opens a turn, where a file calls it text ("user-defined") and brings no template that would tell.
const TURNS: [&str; 15] = [
    "<s>",
    "<|begin_of_text|>",
    "<|im_start|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|User|>",
    "<|Assistant|>",
    "<\u{ff5c}User\u{ff5c}>",
    "<\u{ff5c}Assistant\u{ff5c}>",
    "<start_of_turn>",
    "[INST]",
    "[/INST]",
];

/// What a model writes into its answer: text, although templates name it too.
const THOUGHTS: [&str; 2] = ["<think>", "</think>"];

/// Tokens that end an answer, each once, with what is no control token in the file and must be one made so.
pub(crate) fn ends(meta: &Metadata, vocab: &mut Vocab, named: &[u32]) -> Vec<u32> {
    let mut ends = named.to_vec();
    for id in vocab.ids() {
        let piece = vocab.piece(id);
        if !ENDS.contains(&piece) {
            continue;
        }
        // A model of pages or programs may spell `</s>` as the text it is, out of smaller pieces.
        if vocab.kind(id) == Kind::Normal && is_merged(meta, piece) {
            continue;
        }
        vocab.make_control(id);
        ends.push(id);
    }
    // OpenAI's harmony format: the end of a message there, not of the answer.
    let has = |text: &str| ends.iter().any(|id| vocab.piece(*id) == text);
    if (has("<|return|>") && has("<|call|>")) || (has("<|flush|>") && has("<|calls|>")) {
        ends.retain(|id| vocab.piece(*id) != "<|end|>");
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn is_merged(meta: &Metadata, piece: &str) -> bool {
    let merges = meta.get("tokenizer.ggml.merges").and_then(Value::as_array).unwrap_or_default();
    let joins = |merge: &str| merge.split_once(' ').is_some_and(|(l, r)| piece.strip_prefix(l) == Some(r));
    merges.iter().filter_map(Value::as_str).any(joins)
}

struct Literal {
    id: u32,
    guarded: bool,
    /// White space after it goes with it: Phi-3's tokenizer was trained so, and files have no field for it.
    strips: bool,
}

pub(crate) struct Literals {
    /// Longest first.
    all: Vec<Literal>,
    guarded: BTreeSet<u32>,
}

/// A stretch of the text to encode.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(Range<usize>),
    Token(u32),
}

impl Literals {
    pub fn read(meta: &Metadata, vocab: &Vocab) -> Self {
        // The one who renders the template tells of what cannot be used.
        let template = ChatTemplates::read(meta, &mut Vec::new()).chosen.unwrap_or_default();
        let name = meta.get("general.name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let strips = name.contains("phi-3") || name.contains("phi3");
        let mut all = Vec::new();
        for id in vocab.ids() {
            let piece = vocab.piece(id);
            let guarded = match vocab.kind(id) {
                Kind::Control | Kind::Unknown => true,
                Kind::UserDefined => {
                    TURNS.contains(&piece)
                        || (is_markup(piece) && template.contains(piece) && !THOUGHTS.contains(&piece))
                }
                Kind::Normal | Kind::Unused | Kind::Byte(_) => continue,
            };
            // White space is what templates trim and tokenizers join: nobody could tell whose it is.
            if piece.trim().is_empty() && (guarded || piece.is_empty()) {
                continue;
            }
            all.push(Literal { id, guarded, strips: strips && !["<unk>", "<s>", "<|endoftext|>"].contains(&piece) });
        }
        all.sort_by_key(|literal| std::cmp::Reverse(vocab.piece(literal.id).len()));
        let guarded: BTreeSet<u32> = all.iter().filter(|l| l.guarded).map(|l| l.id).collect();
        Self { all, guarded }
    }

    pub fn is_guarded(&self, id: u32) -> bool {
        self.guarded.contains(&id)
    }

    #[cfg(feature = "byte-level")]
    pub fn guarded_ids(&self) -> impl Iterator<Item = u32> {
        self.guarded.iter().copied()
    }

    pub fn find(&self, vocab: &Vocab, text: &str) -> Option<u32> {
        self.all.iter().filter(|l| l.guarded).map(|l| l.id).find(|id| vocab.piece(*id) == text)
    }

    /// Cuts the literal tokens out of the text, longest token first, wherever they stand; guarded ones only where no
    /// byte of theirs lies in `typed`, whose ranges are in order.
    pub fn parts(&self, vocab: &Vocab, text: &str, typed: &[Range<usize>]) -> Vec<Part> {
        let mut parts = Vec::new();
        if text.is_empty() {
            return parts;
        }
        parts.push(Part::Text(0..text.len()));
        let all_typed = typed.iter().any(|range| range.start == 0 && range.end >= text.len());
        let pairs = Pairs::of(text);
        for literal in &self.all {
            let piece = vocab.piece(literal.id);
            if (literal.guarded && all_typed) || !pairs.may_hold(piece) {
                continue;
            }
            let forged = |at: usize| {
                let next = typed.partition_point(|range| range.end <= at);
                literal.guarded && typed.get(next).is_some_and(|range| range.start < at + piece.len())
            };
            let whole = std::mem::take(&mut parts);
            for part in whole {
                let Part::Text(range) = part else {
                    parts.push(part);
                    continue;
                };
                let (mut from, mut search) = (range.start, range.start);
                while let Some(found) = text[search..range.end].find(piece) {
                    let at = search + found;
                    if forged(at) {
                        search = at + text[at..].chars().next().map_or(1, char::len_utf8);
                        continue;
                    }
                    if at > from {
                        parts.push(Part::Text(from..at));
                    }
                    parts.push(Part::Token(literal.id));
                    from = at + piece.len();
                    if literal.strips {
                        let rest = &text[from..range.end];
                        from += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).len();
                    }
                    search = from;
                }
                if from < range.end {
                    parts.push(Part::Text(from..range.end));
                }
            }
        }
        parts
    }
}

/// `<|user|>`, `[INST]`: not a word that a template also happens to say.
fn is_markup(piece: &str) -> bool {
    piece.len() > 2 && piece.starts_with(['<', '[']) && piece.ends_with(['>', ']'])
}

/// The pairs of bytes that stand side by side in a text. Vocabularies have thousands of tokens to look for, and this
/// says of nearly all of them that they are not there.
struct Pairs(Vec<u64>);

impl Pairs {
    fn of(text: &str) -> Self {
        let mut bits = vec![0; (1 << 16) / 64];
        for pair in text.as_bytes().windows(2) {
            let pair = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            bits[pair / 64] |= 1 << (pair % 64);
        }
        Self(bits)
    }

    fn may_hold(&self, piece: &str) -> bool {
        piece.as_bytes().windows(2).all(|pair| {
            let pair = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            self.0[pair / 64] >> (pair % 64) & 1 == 1
        })
    }
}
