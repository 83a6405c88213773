//! Llama: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", arXiv 2302.13971.
//!
//! A pre-norm decoder. Each block adds attention, then a gated feed-forward, to the residual stream:
//! - root mean square norms before both (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", arXiv 1910.07467);
//! - rotary positions on queries and keys (Su et al. 2021, "RoFormer", arXiv 2104.09864);
//! - groups of query heads that share one key and value head (Ainslie et al. 2023, "GQA", arXiv 2305.13245);
//! - a feed-forward of `down(silu(gate(x)) · up(x))` (Shazeer 2020, "GLU Variants Improve Transformer", arXiv 2002.05202).
//!
//! Weights carry the names GGUF gives them and are stored `[out, in]`. Query and key rows are in the order of GGUF's
//! "llama" architecture: the two numbers that turn together stand side by side.
//!
//! There are three graphs over the same weights and the same states. [`decode`] takes one token, [`prefill`] up to a chunk
//! of them. Both append to the caches `k.{block}` and `v.{block}` at `past`, see `kv_len = past + rows` positions, and
//! give the logits of their last row alone: no sampler asks for the others. These stay in a state for [`crate::sampling`].
//! [`score`] runs a text that is there already, and says how likely each of its tokens was.

use std::collections::BTreeSet;

use lantern_graph::{Attention, DType, Dim, Error, Graph, Index, Mask, NodeId, Result, StateOptions, Symbol};

use crate::Parameters;
use crate::nn;
pub use crate::rope::{Rope, Scaling, Yarn};
use crate::sampling::LOGITS;

/// The numbers that make one Llama differ from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub vocab_size: usize,
    /// Width of the residual stream ("embedding length" in GGUF).
    pub hidden_size: usize,
    pub feed_forward_length: usize,
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rope: Rope,
    /// What scores are multiplied by; `None`: 1 / √head_dim.
    pub attention_scale: Option<f32>,
    /// Positions a query sees, its own included; `None`: all before it.
    pub sliding_window: Option<usize>,
    pub rms_eps: f32,
    /// Positions the caches can hold.
    pub context_length: usize,
    /// The output projection is the embedding table.
    pub tied: bool,
    /// The biases there are of `blk.{i}.{attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down}.bias`.
    pub biases: BTreeSet<String>,
    /// Keys and values are kept as halves, else as f32.
    pub kv_f16: bool,
}

const EMBEDDING: &str = "token_embd";
/// Bytes of one cache of one block. A larger one is a mistake or a context nobody has memory for.
const MAX_CACHE_BYTES: u64 = 1 << 30;
/// Elements of one matrix, so that no product of two sizes overflows anywhere.
const MAX_ELEMENTS: u64 = 1 << 31;

