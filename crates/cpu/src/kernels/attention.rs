//! Rotary positions, and attention straight over the KV state.

use std::ops::Range;

use lantern_graph::{self as graph, NodeId, Result};

use super::gemm::{Matrix, gemm};
use super::parallel::{self, threads};
use super::reduce::softmax_row;
use crate::Mode;
use crate::step::{Cost, Env, rows_of};

/// x `[rows, heads, head_dim]`, frequencies `[head_dim / 2]`; row `r` stands at position `start + r`.
pub fn rope(x: &[f32], frequencies: &[f32], heads: usize, start: usize, out: &mut [f32]) {
    let head_dim = frequencies.len() * 2;
    let row_len = heads * head_dim;
    if row_len == 0 {
        return;
    }
    for (r, (x, out)) in x.chunks_exact(row_len).zip(out.chunks_exact_mut(row_len)).enumerate() {
        for (i, frequency) in frequencies.iter().enumerate() {
            let (sin, cos) = ((start + r) as f32 * frequency).sin_cos();
            for at in (2 * i..row_len).step_by(head_dim) {
                let (even, odd) = (x[at], x[at + 1]);
                out[at] = even * cos - odd * sin;
                out[at + 1] = even * sin + odd * cos;
            }
        }
    }
}

/// Query rows that are computed together: their scores stay in a core's caches.
pub const TILE: usize = 64;

/// Rows from which on two products are faster than going through the keys once a row.
const FEW: usize = 4;

/// What a core needs to itself.
#[derive(Default)]
pub struct Space {
    scores: Vec<f32>,
    exact: Vec<f64>,
}

/// Queries q `[rows, kv_heads, group, head_dim]` over k and v `[keys, kv_heads, head_dim]`.
pub struct Attention {
    pub kv_heads: usize,
    pub group: usize,
    pub head_dim: usize,
    pub keys: usize,
    /// Position of query row 0; `keys` where every row sees all.
    pub start: usize,
    pub scale: f32,
    /// Positions a query sees, its own included.
    pub window: usize,
}

impl Attention {
    fn row_len(&self) -> usize {
        self.kv_heads * self.group * self.head_dim
    }

    /// The keys that a query row sees.
    fn seen(&self, row: usize) -> Range<usize> {
        let end = self.start + row + 1;
        end.saturating_sub(self.window).min(self.keys)..end.min(self.keys)
    }

    /// Query rows `rows`, whose results are `out`.
    pub fn run(&self, [q, k, v]: [&[f32]; 3], rows: Range<usize>, out: &mut [f32], spaces: &mut Vec<Space>) {
        let (row_len, tile) = (self.row_len(), rows.len().div_ceil(threads()).clamp(1, TILE));
        parallel::pieces(out, tile * row_len, spaces, |i, out, space| {
            let (first, count) = (rows.start + i * tile, out.len() / row_len.max(1));
            if count >= FEW {
                return self.tile([q, k, v], first, out, &mut space.scores);
            }
            for (row, out) in out.chunks_exact_mut(row_len).enumerate() {
                self.row([q, k, v], first + row, out, &mut space.scores);
            }
        });
    }

