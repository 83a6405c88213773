//! What is provably best for one output channel: min ‖X(w − ŵ)‖² over ŵ on a grid, and over ŵ with zeros.
//!
//! Exact solvers say how good a heuristic is, and which of quantization and pruning wins when both are at their best. Each
//! result is held against the others: dual bound ≤ exact ≤ every heuristic, or `compress.duality`.

mod dual;
mod prune;
mod sphere;
mod synthetic;

pub use dual::{Relaxation, dual_bound};
pub use prune::{MAX_PRUNED, Refit, prune_exact};
pub use sphere::{Found, MAX_QUANTIZED, quantize_exact};
pub use synthetic::Draws;

use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use crate::layerwise::{
    DAMPING, Factor, GptqOptions, Granularity, Grid, Order, Quantizer, Range, Sparsity, gptq, magnitude,
    magnitude_mask, obs, one_opt, refit, round_to_nearest,
};
use crate::quadratic::Quadratic;

/// What to bound, and how long to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Of the grid; pruning zeroes the share 1 − bits / 16.
    pub bits: u32,
    /// How the exact pruner may move what it keeps.
    pub refit: Refit,
    /// Partial solutions each exact search may look at.
    pub max_nodes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { bits: 4, refit: Refit::Free, max_nodes: 1_000_000 }
    }
}

/// Errors (w − ŵ)ᵀH(w − ŵ) of one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// wᵀHw.
    pub energy: f64,
    pub quantization: Quantization,
    pub pruning: Pruning,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    pub scale: f64,
    pub round_to_nearest: f64,
    pub gptq: f64,
    pub one_opt: f64,
    /// 1-opt on the best of some forty scales of either sign: another grid, which the bounds below say nothing about.
    pub scale_search: f64,
    /// The best that was found; the optimum where `complete`.
    pub exact: f64,
    pub complete: bool,
    pub nodes: u64,
    /// No grid point is better: `exact` where complete, else the search's own bound or the dual, whichever is higher.
    pub lower: f64,
    /// The dual bound on the clipped grid.
    pub dual: f64,
    /// The dual bound of Park and Boyd, which does not know where the grid ends.
    pub dual_integers: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    /// Of the exact solution; heuristics refit freely or not at all.
    pub refit: Refit,
    pub zeros: usize,
    pub magnitude: f64,
    pub magnitude_refit: f64,
    pub obs: f64,
    /// The best that was found; the optimum where `complete`.
    pub exact: f64,
    pub complete: bool,
    pub nodes: u64,
    /// No choice of zeros is better.
    pub lower: f64,
}

/// All heuristics, exact solutions and bounds of one channel's weights.
///
/// # Errors
/// `compress.bits`, `compress.size`, `compress.not_a_number`; `compress.duality` when the results contradict each other,
/// which would be a defect here.
pub fn bounds(form: &Quadratic, w: &[f64], options: &Options) -> Result<Bounds> {
    form.check(w)?;
    let bounds = Bounds {
        energy: form.energy(w),
        quantization: quantization(form, w, options)?,
        pruning: pruning(form, w, options)?,
    };
    bounds.check()?;
    Ok(bounds)
}