impl Config {
    /// # Errors
    /// `llama.config` naming the number that cannot be.
    pub fn validate(&self) -> Result<()> {
        let bad = |cause: String| {
            Err(Error::new("llama.config", cause, "use a Llama file that another program can run, or convert it again"))
        };
        let sizes = [
            ("vocabulary size", self.vocab_size, 1 << 22),
            ("embedding length", self.hidden_size, 1 << 17),
            ("feed-forward length", self.feed_forward_length, 1 << 19),
            ("number of blocks", self.layers, 1 << 10),
            ("number of heads", self.heads, 1 << 12),
            ("number of key and value heads", self.kv_heads, 1 << 12),
            ("head dimension", self.head_dim, 1 << 12),
            ("context length", self.context_length, 1 << 24),
        ];
        if let Some((name, size, most)) = sizes.iter().find(|(_, size, most)| *size == 0 || size > most) {
            return bad(format!("the {name} is {size}, outside 1 to {most}"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return bad(format!("{} heads do not share {} key and value heads evenly", self.heads, self.kv_heads));
        }
        if !self.head_dim.is_multiple_of(2) {
            return bad(format!("the head dimension {} is odd: rotary positions turn pairs", self.head_dim));
        }
        self.rope.validate()?;
        if let Some(scale) = self.attention_scale.filter(|scale| !(scale.is_finite() && *scale > 0.0)) {
            return bad(format!("scores are scaled by {scale}"));
        }
        if let Some(window) = self.sliding_window.filter(|window| *window == 0 || *window > 1 << 24) {
            return bad(format!("attention slides over {window} positions, outside 1 to {}", 1 << 24));
        }
        if !(self.rms_eps.is_finite() && self.rms_eps >= 0.0) {
            return bad(format!("the norms' epsilon is {}", self.rms_eps));
        }
        let hidden = self.hidden_size as u64;
        let widest = self.vocab_size.max(self.feed_forward_length).max(self.heads * self.head_dim) as u64;
        if widest * hidden > MAX_ELEMENTS {
            return bad(format!("a matrix of {widest} × {hidden} is larger than this version computes with"));
        }
        let cache = self.context_length as u64 * self.kv_row_bytes();
        if cache > MAX_CACHE_BYTES {
            return Err(Error::new(
                "llama.context",
                format!("{} positions need {} MiB for one cache of one block", self.context_length, cache >> 20),
                "use a shorter context",
            ));
        }
        Ok(())
    }

    /// Bytes of all key and value caches with `kv_len` positions in them.
    pub fn kv_bytes(&self, kv_len: usize) -> u64 {
        2 * (self.layers * kv_len) as u64 * self.kv_row_bytes()
    }

    /// Positions that one decode step reads of `kv_len`.
    pub fn seen(&self, kv_len: usize) -> usize {
        self.sliding_window.map_or(kv_len, |window| kv_len.min(window))
    }

    /// Of one position in one cache of one block.
    fn kv_row_bytes(&self) -> u64 {
        (self.kv_heads * self.head_dim) as u64 * if self.kv_f16 { 2 } else { 4 }
    }
}

/// One token in, one out.
///
/// Input `ids` u32 `[1]`; symbols `past`, `kv_len` (= past + 1). Outputs `logits` `[1, vocab_size]` and `next` u32 `[1]`,
/// their argmax.
///
/// # Errors
/// `llama.config`; `graph.shape` where rows are not whole blocks of their type.
pub fn decode(config: &Config, params: &Parameters) -> Result<Graph> {
    let (mut g, x) = build(config, params, None)?;
    logits(&mut g, config, params, x)?;
    Ok(g)
}

/// Up to `chunk` tokens in, one out.
///
/// Input `ids` u32 `[rows]`; symbols `past`, `kv_len` (= past + rows), `rows` (≤ chunk), `last` (= rows − 1). Outputs as
/// [`decode`]'s, for the last row.
///
/// # Errors
/// As [`decode`]'s.
pub fn prefill(config: &Config, params: &Parameters, chunk: usize) -> Result<Graph> {
    let (mut g, x) = build(config, params, Some(chunk))?;
    g.scope("output");
    let last = Index::Symbol(g.symbol("last", chunk - 1));
    let x = g.slice(x, 0, last, 1)?;
    logits(&mut g, config, params, x)?;
    Ok(g)
}

/// How unlikely each of up to `chunk` next tokens is.
///
/// Inputs `ids` u32 `[rows]`, `targets` f32 `[rows, 1]`: for each row the number of the token that follows; symbols `past`,
/// `kv_len` (= past + rows), `rows` (≤ chunk). Output `nll` `[rows, 1]`: −ln p(target), in nats.
///
/// # Errors
/// As [`decode`]'s.
pub fn score(config: &Config, params: &Parameters, chunk: usize) -> Result<Graph> {
    let (mut g, x) = build(config, params, Some(chunk))?;
    let logits = head(&mut g, config, params, x)?;
    let rows = g.shape(logits).0[0];
    let targets = g.input("targets", [rows, Dim::Fixed(1)], DType::F32);
    let nll = nn::negative_log_likelihood(&mut g, logits, targets)?;
    g.output("nll", nll);
    Ok(g)
}

/// What the model learns from: `rows` tokens from the beginning of a text, and what follows each.
///
/// Inputs `ids` u32 `[rows]`, `targets` f32 `[rows, 1]` as [`score`]'s. Output `loss` `[1, 1]`: the mean of −ln p(target), in
/// nats. There are no caches, since a write has no derivative: keys and values are used as they come. For
/// [`crate::adam::adam`], with `params.nodes`.
///
/// # Errors
/// `llama.config`; `graph.shape` as [`decode`]'s.
pub fn learn(config: &Config, params: &Parameters, rows: usize) -> Result<Graph> {
    config.validate()?;
    if rows == 0 || rows > config.context_length {
        let cause = format!("{rows} rows to learn from, outside 1 to {}", config.context_length);
        return Err(Error::new("llama.config", cause, "use as many as the context has, or fewer"));
    }
    let mut g = Graph::new();
    let x = blocks(&mut g, config, params, Rows { past: Index::Fixed(0), kv_len: None, rows: rows.into() })?;
    let logits = head(&mut g, config, params, x)?;
    let targets = g.input("targets", [rows, 1], DType::F32);
    let loss = nn::cross_entropy(&mut g, logits, targets)?;
    g.output("loss", loss);
    Ok(g)
}

/// The model in parts, whose weights may change while it runs: what [`block`]s take, of up to `chunk` tokens.
///
/// Input `ids` u32 `[rows]`; symbols as [`score`]'s. Output `x` `[rows, hidden_size]`: the residual stream before the first block.
///
/// # Errors
/// As [`decode`]'s.
pub fn embed(config: &Config, params: &Parameters, chunk: usize) -> Result<Graph> {
    let (mut g, rows) = begin(config, Some(chunk))?;
    let x = embedding(&mut g, config, params, rows.rows)?;
    g.output("x", x);
    Ok(g)
}

/// Block `i` alone, of up to `chunk` tokens.
///
/// Input `x` f32 `[rows, hidden_size]`, the residual stream before it; symbols as [`score`]'s. Output `x`, the stream behind it.
///
/// # Errors
/// As [`decode`]'s.
pub fn block(config: &Config, params: &Parameters, i: usize, chunk: usize) -> Result<Graph> {
    let (mut g, rows) = begin(config, Some(chunk))?;
    let x = g.input("x", [rows.rows, config.hidden_size.into()], DType::F32);
    let positions = positions(&mut g, config, rows)?;
    let x = Block { config, params, i, positions: &positions }.forward(&mut g, x)?;
    g.output("x", x);
    Ok(g)
}

/// The embedding and the blocks: the residual stream `[rows, hidden_size]` of one token, or of up to `chunk`.
fn build(config: &Config, params: &Parameters, chunk: Option<usize>) -> Result<(Graph, NodeId)> {
    let (mut g, rows) = begin(config, chunk)?;
    let x = blocks(&mut g, config, params, rows)?;
    Ok((g, x))
}

fn blocks(g: &mut Graph, config: &Config, params: &Parameters, rows: Rows) -> Result<NodeId> {
    let mut x = embedding(g, config, params, rows.rows)?;
    let positions = positions(g, config, rows)?;
    for i in 0..config.layers {
        x = Block { config, params, i, positions: &positions }.forward(g, x)?;
    }
    Ok(x)
}

/// A graph with the symbols of its rows: of one token, or of up to `chunk`.
fn begin(config: &Config, chunk: Option<usize>) -> Result<(Graph, Rows)> {
    config.validate()?;
    if chunk == Some(0) {
        return Err(Error::new("llama.config", "a chunk of 0 rows", "use at least 1"));
    }
    let mut g = Graph::new();
    let past = Index::Symbol(g.symbol("past", config.context_length));
    let kv_len = g.symbol("kv_len", config.context_length);
    let rows = match chunk {
        Some(chunk) => g.symbol("rows", chunk).into(),
        None => Dim::Fixed(1),
    };
    Ok((g, Rows { past, kv_len: Some(kv_len), rows }))
}

/// `ids` u32 `[rows]` → `[rows, hidden_size]`.
fn embedding(g: &mut Graph, config: &Config, params: &Parameters, rows: Dim) -> Result<NodeId> {
    g.scope("embed");
    let ids = g.input("ids", [rows], DType::U32);
    nn::embedding(g, params, ids, EMBEDDING, [config.vocab_size, config.hidden_size])
}

fn positions(g: &mut Graph, config: &Config, rows: Rows) -> Result<Positions> {
    g.scope("rope");
    let half = config.head_dim / 2;
    let mut frequencies = g.constant([half, 1], &config.rope.frequencies(config.head_dim))?;
    if config.rope.factors {
        let factors = g.weight("rope_freqs.weight", &[half], DType::F32)?;
        let factors = g.reshape(factors, [half, 1])?;
        frequencies = g.div(frequencies, factors)?;
    }
    let Rows { past, kv_len, rows } = rows;
    Ok(Positions { past, kv_len, rows, frequencies })
}

/// x `[rows, hidden_size]` → logits `[rows, vocab_size]`.
fn head(g: &mut Graph, config: &Config, params: &Parameters, x: NodeId) -> Result<NodeId> {
    g.scope("output");
    let norm = params.vector(g, "output_norm.weight", config.hidden_size)?;
    let x = nn::rms_norm(g, x, norm, config.rms_eps)?;
    let name = if config.tied { EMBEDDING } else { "output" };
    nn::linear(g, params, x, name, config.vocab_size, false)
}

/// The outputs that samplers read, of one row.
fn logits(g: &mut Graph, config: &Config, params: &Parameters, x: NodeId) -> Result<()> {
    let logits = head(g, config, params, x)?;
    let next = g.argmax(logits)?;
    // Kept where a sampler's plan finds them.
    let kept = g.state(LOGITS, &[1, config.vocab_size])?;
    let kept = g.assign(kept, logits)?;
    g.output("logits", kept);
    g.output("next", next);
    Ok(())
}

struct Rows {
    /// Where the first row stands.
    past: Index,
    /// What the caches hold with these rows; `None`: there are no caches.
    kv_len: Option<Symbol>,
    rows: Dim,
}

struct Positions {
    /// Where the first row stands.
    past: Index,
    /// What the caches hold with these rows; `None`: there are no caches.
    kv_len: Option<Symbol>,
    rows: Dim,
    frequencies: NodeId,
}

struct Block<'a> {
    config: &'a Config,
    params: &'a Parameters<'a>,
    i: usize,
    positions: &'a Positions,
}

impl Block<'_> {
    /// x `[rows, hidden_size]` → the same.
    fn forward(&self, g: &mut Graph, x: NodeId) -> Result<NodeId> {
        g.scope(&format!("blk.{}.attention", self.i));
        let normed = self.norm(g, "attn_norm", x)?;
        let heads = self.attention(g, normed)?;
        let attended = self.linear(g, "attn_output", heads, self.config.hidden_size)?;
        let x = g.add(x, attended)?;

        g.scope(&format!("blk.{}.feed_forward", self.i));
        let normed = self.norm(g, "ffn_norm", x)?;
        let gate = self.linear(g, "ffn_gate", normed, self.config.feed_forward_length)?;
        let up = self.linear(g, "ffn_up", normed, self.config.feed_forward_length)?;
        let hidden = nn::swiglu(g, gate, up)?;
        let down = self.linear(g, "ffn_down", hidden, self.config.hidden_size)?;
        g.add(x, down)
    }

