//! Text to token ids and back, by the vocabulary in a GGUF file's metadata.
//!
//! Two kinds of vocabulary are read: `llama` (SentencePiece BPE, spm.rs) and `gpt2` with the pre-tokenizer `gpt-2`
//! (byte-level BPE, byte_level.rs); others are refused by name. The measure is llama.cpp: the same ids for the same
//! text, the same text for the same ids.
//!
//! What the caller adds is the caller's: `encode` never adds BOS or EOS.

#[cfg(feature = "byte-level")]
mod byte_level;
mod spm;
mod stream;
mod vocab;

pub use stream::DecodeStream;

use lantern_graph::{Error, Result};
use lantern_weights::Metadata;
use vocab::{Kind, Vocab};

/// Pieces that end an answer in the chat formats in use, beside the file's own `eos`. Files often name only one of
/// the two or three a model was trained to stop at; llama.cpp knows them by their text too.
const ENDS: [&str; 14] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
];

/// A model's vocabulary and the rules that split text into it.
pub struct Tokenizer {
    vocab: Vocab,
    model: Model,
    /// Control, unknown and user-defined tokens that stand literally in text, longest first.
    literal: Vec<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    ends: Vec<u32>,
    add_bos: bool,
}

enum Model {
    Spm(Box<spm::Spm>),
    #[cfg(feature = "byte-level")]
    ByteLevel(Box<byte_level::ByteLevel>),
}

/// A stretch of the text to encode.
enum Part<'a> {
    Text(&'a str),
    Token(u32),
}

impl Tokenizer {
    /// Reads `tokenizer.ggml.*`. `tokenizer.kind` for a vocabulary of another kind; `gguf.metadata` for a key that is
    /// missing, of the wrong type, or contradicts the others; `tokenizer.vocab` for a vocabulary that cannot work.
    pub fn from_gguf(meta: &Metadata) -> Result<Self> {
        let kind = meta.str("tokenizer.ggml.model")?;
        let pre = meta.find_str("tokenizer.ggml.pre")?.unwrap_or("default");
        // SentencePiece files may leave these out; their numbers are then those every such model has.
        let (default_bos, default_eos) = if kind == "llama" { (Some(1), Some(2)) } else { (None, None) };
        let mut vocab;
        let model = match (kind, pre) {
            ("llama", _) => {
                vocab = Vocab::read(meta, false)?;
                Model::Spm(Box::new(spm::Spm::read(meta, &vocab)?))
            }
            #[cfg(feature = "byte-level")]
            ("gpt2", "gpt-2") => {
                vocab = Vocab::read(meta, true)?;
                Model::ByteLevel(Box::new(byte_level::ByteLevel::read(meta, &vocab)?))
            }
            _ => return Err(unknown_kind(kind, pre)),
        };
        let id = |key: &str, default: Option<u32>| -> Result<Option<u32>> {
            let Some(id) = meta.find_u32(key)? else { return Ok(default.filter(|id| vocab.contains(*id))) };
            if vocab.contains(id) {
                return Ok(Some(id));
            }
            Err(Error::new(
                "gguf.metadata",
                format!("{key} is {id}, and the vocabulary has {} tokens", vocab.len()),
                "convert the model again with a current converter, or get the file again",
            ))
        };
        let bos = id("tokenizer.ggml.bos_token_id", default_bos)?;
        let eos = id("tokenizer.ggml.eos_token_id", default_eos)?;
        let mut ends: Vec<u32> = eos.into_iter().collect();
        for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
            ends.extend(id(key, None)?);
        }
        ends.extend(vocab.ids().filter(|id| ENDS.contains(&vocab.piece(*id))));
        let add_bos = meta.find_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(kind == "llama");

