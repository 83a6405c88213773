//! A Llama block's weights, and rewrites that leave what it computes as it is.
//!
//! Equalization moves a factor from one weight to the next where nothing but a product lies between: norm → linear, up →
//! down (SwiGLU is linear in `up`), v → o (attention is linear in its values; the query heads of a group share one). Nagel et
//! al. 2019, arXiv 1906.04721, generalised by Xiao et al. 2022, "SmoothQuant", arXiv 2211.10438. Rotation turns the residual
//! stream: a norm without weights turns with it. Ashkboos et al. 2024, "QuaRot", arXiv 2404.00456.

use lantern_graph::{Error, Result};
use lantern_models::llama::Config;
use nalgebra::DMatrix;

use crate::layerwise::Rotation;

/// Linear layers of a block, as GGUF names them.
pub const LINEAR: [&str; 7] = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
/// Its norms.
pub const NORMS: [&str; 2] = ["attn_norm", "ffn_norm"];

/// Matrices are `[inputs, channels]`, a column a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub attn_norm: Vec<f64>,
    pub q: DMatrix<f64>,
    pub k: DMatrix<f64>,
    pub v: DMatrix<f64>,
    pub output: DMatrix<f64>,
    pub ffn_norm: Vec<f64>,
    pub gate: DMatrix<f64>,
    pub up: DMatrix<f64>,
    pub down: DMatrix<f64>,
}

impl Block {
    /// In the order of [`LINEAR`].
    pub fn linear(&self) -> [&DMatrix<f64>; 7] {
        [&self.q, &self.k, &self.v, &self.output, &self.gate, &self.up, &self.down]
    }

    pub fn linear_mut(&mut self) -> [&mut DMatrix<f64>; 7] {
        [&mut self.q, &mut self.k, &mut self.v, &mut self.output, &mut self.gate, &mut self.up, &mut self.down]
    }

    /// In the order of [`NORMS`].
    pub fn norms(&self) -> [&[f64]; 2] {
        [&self.attn_norm, &self.ffn_norm]
    }

    /// # Errors
    /// `compress.size` when the matrices are not those of such a block.
    pub fn check(&self, config: &Config) -> Result<()> {
        let Config { hidden_size: hidden, feed_forward_length: wide, heads, kv_heads, head_dim, .. } = *config;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        let wanted = [
            (hidden, queries),
            (hidden, keys),
            (hidden, keys),
            (queries, hidden),
            (hidden, wide),
            (hidden, wide),
            (wide, hidden),
        ];
        let shapes = self.linear().map(|m| m.shape());
        let norms = self.norms().map(<[f64]>::len);
        if shapes == wanted && norms == [hidden; 2] && kv_heads > 0 && heads % kv_heads == 0 {
            return Ok(());
        }
        Err(Error::new(
            "compress.size",
            format!("a block of {shapes:?} with norms of {norms:?}, where the model has {wanted:?} and {hidden}"),
            "the file contradicts itself: convert it again",
        ))
    }

    /// Brings the ranges of every pair of weights that meet at a channel to their geometric mean.
    ///
    /// # Errors
    /// As [`Block::check`].
    pub fn equalize(&mut self, config: &Config) -> Result<()> {
        self.check(config)?;
        norm_to_linear(&mut self.attn_norm, &mut [&mut self.q, &mut self.k, &mut self.v]);
        norm_to_linear(&mut self.ffn_norm, &mut [&mut self.gate, &mut self.up]);
        for c in 0..self.up.ncols() {
            let s = factor(self.up.column(c).amax(), self.down.row(c).amax());
            self.up.column_mut(c).scale_mut(1.0 / s);
            self.down.row_mut(c).scale_mut(s);
        }
        let (group, dim) = (config.heads / config.kv_heads, config.head_dim);
        for c in 0..self.v.ncols() {
            // The inputs of `output` that this value channel feeds: one a query head of its group.
            let inputs = (0..group).map(|head| (c / dim * group + head) * dim + c % dim);
            let range = inputs.clone().fold(0f64, |m, i| m.max(self.output.row(i).amax()));
            let s = factor(self.v.column(c).amax(), range);
            self.v.column_mut(c).scale_mut(1.0 / s);
            inputs.for_each(|i| self.output.row_mut(i).scale_mut(s));
        }
        Ok(())
    }

