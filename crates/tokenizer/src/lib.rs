//! Text to token ids and back, by the vocabulary in a GGUF file's metadata.
//!
//! Two kinds of vocabulary are read: `llama` (SentencePiece BPE, spm.rs) and `gpt2` (byte-level BPE, byte_level.rs, its
//! text cut into words by the rule that the file names, rule.rs); others are refused by name. The measure is llama.cpp:
//! the same ids for the same text, the same text for the same ids.
//!
//! What the caller adds is the caller's: `encode` never adds BOS or EOS.

#[cfg(feature = "byte-level")]
mod byte_level;
#[cfg(feature = "byte-level")]
mod clip;
#[cfg(feature = "byte-level")]
mod rule;
#[cfg(all(test, feature = "byte-level"))]
mod rule_tests;
mod special;
#[cfg(feature = "byte-level")]
mod split;
mod spm;
mod stream;
mod vocab;

#[cfg(feature = "byte-level")]
pub use clip::ClipTokenizer;
pub use stream::DecodeStream;

use lantern_graph::{Error, Result};
use lantern_weights::{Metadata, Value, passed_over};
use special::{Literals, Part};
use std::collections::BTreeSet;
use std::ops::Range;
use vocab::{Kind, Vocab};

/// A model's vocabulary and the rules that split text into it.
pub struct Tokenizer {
    vocab: Vocab,
    model: Model,
    literals: Literals,
    bos: Option<u32>,
    eos: Option<u32>,
    ends: Vec<u32>,
    add_bos: bool,
    add_eos: bool,
    notices: Vec<Error>,
}

enum Model {
    Spm(Box<spm::Spm>),
    #[cfg(feature = "byte-level")]
    ByteLevel(Box<byte_level::ByteLevel>),
}

impl Tokenizer {
    /// Reads `tokenizer.ggml.*`, and what in the chat template and `general.name` says how to take it. What a vocabulary can do
    /// without is passed over where it cannot be used, as llama.cpp does: see [`notices`](Self::notices).
    ///
    /// # Errors
    /// `tokenizer.kind` for a vocabulary of another kind; `gguf.metadata` for a key that is missing or of the wrong type;
    /// `tokenizer.vocab` for a vocabulary that cannot work.
    pub fn from_gguf(meta: &Metadata) -> Result<Self> {
        let kind = meta.str("tokenizer.ggml.model")?;
        let spm = match kind {
            "llama" => true,
            "gpt2" if cfg!(feature = "byte-level") => false,
            _ => return Err(unknown_kind(kind)),
        };
        let mut notices = Vec::new();
        let mut vocab = Vocab::read(meta, !spm, &mut notices)?;
        // SentencePiece files may leave these out; their numbers are then those every such model has.
        let (default_bos, default_eos) = if spm { (Some(1), Some(2)) } else { (None, None) };
        let mut ids = |key: &str, default: Option<u32>| -> Vec<u32> {
            let named = token_ids(meta, &vocab, key, &mut notices);
            let default = default.filter(|id| named.is_empty() && vocab.contains(*id));
            named.into_iter().chain(default).collect()
        };
        let bos = ids("tokenizer.ggml.bos_token_id", default_bos).first().copied();
        let mut ends = ids("tokenizer.ggml.eos_token_id", default_eos);
        let eos = ends.first().copied();
        for key in ["eot", "eom", "fim_pad", "fim_rep", "fim_sep"] {
            ends.extend(ids(&format!("tokenizer.ggml.{key}_token_id"), None));
        }
        ends.extend(ids("tokenizer.ggml.eos_token_ids", None));
        ends.extend(ids("tokenizer.ggml.eog_token_ids", None));
        let unknown = ids("tokenizer.ggml.unknown_token_id", spm.then_some(0)).first().copied();
        // Not used here, but told of.
        for key in
            ["seperator", "padding", "mask", "cls", "fim_pre", "fim_suf", "fim_mid", "prefix", "suffix", "middle"]
        {
            ids(&format!("tokenizer.ggml.{key}_token_id"), None);
        }
        // A file without token types has not said which are control tokens: the ones it names by id are.
        if !vocab.typed() {
            for id in bos.iter().chain(&ends) {
                vocab.make_control(*id);
            }
        }
        let ends = special::ends(meta, &mut vocab, &ends);
        let literals = Literals::read(meta, &vocab);
        let (model, adds_bos) = Self::model(meta, &mut vocab, &literals, (spm, unknown), &mut notices)?;
        let mut flag = |key: &str| meta.optional(key, "true or false", Value::as_bool, &mut notices);
        Ok(Self {
            add_bos: flag("tokenizer.ggml.add_bos_token").unwrap_or(adds_bos),
            add_eos: flag("tokenizer.ggml.add_eos_token").unwrap_or(false),
            vocab,
            model,
            literals,
            bos,
            eos,
            ends,
            notices,
        })
    }

    /// How text becomes pieces, of SentencePiece with the token for what has none; whether prompts begin with BOS where the file does not say.
    fn model(
        meta: &Metadata,
        vocab: &mut Vocab,
        literals: &Literals,
        (spm, unknown): (bool, Option<u32>),
        notices: &mut Vec<Error>,
    ) -> Result<(Model, bool)> {
        #[cfg(feature = "byte-level")]
        if !spm {
            let name = meta.optional("tokenizer.ggml.pre", "a text", Value::as_str, notices);
            let named = rule::Named::from_name(name);
            let model = byte_level::ByteLevel::read(meta, vocab, literals, &named, notices)?;
            notices.extend(named.notice);
            return Ok((Model::ByteLevel(Box::new(model)), named.adds_bos));
        }
        debug_assert!(spm, "there is no other kind");
        let spm = spm::Spm::read(meta, vocab, unknown, notices);
        vocab.index(|id| literals.is_guarded(id));
        Ok((Model::Spm(Box::new(spm)), true))
    }

