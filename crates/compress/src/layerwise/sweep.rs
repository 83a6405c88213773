//! Column after column: what rounding or zeroing one input's weights costs, the inputs not yet decided make up for.
//!
//! Frantar et al. 2022, "GPTQ", arXiv 2210.17323, and Frantar and Alistarh 2023, "SparseGPT", arXiv 2301.00774, are this loop
//! with two ways to decide. Its compensation comes from L of H⁻¹ = LLᵀ, whose column i is what deciding input i does to
//! those after it: row i of the papers' upper factor U.

use lantern_graph::{Error, Result};
use nalgebra::{Cholesky, DMatrix};

use crate::quadratic::Quadratic;

/// In which order inputs are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they come.
    Natural,
    /// The inputs of most energy first ("act-order"): they are decided while all others can still make up for it.
    Activation,
}

/// What a layer's inputs say about compensation: made once a layer, used for all its channels.
pub struct Factor {
    /// Lower triangular: H⁻¹ = LLᵀ, of the damped H in the order below.
    pub(crate) l: DMatrix<f64>,
    /// Which input stands at each place.
    pub(crate) order: Vec<usize>,
}

/// Relative to the mean of H's diagonal, as both papers have it.
pub const DAMPING: f64 = 0.01;

impl Factor {
    /// # Errors
    /// `compress.calibration`, as [`Quadratic::new`].
    pub fn new(h: &DMatrix<f64>, damping: f64, order: Order) -> Result<Self> {
        let mut places: Vec<usize> = (0..h.nrows()).collect();
        if order == Order::Activation && h.is_square() {
            places.sort_by(|a, b| h[(*b, *b)].total_cmp(&h[(*a, *a)]));
        }
        let ordered = if h.is_square() { h.select_rows(&places).select_columns(&places) } else { h.clone() };
        let inverse = Quadratic::new(ordered, damping)?.inverse();
        let l = Cholesky::new(inverse).map(|cholesky| cholesky.unpack()).ok_or_else(|| {
            Error::new(
                "compress.calibration",
                format!("the inverse of the Hessian, damped by {damping}, is not positive definite"),
                "calibrate on a longer text, or damp more",
            )
        })?;
        Ok(Self { l, order: places })
    }

    pub fn n(&self) -> usize {
        self.order.len()
    }

    pub fn is_natural(&self) -> bool {
        self.order.iter().enumerate().all(|(place, i)| place == *i)
    }
}

/// Decides what becomes of weights, in the order of the sweep.
pub(crate) trait Decide {
    /// Before places `from .. to` are decided, with all that was before made up for. `weights`: `[n, channels]`, by place.
    fn block(&mut self, weights: &DMatrix<f64>, from: usize, to: usize);
    /// What the weight at a place of a channel becomes. `channel`: its weights by place, right up to the block's end.
    fn put(&mut self, c: usize, place: usize, channel: &[f64]) -> f64;
}

/// Runs over `weights` `[n, channels]`, a column a channel, in natural order before and after. `block` inputs are decided
/// before the rest is brought up to date with them at once, which changes rounding alone.
pub(crate) fn sweep(weights: &mut DMatrix<f64>, factor: &Factor, block: usize, decide: &mut dyn Decide) {
    let n = factor.n();
    let channels = weights.ncols();
    let mut by_place = weights.select_rows(&factor.order);
    let mut from = 0;
    while from < n {
        let to = (from + block.max(1)).min(n);
        decide.block(&by_place, from, to);
        let mut errors = DMatrix::zeros(to - from, channels);
        for c in 0..channels {
            let mut channel = by_place.column_mut(c);
            let channel = channel.as_mut_slice();
            for i in from..to {
                let put = decide.put(c, i, channel);
                let error = (channel[i] - put) / factor.l[(i, i)];
                channel[i] = put;
                errors[(i - from, c)] = error;
                let column = factor.l.column(i);
                for (w, l) in channel[i + 1..to].iter_mut().zip(column.rows(i + 1, to - i - 1).iter()) {
                    *w -= error * l;
                }
            }
        }
        let pull = factor.l.view((to, from), (n - to, to - from));
        by_place.rows_mut(to, n - to).gemm(-1.0, &pull, &errors, 1.0);
        from = to;
    }
    for (place, i) in factor.order.iter().enumerate() {
        weights.set_row(*i, &by_place.row(place));
    }
}
