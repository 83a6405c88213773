//! What is provably best for one output channel: min ‖X(w − ŵ)‖² over ŵ on a grid, and over ŵ with zeros.
//!
//! Exact solvers say how good a heuristic is, and which of quantization and pruning wins when both are at their best. Each
//! result is held against the others: dual bound ≤ exact ≤ every heuristic, or `compress.duality`.

mod dual;
mod limit;
mod prune;
mod sphere;
mod synthetic;

pub use dual::{Relaxed, relax};
pub use limit::Limit;
pub use prune::{MAX_PRUNED, Refit, prune_exact};
pub use sphere::{Found, MAX_QUANTIZED, gap_db, quantize_exact};
pub use synthetic::Draws;

use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use crate::cost::Charge;
use crate::grid::Grid;
use crate::layerwise::{
    DAMPING, Factor, GptqOptions, Order, QuantizedLayer, gptq, magnitude, masked, obs, one_opt, refit, round_to_nearest,
};
use crate::prune::Sparsity;
use crate::quadratic::Quadratic;
use crate::quantize::{Granularity, Range, Uniform};

/// What to bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Of the grid; pruning zeroes the share 1 − bits / 16.
    pub bits: u32,
    /// How the exact pruner may move what it keeps.
    pub refit: Refit,
}

impl Default for Options {
    fn default() -> Self {
        Self { bits: 4, refit: Refit::Free }
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
    /// The best of 3n draws around the dual's relaxed solution, each improved by 1-opt: Park and Boyd's upper bound.
    pub sampled: f64,
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

/// All heuristics, exact solutions and bounds of one channel's weights. Each of the two exact searches has `limit` for itself.
///
/// # Errors
/// `compress.bits`, `compress.size`, `compress.not_a_number`; `compress.duality` when the results contradict each other,
/// which would be a defect here.
pub fn bounds(form: &Quadratic, w: &[f64], options: &Options, limit: Limit) -> Result<Bounds> {
    form.check(w)?;
    let bounds = Bounds {
        energy: form.energy(w),
        quantization: quantization(form, w, options.bits, limit)?,
        pruning: pruning(form, w, options, limit)?,
    };
    bounds.check()?;
    Ok(bounds)
}

fn quantization(form: &Quadratic, w: &[f64], bits: u32, limit: Limit) -> Result<Quantization> {
    let quantizer = Uniform::symmetric(bits, Granularity::Channel, Range::Mse);
    let column = DMatrix::from_column_slice(w.len(), 1, w);
    let error = |q: &QuantizedLayer| form.error(w, q.values().as_slice());
    let nearest = round_to_nearest(&column, quantizer)?;
    let factor = Factor::new(form.h(), DAMPING, Order::Natural)?;
    let compensated = gptq(&column, &factor, quantizer, GptqOptions::default())?;
    let grid = nearest.grid(0, 0);
    let improve = |mut start: QuantizedLayer| -> Result<(f64, QuantizedLayer)> {
        one_opt(form, &column, &mut start, false)?;
        Ok((error(&start), start))
    };
    let better = |a: (f64, QuantizedLayer), b: (f64, QuantizedLayer)| if b.0 < a.0 { b } else { a };
    let single = better(improve(nearest.clone())?, improve(compensated.clone())?);
    // Other points of the same grid, and of others.
    let on = |grid: Grid, values: &[f64]| {
        let codes = values.iter().map(|v| grid.code(*v) as i16).collect();
        QuantizedLayer { grids: vec![grid], codes, ..nearest.clone() }
    };
    let relaxed = relax(form, w, &grid)?;
    let mut draws = Draws::new(0);
    let mut sampled = (f64::INFINITY, nearest.clone());
    for _ in 0..SAMPLES * w.len() {
        let guess: Vec<f64> = relaxed.sample(&mut draws).iter().map(|k| k * grid.scale).collect();
        sampled = better(sampled, improve(on(grid, &guess))?);
    }
    let mut scale_search = single.0;
    for scale in scales(w, &grid) {
        scale_search = scale_search.min(improve(on(Grid { scale, ..grid }, w))?.0);
    }
    let start = better(single.clone(), sampled.clone()).1;
    let codes: Vec<i32> = start.codes.iter().map(|k| i32::from(*k)).collect();
    let found = quantize_exact(form, w, &grid, Some(&codes), limit)?;
    Ok(Quantization {
        scale: grid.scale,
        round_to_nearest: error(&nearest),
        gptq: error(&compensated),
        one_opt: single.0,
        sampled: sampled.0,
        scale_search,
        exact: found.error,
        complete: found.complete,
        nodes: found.nodes,
        lower: found.lower.max(if found.complete { 0.0 } else { relaxed.bound }),
        dual: relaxed.bound,
        dual_integers: relaxed.integers,
    })
}

/// Draws for each input.
const SAMPLES: usize = 3;

/// From min-max down to a third of it, with either sign.
fn scales(w: &[f64], grid: &Grid) -> impl Iterator<Item = f64> + use<> {
    let widest = w.iter().fold(0f64, |m, v| m.max(v.abs())) / f64::from(grid.high);
    let steps = (0..20).map(move |i| widest * (1.0 - f64::from(i) / 30.0));
    steps.flat_map(|scale| [scale, -scale]).filter(|scale| *scale != 0.0)
}

fn pruning(form: &Quadratic, w: &[f64], options: &Options, limit: Limit) -> Result<Pruning> {
    let sparsity = Sparsity::at_bits(options.bits.into(), Charge::Free);
    let zeros = sparsity.dropped(w.len());
    let column = DMatrix::from_column_slice(w.len(), 1, w);
    let error = |values: &[f64]| form.error(w, values);
    let found = prune_exact(form, w, zeros, options.refit, limit)?;
    let mask = magnitude(&column, sparsity)?;
    Ok(Pruning {
        refit: options.refit,
        zeros,
        magnitude: error(masked(&column, &mask).as_slice()),
        magnitude_refit: error(refit(form, &column, &mask)?.as_slice()),
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
            ("the least that quantization can lose", q.lower, "round-to-nearest", q.round_to_nearest),
            ("the least that quantization can lose", q.lower, "GPTQ", q.gptq),
            ("the exact quantization", q.exact, "1-opt", q.one_opt),
            ("the exact quantization", q.exact, "the sampled one", q.sampled),
            ("the search's lower bound", p.lower, "the exact pruning", p.exact),
            ("the least that pruning can lose", p.lower, "magnitude", p.magnitude),
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