    /// One query row: each key is read once for all heads of its group.
    fn row(&self, [q, k, v]: [&[f32]; 3], row: usize, out: &mut [f32], scores: &mut Vec<f32>) {
        let (head_dim, block) = (self.head_dim, self.group * self.head_dim);
        let keys = self.seen(row);
        let seen = keys.len();
        scores.clear();
        scores.resize(self.group * seen, 0.0);
        for h in 0..self.kv_heads {
            let q = &q[row * self.row_len() + h * block..][..block];
            let out = &mut out[h * block..][..block];
            let of = |x: &'_ [f32], j: usize| -> Range<usize> {
                let at = ((keys.start + j) * self.kv_heads + h) * head_dim;
                debug_assert!(at + head_dim <= x.len());
                at..at + head_dim
            };
            for j in 0..seen {
                let key = &k[of(k, j)];
                for (g, q) in q.chunks_exact(head_dim).enumerate() {
                    scores[g * seen + j] = dot(q, key) * self.scale;
                }
            }
            if seen > 0 {
                scores.chunks_exact_mut(seen).for_each(softmax_row);
            }
            out.fill(0.0);
            for j in 0..seen {
                let value = &v[of(v, j)];
                for (g, out) in out.chunks_exact_mut(head_dim).enumerate() {
                    let weight = scores[g * seen + j];
                    out.iter_mut().zip(value).for_each(|(out, v)| *out += weight * v);
                }
            }
        }
    }

    /// Neighbouring query rows from `first` on: two products a head, over the keys that any of them sees.
    fn tile(&self, [q, k, v]: [&[f32]; 3], first: usize, out: &mut [f32], scores: &mut Vec<f32>) {
        let (head_dim, row_len) = (self.head_dim, self.row_len());
        let rows = out.len() / row_len;
        let keys = self.seen(first).start..self.seen(first + rows - 1).end;
        scores.clear();
        scores.resize(rows * keys.len(), 0.0);
        for head in 0..self.kv_heads * self.group {
            let kv_head = head / self.group;
            let matrix = |x| {
                let from = (keys.start * self.kv_heads + kv_head) * head_dim;
                Matrix::rows(part(x, from), keys.len(), head_dim, self.kv_heads * head_dim)
            };
            let queries = Matrix::rows(part(q, first * row_len + head * head_dim), rows, head_dim, row_len);
            gemm(queries, matrix(k).transposed(), scores, keys.len(), false);
            for (row, scores) in scores.chunks_exact_mut(keys.len().max(1)).enumerate() {
                let seen = self.seen(first + row);
                let seen = seen.start - keys.start..seen.end - keys.start;
                scores[..seen.start].fill(0.0);
                scores[seen.end..].fill(0.0);
                let scores = &mut scores[seen];
                scores.iter_mut().for_each(|score| *score *= self.scale);
                softmax_row(scores);
            }
            let weights = Matrix::rows(scores, rows, keys.len(), keys.len());
            gemm(weights, matrix(v), &mut out[head * head_dim..], row_len, false);
        }
    }

    /// The definition, in f64.
    pub fn exact(&self, [q, k, v]: [&[f32]; 3], rows: Range<usize>, out: &mut [f32], spaces: &mut Vec<Space>) {
        let (head_dim, row_len) = (self.head_dim, self.row_len());
        let stride = self.kv_heads * head_dim;
        parallel::pieces(out, row_len, spaces, |i, out, space| {
            let row = rows.start + i;
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                let query = &q[row * row_len + head * head_dim..][..head_dim];
                let of = |x: &'_ [f32], j: usize| j * stride + head / self.group * head_dim..x.len();
                let weights = &mut space.exact;
                weights.clear();
                weights.extend(self.seen(row).map(|j| f64::from(self.scale) * exact_dot(query, &k[of(k, j)])));
                let max = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                weights.iter_mut().for_each(|weight| *weight = (*weight - max).exp());
                let sum: f64 = weights.iter().sum();
                // As many sums as there are columns, a column's in the order of its keys.
                let mut totals = vec![0.0f64; head_dim];
                for (weight, j) in weights.iter().zip(self.seen(row)) {
                    let value = &v[of(v, j)];
                    totals.iter_mut().zip(value).for_each(|(total, v)| *total += weight * f64::from(*v));
                }
                let by = if weights.is_empty() { 0.0 } else { 1.0 / sum };
                out.iter_mut().zip(&totals).for_each(|(out, total)| *out = (total * by) as f32);
            }
        });
    }
}

/// From there on; nothing where it begins behind the end.
fn part(x: &[f32], from: usize) -> &[f32] {
    x.get(from..).unwrap_or_default()
}

fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    let ((a, b), mut sums) = ((a.chunks(4), b.chunks(4)), [0.0f64; 4]);
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += f64::from(*a) * f64::from(*b));
    }
    sums.iter().sum()
}

/// Eight sums side by side: vector instructions, and a shorter chain of roundings than one.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest
}

impl Env<'_> {
    pub(crate) fn attention_cost(&self, id: NodeId, attention: &graph::Attention) -> Cost {
        let (q, k) = (self.dims(id), self.dims(self.node(id).inputs[1]));
        let flops = [2, q[1], q[2], q[3], attention.mask.seen(k[0])];
        match self.mode() {
            Mode::Fast => Cost::new(q[0], &flops, TILE).fast(),
            Mode::Exact => Cost::new(q[0], &flops, 1),
        }
    }

    pub(crate) fn attention(
        &self,
        id: NodeId,
        attention: &graph::Attention,
        part: Range<usize>,
        out: &mut [f32],
        spaces: &mut Vec<Space>,
    ) -> Result<()> {
        let inputs = &self.node(id).inputs;
        let (q, keys) = (self.dims(id), self.dims(inputs[1])[0]);
        let sizes = Attention {
            kv_heads: q[1],
            group: q[2],
            head_dim: q[3],
            keys,
            start: attention.mask.start().map_or(keys, |start| self.index(start)),
            scale: attention.scale,
            window: attention.mask.window().unwrap_or(usize::MAX),
        };
        let operands = [self.floats(inputs[0])?, self.floats(inputs[1])?, self.floats(inputs[2])?];
        let out = &mut out[rows_of(&part, sizes.row_len())];
        match self.mode() {
            Mode::Exact => sizes.exact(operands, part, out, spaces),
            Mode::Fast => sizes.run(operands, part, out, spaces),
        }
        Ok(())
    }
}
