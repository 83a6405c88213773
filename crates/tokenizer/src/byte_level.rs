//! GPT-2's byte-level BPE, through the `tokenizers` crate: its pre-tokenizer cuts the text by GPT-2's pattern, its
//! merge engine applies the file's merge list to each cut's bytes.
//!
//! The vocabulary writes bytes as printable characters ("Ġ" is a space); single ones may be half a character.

use crate::vocab::{Kind, Vocab, unusable};
use lantern_graph::{Error, Result};
use lantern_weights::Metadata;
use std::collections::{BTreeMap, HashSet};
use tokenizers::models::bpe::{BpeConfig, PipelineBPE};
use tokenizers::pipeline::{
    EncodeOptions, PipelineModel, PipelinePostProcessor, PipelinePreTokenizer, PipelineTokenizer,
};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::utils::byte_level::{GPT2_REGEX_STR, char_to_byte};
use tokenizers::vocab::bucket_added_vocabulary::AddedVocabulary;

pub(crate) struct ByteLevel {
    pipeline: PipelineTokenizer,
}

impl ByteLevel {
    pub fn read(meta: &Metadata, vocab: &Vocab) -> Result<Self> {
        // Only text goes to the crate, and only what is written in the byte alphabet: what it is given, it trusts.
        let is_text = |id: &u32| {
            let piece = vocab.piece(*id);
            vocab.kind(*id) == Kind::Normal && !piece.is_empty() && piece.chars().all(|c| char_to_byte(c).is_some())
        };
        let pieces: HashSet<&str> = vocab.ids().filter(is_text).map(|id| vocab.piece(id)).collect();
        let mut merges = Vec::new();
        for merge in meta.strings("tokenizer.ggml.merges")? {
            let Some((left, right)) = merge.split_once(' ') else {
                return Err(unusable(format!("the merge {merge:?} is not two pieces")));
            };
            let whole = format!("{left}{right}");
            if let Some(missing) = [left, right, &whole].into_iter().find(|piece| !pieces.contains(piece)) {
                return Err(unusable(format!("the merge {merge:?} needs {missing:?}, which is not in it")));
            }
            merges.push((left.to_owned(), right.to_owned()));
        }
        let config = BpeConfig {
            vocab: vocab.ids().filter(is_text).map(|id| (vocab.piece(id).to_owned(), id)).collect(),
            merges,
            byte_level: true,
            ..BpeConfig::default()
        };
        let model = PipelineBPE::from_config(config).map_err(|e| unusable(e.to_string()))?;
        let pattern = SplitPattern::Regex(GPT2_REGEX_STR.to_owned());
        let split = Split::native(pattern, tokenizers::SplitDelimiterBehavior::Isolated, false)
            .map_err(|e| unusable(e.to_string()))?;
        Ok(Self {
            pipeline: PipelineTokenizer::from_parts(
                AddedVocabulary::new(),
                Vec::new(),
                PipelinePreTokenizer::Split(split),
                PipelineModel::BPE(model),
                PipelinePostProcessor::default(),
                None,
                BTreeMap::new(),
                None,
                None,
            ),
        })
    }

    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let mut tokens = Vec::new();
        self.pipeline.encode_into(text, &EncodeOptions::no_specials(), &mut tokens).map_err(|e| {
            Error::new("tokenizer.encode", format!("the text cannot be encoded: {e}"), "try a shorter or plainer text")
        })?;
        ids.extend(tokens.iter().map(|token| token.id()));
        Ok(())
    }
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