fn quantization(form: &Quadratic, w: &[f64], options: &Options) -> Result<Quantization> {
    let quantizer =
        Quantizer { bits: options.bits, granularity: Granularity::Channel, range: Range::Mse, either_sign: false };
    let column = DMatrix::from_column_slice(w.len(), 1, w);
    let error = |values: DMatrix<f64>| form.error(w, values.as_slice());
    let nearest = round_to_nearest(&column, quantizer)?;
    let factor = Factor::new(form.h(), DAMPING, Order::Natural)?;
    let compensated = gptq(&column, &factor, quantizer, GptqOptions::default())?;
    // From both, the better.
    let mut improved = [nearest.clone(), compensated.clone()];
    for start in &mut improved {
        one_opt(form, &column, start, false)?;
    }
    let [a, b] = improved.map(|q| (error(q.values()), q));
    let (best, improved) = if a.0 <= b.0 { a } else { b };
    let grid = nearest.grid(0, 0);
    let mut scale_search = best;
    for scale in scales(w, &grid) {
        let mut other = nearest.clone();
        let grid = Grid { scale, ..grid };
        other.grids = vec![grid];
        other.codes = w.iter().map(|v| grid.code(*v) as i8).collect();
        one_opt(form, &column, &mut other, false)?;
        scale_search = scale_search.min(error(other.values()));
    }
    let codes: Vec<i32> = improved.codes.iter().map(|k| i32::from(*k)).collect();
    let found = quantize_exact(form, w, &grid, Some(&codes), options.max_nodes)?;
    let dual = dual_bound(form, w, &grid, Relaxation::Clipped)?;
    Ok(Quantization {
        scale: grid.scale,
        round_to_nearest: error(nearest.values()),
        gptq: error(compensated.values()),
        one_opt: best,
        scale_search,
        exact: found.error,
        complete: found.complete,
        nodes: found.nodes,
        lower: found.lower.max(if found.complete { 0.0 } else { dual }),
        dual,
        dual_integers: dual_bound(form, w, &grid, Relaxation::Integers)?,
    })
}

/// From min-max down to a third of it, with either sign.
fn scales(w: &[f64], grid: &Grid) -> impl Iterator<Item = f64> + use<> {
    let widest = w.iter().fold(0f64, |m, v| m.max(v.abs())) / f64::from(grid.high);
    let steps = (0..20).map(move |i| widest * (1.0 - f64::from(i) / 30.0));
    steps.flat_map(|scale| [scale, -scale]).filter(|scale| *scale != 0.0)
}

fn pruning(form: &Quadratic, w: &[f64], options: &Options) -> Result<Pruning> {
    let sparsity = Sparsity::at_bits(options.bits.into());
    let zeros = sparsity.zeros(w.len());
    let column = DMatrix::from_column_slice(w.len(), 1, w);
    let error = |values: &[f64]| form.error(w, values);
    let found = prune_exact(form, w, zeros, options.refit, options.max_nodes)?;
    let refitted = refit(form, &column, &magnitude_mask(&column, sparsity)?)?;
    Ok(Pruning {
        refit: options.refit,
        zeros,
        magnitude: error(magnitude(&column, sparsity)?.as_slice()),
        magnitude_refit: error(refitted.as_slice()),
        obs: error(&obs(form, w, zeros)),
        exact: found.error,
        complete: found.complete,
        nodes: found.nodes,
        lower: found.lower,
    })
}

/// By how much rounding may turn an order around, relative to the channel's energy and the larger error.
const ROUNDING: f64 = 1e-9;

impl Bounds {
    /// # Errors
    /// `compress.duality` naming what contradicts what.
    pub fn check(&self) -> Result<()> {
        let Bounds { energy, quantization: q, pruning: p } = self;
        let mut order = vec![
            ("the integers' dual bound", q.dual_integers, "the exact quantization", q.exact),
            ("the dual bound", q.dual, "the exact quantization", q.exact),
            ("the search's lower bound", q.lower, "the exact quantization", q.exact),
            ("the exact quantization", q.lower, "round-to-nearest", q.round_to_nearest),
            ("the exact quantization", q.lower, "GPTQ", q.gptq),
            ("the exact quantization", q.exact, "1-opt", q.one_opt),
            ("the search's lower bound", p.lower, "the exact pruning", p.exact),
            ("the exact pruning", p.lower, "magnitude", p.magnitude),
        ];
        if q.complete {
            order.push(("the exact quantization", q.exact, "GPTQ", q.gptq));
        }
        // Free refits may leave the box, and beat weights that stay.
        if p.refit == Refit::Free {
            order.push(("the exact pruning", p.exact, "magnitude with refit", p.magnitude_refit));
            order.push(("the exact pruning", p.exact, "OBS", p.obs));
        }
        for (low, a, high, b) in order {
            let rounding = ROUNDING * (energy + a.abs().max(b.abs()));
            let holds = a <= b + rounding;
            if !holds {
                return Err(Error::new(
                    "compress.duality",
                    format!("{low}, {a:.6e}, is above {high}, {b:.6e}"),
                    "this is a defect: report it, with the tensor, the bits and the seed",
                ));
            }
        }
        Ok(())
    }
}