    /// The ids of `text`, none for no text.
    ///
    /// `special`: control tokens written in the text (`<s>`, `<|im_end|>`) become those tokens; otherwise they are
    /// text like any other, which is what a visitor's own words must be. User-defined tokens are text that is never
    /// split, and count in both cases (as in llama.cpp and SentencePiece), unless they open or close a turn.
    ///
    /// # Errors
    /// `tokenizer.vocab` for text that the vocabulary cannot spell; `tokenizer.encode`.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let whole = 0..text.len();
        self.encode_around(text, if special { &[] } else { std::slice::from_ref(&whole) })
    }

    /// The ids of a prompt with a visitor's words in it: `typed` are the bytes of `text` that are theirs, in order and
    /// apart. What is theirs, and what is half theirs, becomes no control token; the rest of the text may.
    ///
    /// # Errors
    /// As `encode`.
    pub fn encode_around(&self, text: &str, typed: &[Range<usize>]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        // SentencePiece puts its space before the first piece of text, and before the first after a special token.
        let mut at_start = true;
        #[cfg(feature = "byte-level")]
        let mut scratch = None;
        for part in self.literals.parts(&self.vocab, text, typed) {
            match &part {
                Part::Token(id) => ids.push(*id),
                Part::Text(range) => match &self.model {
                    Model::Spm(spm) => spm.encode(&self.vocab, &text[range.clone()], at_start, &mut ids)?,
                    #[cfg(feature = "byte-level")]
                    Model::ByteLevel(model) => {
                        let scratch = scratch.get_or_insert_with(|| model.scratch());
                        model.encode(&text[range.clone()], scratch, &mut ids)?;
                    }
                },
            }
            at_start = matches!(part, Part::Token(_));
        }
        Ok(ids)
    }

    /// Whether only the one who writes the prompt may use this token: control tokens, and what opens or closes a turn.
    pub fn is_guarded(&self, id: u32) -> bool {
        self.literals.is_guarded(id)
    }

    /// The guarded token of exactly this text.
    pub fn guarded(&self, text: &str) -> Option<u32> {
        self.literals.find(&self.vocab, text)
    }

    /// What a visitor should know of how this vocabulary was read: `tokenizer.pre` when the file's rule for cutting text
    /// is not known and the nearest one stands in, `gguf.skipped` for entries that cannot be used. Nothing fails by it.
    pub fn notices(&self) -> &[Error] {
        &self.notices
    }

    /// What a visitor should know of how `text` reads to the model: `tokenizer.spelling` where the vocabulary lacks some of its
    /// characters, which then become an unknown token, or nothing. Nothing fails by it.
    ///
    /// # Errors
    /// As `encode`.
    pub fn notice_of(&self, text: &str) -> Result<Option<Error>> {
        let mut lacking = String::new();
        for character in text.chars().collect::<BTreeSet<char>>() {
            let alone = character.to_string();
            if self.decode(&self.encode(&alone, false)?) != alone {
                lacking.push(character);
            }
        }
        let count = lacking.chars().count();
        if count == 0 {
            return Ok(None);
        }
        let some: String = lacking.chars().take(LACKING_SHOWN).collect();
        let more = if count > LACKING_SHOWN { " and others" } else { "" };
        let cause =
            format!("the vocabulary lacks characters of the text, so the model does not see them: {some:?}{more}");
        Ok(Some(Error::new("tokenizer.spelling", cause, "write them in another way, or use a model that knows them")))
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

    /// Whether texts end with EOS when the model learns them. A prompt to be continued does not.
    pub fn add_eos(&self) -> bool {
        self.add_eos && self.eos.is_some()
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

/// Characters that a notice names.
const LACKING_SHOWN: usize = 16;

/// The tokens that an entry names: one, or a list. Those that the vocabulary lacks (-1 among them, which says that there is
/// none) are left out.
fn token_ids(meta: &Metadata, vocab: &Vocab, key: &str, notices: &mut Vec<Error>) -> Vec<u32> {
    let listed = meta.get(key).map(Value::as_list).unwrap_or_default();
    let known = |value: &Value| value.as_u32().filter(|id| vocab.contains(*id));
    if let Some(odd) = listed.iter().find(|value| known(value).is_none()) {
        let why = match odd.as_i64() {
            Some(id) => format!("it names the token {id}, and the vocabulary has {} tokens", vocab.len()),
            None => "it is no token's number".into(),
        };
        notices.push(passed_over(key, &why));
    }
    listed.iter().filter_map(known).collect()
}

fn unknown_kind(kind: &str) -> Error {
    let byte_level = if cfg!(feature = "byte-level") { " and gpt2 (byte-level BPE)" } else { "" };
    Error::new(
        "tokenizer.kind",
        format!("the vocabulary is of kind {kind}; this version reads llama (SentencePiece){byte_level}"),
        "use a model of the Llama family: Llama, TinyLlama, SmolLM2, Mistral or Lantern's own",
    )
}
