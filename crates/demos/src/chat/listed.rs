//! A chat's model as a list of models describes it: the numbers from which all that it takes follows, before a byte is fetched.

use std::collections::BTreeSet;

use lantern_graph::{Error, Result};
use lantern_models::llama::{Config, Rope};
use serde::Deserialize;

use super::LoadOptions;
use super::needs::needs;
use crate::models::{Needs, Processor};

/// A Llama in a GGUF file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What the matrices are stored as, as such files are named: `Q8_0`, `Q4_K_M`.
    #[serde(rename = "type")]
    pub kind: String,
    /// It has been taught to answer; otherwise it carries texts on.
    pub converses: bool,
    pub vocab: usize,
    pub hidden: usize,
    pub feed_forward: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions it was trained for.
    pub context: usize,
    /// The output projection is the embedding table.
    pub tied: bool,
}

impl Listed {
    /// What the executors are told of it. Rotary base and norms' epsilon cost no memory: any will do.
    ///
    /// # Errors
    /// `llama.config`.
    pub fn config(&self, options: &LoadOptions) -> Result<Config> {
        let config = Config {
            vocab_size: self.vocab,
            hidden_size: self.hidden,
            feed_forward_length: self.feed_forward,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            rope: Rope::plain(10_000.0),
            attention_scale: None,
            sliding_window: None,
            rms_eps: 1e-5,
            context_length: self.context.min(options.context_length),
            tied: self.tied,
            biases: BTreeSet::new(),
            kv_f16: options.kv_f16,
        };
        config.validate()?;
        Ok(config)
    }

    /// Weights, norms among them.
    pub fn parameters(&self) -> u64 {
        let (hidden, heads, kv) = (self.hidden as u64, self.heads as u64, self.kv_heads as u64);
        let attention = hidden * self.head_dim as u64 * (2 * heads + 2 * kv);
        let block = attention + 3 * hidden * self.feed_forward as u64 + 2 * hidden;
        let tables = if self.tied { 1 } else { 2 } * self.vocab as u64 * hidden;
        tables + self.layers as u64 * block + hidden
    }

    /// Bytes of all weights on an executor. The processor keeps them as the file does.
    ///
    /// # Errors
    /// `catalogue.damaged` for a type that this version cannot weigh.
    pub fn weight_bytes(&self, processor: Processor) -> Result<u64> {
        let mixture = mixture(&self.kind, self.hidden, processor).ok_or_else(|| {
            let cause = format!("this version cannot weigh {:?}", self.kind);
            Error::new("catalogue.damaged", cause, "name a type such as Q8_0 or Q4_K_M")
        })?;
        let (hidden, layers) = (self.hidden as u64, self.layers as u64);
        let table = self.vocab as u64 * hidden;
        let finer = layers * hidden * (self.kv_heads * self.head_dim + self.feed_forward) as u64;
        let rest = self.parameters() - table - finer;
        let bits = table as f64 * mixture.output + finer as f64 * mixture.values_and_down + rest as f64 * mixture.rest;
        Ok((bits / 8.0) as u64)
    }

    /// Of a conversation with it, as a page loads it.
    ///
    /// # Errors
    /// As [`Listed::config`] and [`Listed::weight_bytes`].
    pub fn needs(&self, processor: Processor) -> Result<Needs> {
        let options = LoadOptions::default();
        Ok(needs(&self.config(&options)?, self.weight_bytes(processor)?, &options, processor))
    }
}

/// Bits of a weight in a file.
struct Mixture {
    /// The output projection, or the embedding table that takes its place.
    output: f64,
    /// The value and down projections, of which `_M` mixtures keep about half in Q6_K.
    values_and_down: f64,
    rest: f64,
}

/// By the name that such files are given (llama.cpp's `quantize`). `hidden`: the length of the output projection's rows.
fn mixture(kind: &str, hidden: usize, processor: Processor) -> Option<Mixture> {
    // A group's scale (and minimum) are halves on the GPU, and a few bits in the file's super-blocks.
    let (q4_k, q5_k, q6_k) = match processor {
        Processor::Cpu => (4.5, 5.5, 6.5625),
        Processor::Gpu => (5.0, 6.0, 7.0),
    };
    // Rows that are no whole super-blocks of 256 get Q8_0 in its place.
    let output = if hidden.is_multiple_of(256) { q6_k } else { 8.5 };
    let mixed = |rest, values_and_down| Mixture { output, values_and_down, rest };
    let whole = |bits| Mixture { output: bits, values_and_down: bits, rest: bits };
    Some(match kind {
        "F32" => whole(32.0),
        "F16" | "BF16" => whole(16.0),
        "Q8_0" => whole(8.5),
        "Q6_K" => whole(q6_k),
        "Q5_K_M" => mixed(q5_k, (q5_k + q6_k) / 2.0),
        "Q4_K_M" => mixed(q4_k, (q4_k + q6_k) / 2.0),
        "Q4_0" => mixed(4.5, 4.5),
        "Q4_1" => mixed(5.0, 5.0),
        _ => return None,
    })
}
