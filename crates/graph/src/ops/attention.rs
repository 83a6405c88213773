//! Attention: queries that mix the values of the keys they see.

use super::{Back, Gradients, shape_error};
use crate::shape::Dim;
use crate::{Binary, DType, Graph, Index, NodeId, Op, Reduction, Result, Unary};

/// Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762) with grouped queries (Ainslie et al. 2023, "GQA",
/// arXiv 2305.13245).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// What dot products are multiplied by; 1 / √head_dim in the paper.
    pub scale: f32,
    pub mask: Mask,
}

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All.
    None,
    /// Query row r stands at position `start + r`, key j at position j; a query sees the keys up to its own position.
    Causal { start: Index },
    /// Of those the last `size`, its own position included (Beltagy et al. 2020, "Longformer", arXiv 2004.05150; Jiang et al.
    /// 2023, "Mistral 7B", arXiv 2310.06825).
    Window { start: Index, size: usize },
}

impl Mask {
    /// Position of query row 0, where positions count.
    pub fn start(self) -> Option<Index> {
        match self {
            Mask::None => None,
            Mask::Causal { start } | Mask::Window { start, .. } => Some(start),
        }
    }

    /// Keys that a query sees at most.
    pub fn window(self) -> Option<usize> {
        match self {
            Mask::None | Mask::Causal { .. } => None,
            Mask::Window { size, .. } => Some(size),
        }
    }

    /// Keys that a query sees at most, of so many.
    pub fn seen(self, keys: usize) -> usize {
        self.window().map_or(keys, |window| window.min(keys))
    }
}

/// Positions are whole numbers in f32 up to there.
const MAX_WINDOW: usize = 1 << 24;

/// Added to the scores of keys that are not seen, where the mask is written out: exp gives exactly 0.
const HIDDEN: f32 = -1e30;

impl Graph {
    /// q `[rows, kv_heads, group, head_dim]`, k and v `[keys, kv_heads, head_dim]` → `[rows, kv_heads, group, head_dim]`:
    /// `softmax(scale · q · kᵀ)` over the keys that the mask lets a row see, times v. A row that sees no key gives zeros.
    pub fn attention(&mut self, q: NodeId, k: NodeId, v: NodeId, attention: &Attention) -> Result<NodeId> {
        for x in [q, k, v] {
            self.want_f32("attention", x)?;
        }
        let (sq, sk, sv) = (self.shape(q), self.shape(k), self.shape(v));
        let fits = match (&sq.0[..], &sk.0[..]) {
            (&[_, q_heads, group, q_dim], &[_, kv_heads, k_dim]) => {
                (q_heads, q_dim) == (kv_heads, k_dim)
                    && [kv_heads, group, q_dim].iter().all(|d| d.fixed().is_some_and(|n| n > 0))
            }
            _ => false,
        };
        if !fits || sk != sv {
            return Err(shape_error("attention", format!("queries {sq}, keys {sk} and values {sv}")));
        }
        if let Some(window) = attention.mask.window().filter(|window| !(1..=MAX_WINDOW).contains(window)) {
            return Err(shape_error("attention", format!("a window of {window} positions, not 1 to {MAX_WINDOW}")));
        }
        let shape = sq.clone();
        Ok(self.push(Op::Attention(*attention), &[q, k, v], shape, DType::F32))
    }
}

/// Two products of every query with the keys it sees at most.
pub(crate) fn flops(g: &Graph, id: NodeId, attention: &Attention) -> u64 {
    let keys = attention.mask.seen(g.shape(g.node(id).inputs[1]).0[0].bound(g));
    4 * g.elements(id) * keys as u64
}

