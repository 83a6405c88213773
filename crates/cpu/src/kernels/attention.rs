//! Rotary positions and causal grouped-query attention, straight over the KV state.

use std::ops::Range;

use super::reduce::softmax_row;

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

pub struct Attention {
    pub kv_heads: usize,
    pub group: usize,
    pub head_dim: usize,
    pub kv_len: usize,
    /// Position of query row 0.
    pub start: usize,
    pub scale: f32,
    /// Positions a query sees, its own included.
    pub window: usize,
}

impl Attention {
    /// Query rows `rows` of q `[rows, kv_heads, group, head_dim]` over k and v `[kv_len, kv_heads, head_dim]`.
    /// `scores` is working space, grown as needed.
    pub fn run(&self, q: &[f32], k: &[f32], v: &[f32], rows: Range<usize>, out: &mut [f32], scores: &mut Vec<f32>) {
        let (head_dim, group) = (self.head_dim, self.group);
        let block = group * head_dim;
        if block == 0 {
            return;
        }
        let kv_stride = self.kv_heads * head_dim;
        for r in rows {
            let end = (self.start + r + 1).min(self.kv_len);
            let first = (self.start + r + 1).saturating_sub(self.window).min(end);
            let seen = end - first;
            scores.clear();
            scores.resize(group * seen, 0.0);
            for h in 0..self.kv_heads {
                let at = (r * self.kv_heads + h) * block;
                let (q, out) = (&q[at..at + block], &mut out[at..at + block]);
                let row = |x: &'_ [f32], j: usize| -> Range<usize> {
                    let at = (first + j) * kv_stride + h * head_dim;
                    debug_assert!(at + head_dim <= x.len());
                    at..at + head_dim
                };
                for j in 0..seen {
                    let key = &k[row(k, j)];
                    for (g, q) in q.chunks_exact(head_dim).enumerate() {
                        scores[g * seen + j] = dot(q, key) * self.scale;
                    }
                }
                if seen > 0 {
                    scores.chunks_exact_mut(seen).for_each(softmax_row);
                }
                out.fill(0.0);
                for j in 0..seen {
                    let value = &v[row(v, j)];
                    for (g, out) in out.chunks_exact_mut(head_dim).enumerate() {
                        let weight = scores[g * seen + j];
                        out.iter_mut().zip(value).for_each(|(out, v)| *out += weight * v);
                    }
                }
            }
        }
    }
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