    /// Attention before its output projection: `[rows, heads · head_dim]`.
    fn attention(&self, g: &mut Graph, x: NodeId) -> Result<NodeId> {
        let Config { heads, kv_heads, head_dim, .. } = *self.config;
        let Positions { past, rows, frequencies, .. } = *self.positions;
        let query_shape = [rows, Dim::Fixed(heads), Dim::Fixed(head_dim)];
        let key_shape = [rows, Dim::Fixed(kv_heads), Dim::Fixed(head_dim)];

        let q = self.linear(g, "attn_q", x, heads * head_dim)?;
        let k = self.linear(g, "attn_k", x, kv_heads * head_dim)?;
        let v = self.linear(g, "attn_v", x, kv_heads * head_dim)?;
        let (q, k, v) = (g.reshape(q, query_shape)?, g.reshape(k, key_shape)?, g.reshape(v, key_shape)?);
        let q = nn::rope(g, q, frequencies, past)?;
        let k = nn::rope(g, k, frequencies, past)?;

        let (keys, values) = (self.cached(g, "k", k)?, self.cached(g, "v", v)?);
        let groups = [rows, Dim::Fixed(kv_heads), Dim::Fixed(heads / kv_heads), Dim::Fixed(head_dim)];
        let q = g.reshape(q, groups)?;
        let scale = self.config.attention_scale.unwrap_or(1.0 / (head_dim as f32).sqrt());
        let scale = scale * self.config.rope.score_scale();
        let mask = match self.config.sliding_window.filter(|window| *window < self.config.context_length) {
            Some(size) => Mask::Window { start: past, size },
            None => Mask::Causal { start: past },
        };
        let mixed = g.attention(q, keys, values, &Attention { scale, mask })?;
        g.reshape(mixed, [rows, Dim::Fixed(heads * head_dim)])
    }