        // A file without token types has not said which are control tokens: the ones it names by id are.
        for id in bos.iter().chain(&ends) {
            vocab.make_control(*id);
        }
        let mut literal: Vec<u32> = vocab
            .ids()
            .filter(|id| matches!(vocab.kind(*id), Kind::Control | Kind::Unknown | Kind::UserDefined))
            .filter(|id| !vocab.piece(*id).is_empty())
            .collect();
        literal.sort_by_key(|id| std::cmp::Reverse(vocab.piece(*id).len()));
        vocab.index();
        Ok(Self { vocab, model, literal, bos, eos, ends, add_bos })
    }

    /// The ids of `text`, none for no text.
    ///
    /// `special`: control tokens written in the text (`<s>`, `<|im_end|>`) become those tokens; otherwise they are
    /// text like any other, which is what a visitor's own words must be. User-defined tokens are text that is never
    /// split, and count in both cases (as in llama.cpp and SentencePiece).
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        // SentencePiece puts its space before the first piece of text, and before the first after a special token.
        let mut at_start = true;
        for part in self.parts(text, special) {
            match part {
                Part::Token(id) => ids.push(id),
                Part::Text(text) => match &self.model {
                    Model::Spm(spm) => spm.encode(&self.vocab, text, at_start, &mut ids)?,
                    #[cfg(feature = "byte-level")]
                    Model::ByteLevel(model) => model.encode(text, &mut ids)?,
                },
            }
            at_start = matches!(part, Part::Token(_));
        }
        Ok(ids)
    }

    /// Cuts the literal tokens out of the text, longest token first, wherever they stand.
    fn parts<'a>(&self, text: &'a str, special: bool) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        for id in &self.literal {
            let (piece, user_defined) = (self.vocab.piece(*id), self.vocab.kind(*id) == Kind::UserDefined);
            if !(special || user_defined) || !text.contains(piece) {
                continue;
            }
            let whole = std::mem::take(&mut parts);
            for part in whole {
                let Part::Text(mut rest) = part else {
                    parts.push(part);
                    continue;
                };
                while let Some(at) = rest.find(piece) {
                    if at > 0 {
                        parts.push(Part::Text(&rest[..at]));
                    }
                    parts.push(Part::Token(*id));
                    rest = &rest[at + piece.len()..];
                }
                if !rest.is_empty() {
                    parts.push(Part::Text(rest));
                }
            }
        }
        parts
    }

    /// The text of `ids`, whole: the inverse of `encode`. SentencePiece's added space before the first word is
    /// dropped; control tokens are nothing; bytes that are not UTF-8 are U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = ids.iter().map(|id| stream.push(*id)).collect();
        text += &stream.finish();
        let adds_space = matches!(&self.model, Model::Spm(spm) if spm.adds_space());
        if adds_space && text.starts_with(' ') {
            text.remove(0);
        }
        text
    }

    /// Decodes token by token, as they are generated. Text continues what went before, so a first space stays
    /// ("The cat" goes on " sat"); llama.cpp prints it too.
    pub fn stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// Appends a token's bytes as text: words with their space, single bytes, nothing for control tokens and for ids
    /// past the vocabulary (a model's output layer may be padded).
    pub(crate) fn append(&self, id: u32, out: &mut Vec<u8>) {
        if !self.vocab.contains(id) {
            return;
        }
        let piece = self.vocab.piece(id);
        match (self.vocab.kind(id), &self.model) {
            (Kind::Control | Kind::Unknown | Kind::Unused, _) => {}
            (Kind::UserDefined, _) => out.extend(piece.bytes()),
            (Kind::Byte(byte), _) => out.push(byte),
            (Kind::Normal, Model::Spm(_)) => spm::append_text(piece, out),
            #[cfg(feature = "byte-level")]
            (Kind::Normal, Model::ByteLevel(_)) => byte_level::append_text(piece, out),
        }
    }

    /// The token to begin with, where the model has one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether prompts begin with BOS. The caller adds it.
    pub fn add_bos(&self) -> bool {
        self.add_bos && self.bos.is_some()
    }

    /// Whether generation ends at this token.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    pub fn vocab_size(&self) -> usize {
        self.vocab.len()
    }

    /// A token as the vocabulary writes it ("<s>", "▁the"): for chat templates and listings.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.vocab.contains(id).then(|| self.vocab.piece(id))
    }
}

fn unknown_kind(kind: &str, pre: &str) -> Error {
    let byte_level = if cfg!(feature = "byte-level") { ", and gpt2 with pre-tokenizer gpt-2" } else { "" };
    Error::new(
        "tokenizer.kind",
        format!(
            "the vocabulary is of kind {kind} with pre-tokenizer {pre}; this version reads llama (SentencePiece){byte_level}"
        ),
        "use a model with a SentencePiece vocabulary, such as Llama 2, TinyLlama or Lantern's own",
    )
}