    /// Turns the residual stream that the block reads and adds to; norms become part of the layers behind them. Every block,
    /// the embedding ([`rotate_embedding`]) and the output ([`rotate_output`]) turn together, or nothing holds.
    ///
    /// # Errors
    /// As [`Block::check`]; `compress.size` for a rotation of another width.
    pub fn rotate(&mut self, config: &Config, rotation: &Rotation) -> Result<()> {
        self.check(config)?;
        check_width(rotation, config.hidden_size)?;
        for matrix in [&mut self.q, &mut self.k, &mut self.v] {
            fuse_norm(&self.attn_norm, matrix);
        }
        for matrix in [&mut self.gate, &mut self.up] {
            fuse_norm(&self.ffn_norm, matrix);
        }
        self.attn_norm.fill(1.0);
        self.ffn_norm.fill(1.0);
        for matrix in [&mut self.q, &mut self.k, &mut self.v, &mut self.gate, &mut self.up] {
            // A channel's inputs lie together: w · x = (wR) · (xR).
            rotation.apply(matrix.as_mut_slice());
        }
        for matrix in [&mut self.output, &mut self.down] {
            let mut turned = matrix.transpose();
            rotation.apply(turned.as_mut_slice());
            *matrix = turned.transpose();
        }
        Ok(())
    }
}

/// Turns an embedding table's rows, `[vocabulary, hidden]`.
///
/// # Errors
/// `compress.size` for a rotation of another width.
pub fn rotate_embedding(rows: &mut [f64], hidden: usize, rotation: &Rotation) -> Result<()> {
    check_width(rotation, hidden)?;
    rotation.apply(rows);
    Ok(())
}

/// Turns the output projection's rows, `[vocabulary, hidden]`, after the last norm has become part of them.
///
/// # Errors
/// `compress.size` for a rotation or a norm of another width.
pub fn rotate_output(rows: &mut [f64], norm: &[f64], rotation: &Rotation) -> Result<()> {
    check_width(rotation, norm.len())?;
    for row in rows.chunks_exact_mut(norm.len()) {
        row.iter_mut().zip(norm).for_each(|(w, g)| *w *= g);
    }
    rotation.apply(rows);
    Ok(())
}

fn check_width(rotation: &Rotation, hidden: usize) -> Result<()> {
    if rotation.n() == hidden {
        return Ok(());
    }
    let cause = format!("a rotation of {} numbers for a stream of {hidden}", rotation.n());
    Err(Error::new("compress.size", cause, "make one of the stream's width"))
}

fn fuse_norm(norm: &[f64], matrix: &mut DMatrix<f64>) {
    for (i, g) in norm.iter().enumerate() {
        matrix.row_mut(i).scale_mut(*g);
    }
}

fn norm_to_linear(norm: &mut [f64], matrices: &mut [&mut DMatrix<f64>]) {
    for (i, g) in norm.iter_mut().enumerate() {
        let range = matrices.iter().fold(0f64, |m, matrix| m.max(matrix.row(i).amax()));
        let s = factor(g.abs(), range);
        *g /= s;
        matrices.iter_mut().for_each(|matrix| matrix.row_mut(i).scale_mut(s));
    }
}

/// s of W₁ / s and W₂ · s, after which both ranges are √(r₁r₂). 1 where one of them is nothing, and never so far from it that
/// a file's f16 could not hold the result.
fn factor(first: f64, second: f64) -> f64 {
    let s = (first / second).sqrt();
    if s.is_finite() && s > 0.0 { s.clamp(1e-2, 1e2) } else { 1.0 }
}