    /// Appends `[rows, kv_heads, head_dim]` to a cache; gives all it then holds, `[kv_len, kv_heads, head_dim]`. Without a cache
    /// that is what came.
    fn cached(&self, g: &mut Graph, name: &str, fresh: NodeId) -> Result<NodeId> {
        let Some(kv_len) = self.positions.kv_len else { return Ok(fresh) };
        let Config { context_length, kv_heads, head_dim, kv_f16, .. } = *self.config;
        let storage = if kv_f16 { DType::F16 } else { DType::F32 };
        let shape = [context_length, kv_heads, head_dim];
        let cache = g.state_with(&format!("{name}.{}", self.i), &shape, StateOptions { storage, growing: true })?;
        let cache = g.write(cache, fresh, self.positions.past)?;
        g.slice(cache, 0, Index::Fixed(0), kv_len)
    }

    fn norm(&self, g: &mut Graph, name: &str, x: NodeId) -> Result<NodeId> {
        let weight = self.params.vector(g, &format!("blk.{}.{name}.weight", self.i), self.config.hidden_size)?;
        nn::rms_norm(g, x, weight, self.config.rms_eps)
    }

    fn linear(&self, g: &mut Graph, name: &str, x: NodeId, out: usize) -> Result<NodeId> {
        let name = format!("blk.{}.{name}", self.i);
        let bias = self.config.biases.contains(&format!("{name}.bias"));
        nn::linear(g, self.params, x, &name, out, bias)
    }
}