/// The gradients of q, k and v. The weights are computed once more (Dao et al. 2022,
/// "FlashAttention", arXiv 2205.14135, appendix B.4), written out: scores are `[kv_heads, group, rows, keys]`.
pub(crate) fn gradient(g: &mut Graph, at: &Back, attention: &Attention) -> Result<Gradients> {
    let (q, k, v) = (at.inputs[0], at.inputs[1], at.inputs[2]);
    let key_shape = g.shape(k).clone();
    let (one, [keys, kv_heads, head_dim]) = (Dim::Fixed(1), [0, 1, 2].map(|i| key_shape.0[i]));
    // Heads first: queries [kv_heads, group, rows, head_dim], keys [kv_heads, 1, keys, head_dim].
    let by_head = |g: &mut Graph, x: NodeId| g.permute(x, &[1, 2, 0, 3]);
    let by_row = |g: &mut Graph, x: NodeId| g.permute(x, &[2, 0, 1, 3]);
    let keys_by_head = |g: &mut Graph, x: NodeId| {
        let permuted = g.permute(x, &[1, 0, 2])?;
        g.reshape(permuted, [kv_heads, one, keys, head_dim])
    };
    // The heads of a group share their key: its gradient is the sum of theirs.
    let keys_by_row = |g: &mut Graph, x: NodeId| {
        let sum = g.sum(x, 1)?;
        let sum = g.reshape(sum, [kv_heads, keys, head_dim])?;
        g.permute(sum, &[1, 0, 2])
    };
    let (queries, dy, y) = (by_head(g, q)?, by_head(g, at.dy)?, by_head(g, at.id)?);
    let (keys_, values) = (keys_by_head(g, k)?, keys_by_head(g, v)?);

    let weights = weights(g, queries, keys_, attention)?;
    let dv = g.matmul(weights, dy, true, false)?;
    let of_weights = g.matmul(dy, values, false, true)?;
    let product = g.mul(dy, y)?;
    let common = g.sum(product, 3)?;
    let centred = g.sub(of_weights, common)?;
    let of_scores = g.mul(weights, centred)?;
    let of_dots = g.affine(of_scores, attention.scale, 0.0)?;
    let dq = g.matmul(of_dots, keys_, false, false)?;
    let dk = g.matmul(of_dots, queries, true, false)?;
    Ok(vec![(0, by_row(g, dq)?), (1, keys_by_row(g, dk)?), (2, keys_by_row(g, dv)?)])
}

/// The weights in primitives: queries `[kv_heads, group, rows, head_dim]`, keys `[kv_heads, 1, keys, head_dim]` →
/// `[kv_heads, group, rows, keys]`.
fn weights(g: &mut Graph, queries: NodeId, keys: NodeId, attention: &Attention) -> Result<NodeId> {
    let dots = g.matmul(queries, keys, false, true)?;
    let scores = g.affine(dots, attention.scale, 0.0)?;
    let hidden = hidden(g, g.shape(scores).back(1), g.shape(scores).back(0), attention.mask)?;
    let scores = match hidden {
        Some(hidden) => {
            let mask = g.affine(hidden, HIDDEN, 0.0)?;
            g.add(scores, mask)?
        }
        None => scores,
    };
    let max = g.reduce(Reduction::Max, scores, 3)?;
    let shifted = g.sub(scores, max)?;
    let exp = g.unary(Unary::Exp, shifted)?;
    let sum = g.sum(exp, 3)?;
    let weights = g.div(exp, sum)?;
    match hidden {
        // Of a row that sees nothing, all would be alike.
        Some(hidden) => {
            let seen = g.affine(hidden, -1.0, 1.0)?;
            g.mul(weights, seen)
        }
        None => Ok(weights),
    }
}

/// `[rows, keys]`: 1 where the mask hides a key, else 0.
fn hidden(g: &mut Graph, rows: Dim, keys: Dim, mask: Mask) -> Result<Option<NodeId>> {
    let Some(start) = mask.start() else { return Ok(None) };
    let key_positions = g.range(Index::Fixed(0), keys);
    let positions = g.range(start, rows);
    let positions = g.reshape(positions, [rows, Dim::Fixed(1)])?;
    let later = g.binary(Binary::Greater, key_positions, positions)?;
    let Some(window) = mask.window() else { return Ok(Some(later)) };
    let first = g.affine(positions, 1.0, 1.0 - window as f32)?;
    let gone = g.binary(Binary::Greater, first, key_positions)?;
    // A key is never both.
    Ok(Some(g.add(later, gone)?))
}
