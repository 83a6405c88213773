//! The best weights to keep, exactly: of all ways to set `pruned` of n weights to zero, the one that costs the output least.
//!
//! With refit the others move to make up for it. Zeroing a set S then costs w_Sᵀ[(H⁻¹)_SS]⁻¹w_S (Hassibi and Stork 1992,
//! "Second order derivatives for network pruning: Optimal Brain Surgeon"), which grows with S: a branch that costs too much
//! already is not followed. All subsets of up to 24 weights are enumerated so, and larger ones as far as a limit lets.

use lantern_graph::{Error, Result};
use nalgebra::{DMatrix, SymmetricEigen};

use super::limit::{Limit, Meter};
use super::sphere::Found;
use crate::layerwise::obs::{Conditional, obs};
use crate::prune::least;
use crate::quadratic::Quadratic;

/// Weights beyond which no search ends. A mask is a u64.
pub const MAX_PRUNED: usize = 64;

/// How the exact pruner may move what it keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refit {
    /// Weights are kept as they are.
    None,
    /// Kept weights go wherever the output is best.
    Free,
    /// As `Free`, between `factor` times the smallest and `factor` times the largest of the channel's weights, and zero: the
    /// paper's box, with a factor of 2.
    Box { factor: f64 },
}

/// min (w − ŵ)ᵀH(w − ŵ) over ŵ with `pruned` zeros; `best` is ŵ. At the limit the best so far and what is proven come
/// back.
///
/// # Errors
/// `compress.size` for other than 1 to 64 weights, or more zeros than weights; `compress.not_a_number`.
pub fn prune_exact(form: &Quadratic, w: &[f64], pruned: usize, refit: Refit, limit: Limit) -> Result<Found<Vec<f64>>> {
    form.check(w)?;
    let n = w.len();
    if n > MAX_PRUNED || pruned > n {
        return Err(Error::new(
            "compress.size",
            format!("an exact search for {pruned} zeros among {n} weights"),
            format!("take {MAX_PRUNED} weights at a time or fewer, and no more zeros than weights; up to 24 it ends"),
        ));
    }
    if refit == Refit::None {
        return Ok(without_refit(form, w, pruned, limit));
    }
    let root = Conditional::new(form, w);
    // Largest eigenvalue of the inverse in units of its diagonal: the inverses of what is left later are smaller.
    let diagonal: Vec<f64> = (0..n).map(|i| root.inverse[(i, i)]).collect();
    let scaled = DMatrix::from_fn(n, n, |i, j| root.inverse[(i, j)] / (diagonal[i] * diagonal[j]).sqrt());
    let largest = SymmetricEigen::new(scaled).eigenvalues.max().max(1.0);
    let mut search = Search {
        form,
        w,
        refit,
        denominators: diagonal.iter().map(|d| d * largest).collect(),
        best: (f64::INFINITY, Vec::new()),
        meter: Meter::new(limit),
        open: f64::INFINITY,
    };
    let mut magnitude = root.clone();
    smallest(w, pruned).into_iter().for_each(|i| magnitude.zero(i));
    search.offer(&magnitude.w);
    let mut values = obs(form, w, pruned);
    for _ in 0..2 * n {
        let Some(better) = search.swap(&values) else { break };
        values = better;
    }
    search.offer(&values);
    search.visit(root, (0..n).collect(), pruned);
    let (error, best) = search.best;
    let complete = search.open == f64::INFINITY;
    Ok(Found { best, error, lower: search.open.min(error), nodes: search.meter.nodes, complete })
}

/// What pruning by magnitude zeroes: of equals, the same ones as [`crate::prune::magnitude`].
fn smallest(w: &[f64], count: usize) -> Vec<usize> {
    let magnitudes: Vec<f64> = w.iter().map(|v| v.abs()).collect();
    least(&magnitudes, count)
}

struct Search<'a> {
    form: &'a Quadratic,
    w: &'a [f64],
    refit: Refit,
    /// w²/this, summed over a set, is below what zeroing the set adds.
    denominators: Vec<f64>,
    best: (f64, Vec<f64>),
    meter: Meter<'a>,
    /// The lowest bound among branches that were given up.
    open: f64,
}

impl Search<'_> {
    /// Takes the zeros of `values` as a solution. Its error.
    fn offer(&mut self, values: &[f64]) -> f64 {
        let zeros: Vec<bool> = values.iter().map(|v| *v == 0.0).collect();
        let values = match self.refit {
            Refit::Box { factor } => boxed(self.form, self.w, values, &zeros, factor),
            _ => values.to_vec(),
        };
        let error = self.form.error(self.w, &values);
        if error < self.best.0 {
            self.best = (error, values);
        }
        error
    }

    /// The best exchange of one zero for another, if any is better.
    fn swap(&self, values: &[f64]) -> Option<Vec<f64>> {
        let n = values.len();
        let mut best: (f64, Option<Vec<f64>>) = (self.form.error(self.w, values) * (1.0 - 1e-12), None);
        for back in (0..n).filter(|i| values[*i] == 0.0) {
            let mut state = Conditional::new(self.form, self.w);
            (0..n).filter(|i| values[*i] == 0.0 && *i != back).for_each(|i| state.zero(i));
            let next = (0..n).filter(|i| values[*i] != 0.0).min_by(|a, b| state.cost(*a).total_cmp(&state.cost(*b)))?;
            if state.error + state.cost(next) < best.0 {
                state.zero(next);
                best = (state.error, Some(state.w));
            }
        }
        best.1
    }

    /// Below this node: zeros are chosen, `free` is undecided, `left` more zeros are wanted.
    fn visit(&mut self, mut state: Conditional, mut free: Vec<usize>, mut left: usize) {
        loop {
            if free.len() == left {
                free.iter().for_each(|i| state.zero(*i));
                self.leaf(&state);
                return;
            }
            if left == 0 {
                self.leaf(&state);
                return;
            }
            let bound = self.bound(&state, &free, left);
            if bound >= self.best.0 {
                return;
            }
            if !self.meter.spend() {
                self.open = self.open.min(bound);
                return;
            }
            // Zeroing this one alone costs too much: it is kept in all that follows.
            let affordable = |i: &usize| state.error + state.cost(*i) < self.best.0;
            let before = free.len();
            free.retain(affordable);
            if free.len() < left {
                return;
            }
            if free.len() < before {
                continue;
            }
            // The most costly: without it the branch soon ends, with it the rest soon costs too much.
            let costs = free.iter().map(|i| state.cost(*i)).enumerate();
            let (place, _) = costs.max_by(|a, b| a.1.total_cmp(&b.1)).expect("more are free than are wanted");
            let i = free.swap_remove(place);
            // First what is likelier to be good.
            self.visit(state.clone(), free.clone(), left);
            state.zero(i);
            left -= 1;
        }
    }

    fn leaf(&mut self, state: &Conditional) {
        if state.error < self.best.0 {
            self.offer(&state.w);
        }
    }

    /// Of the error of every solution below: one more zero costs what it costs alone at least, and all together at least
    /// their squares over the largest eigenvalue.
    fn bound(&self, state: &Conditional, free: &[usize], left: usize) -> f64 {
        let mut alone: Vec<f64> = free.iter().map(|i| state.cost(*i)).collect();
        let mut together: Vec<f64> = free.iter().map(|i| state.w[*i].powi(2) / self.denominators[*i]).collect();
        let (_, dearest, _) = alone.select_nth_unstable_by(left - 1, f64::total_cmp);
        let dearest = *dearest;
        together.select_nth_unstable_by(left - 1, f64::total_cmp);
        state.error + dearest.max(together[..left].iter().sum())
    }
}

/// Kept weights inside the box: cyclic coordinate descent from the free refit, which is convex and ends at its optimum.
fn boxed(form: &Quadratic, w: &[f64], start: &[f64], zeros: &[bool], factor: f64) -> Vec<f64> {
    let low = factor * w.iter().fold(0f64, |m, v| m.min(*v));
    let high = factor * w.iter().fold(0f64, |m, v| m.max(*v));
    let mut values: Vec<f64> = start.iter().map(|v| v.clamp(low, high)).collect();
    if values == start {
        return values;
    }
    let h = form.h();
    let n = w.len();
    for _ in 0..10_000 {
        let mut moved = 0f64;
        for i in (0..n).filter(|i| !zeros[*i]) {
            let pull: f64 = (0..n).map(|j| h[(i, j)] * (w[j] - values[j])).sum();
            let next = (values[i] + pull / h[(i, i)]).clamp(low, high);
            moved = moved.max((next - values[i]).abs());
            values[i] = next;
        }
        if moved <= 1e-12 * (high - low) {
            break;
        }
    }
    values
}

/// Kept weights stay: min ‖Lᵀ(w · m)‖² over masks m with `pruned` ones, coordinate by coordinate from the last.
fn without_refit(form: &Quadratic, w: &[f64], pruned: usize, limit: Limit) -> Found<Vec<f64>> {
    let n = w.len();
    let l = form.cholesky().l();
    // Columns scaled by the weight: what zeroing it does to each row.
    let r = DMatrix::from_fn(n, n, |i, j| l[(j, i)] * w[j]);
    let mut mask = vec![false; n];
    smallest(w, pruned).into_iter().for_each(|i| mask[i] = true);
    let apply = |mask: &[bool]| -> Vec<f64> { w.iter().zip(mask).map(|(v, m)| if *m { 0.0 } else { *v }).collect() };
    let best = (form.error(w, &apply(&mask)), mask);
    let mut search = Masks { r, best, meter: Meter::new(limit), open: f64::INFINITY };
    search.visit(n, pruned, 0.0, &mut vec![false; n]);
    let best = apply(&search.best.1);
    let error = form.error(w, &best);
    let complete = search.open == f64::INFINITY;
    Found { best, error, lower: search.open.min(error), nodes: search.meter.nodes, complete }
}

struct Masks<'a> {
    r: DMatrix<f64>,
    best: (f64, Vec<bool>),
    meter: Meter<'a>,
    open: f64,
}

impl Masks<'_> {
    /// Coordinates `at ..` are decided at a cost of `error`, and `left` of the others are to be zeroed.
    fn visit(&mut self, at: usize, left: usize, error: f64, mask: &mut Vec<bool>) {
        if error >= self.best.0 {
            return;
        }
        if at == 0 {
            self.best = (error, mask.clone());
            return;
        }
        if !self.meter.spend() {
            self.open = self.open.min(error);
            return;
        }
        let i = at - 1;
        let rest: f64 = (at..mask.len()).filter(|j| mask[*j]).map(|j| self.r[(i, j)]).sum();
        let keep = error + rest * rest;
        let zero = error + (rest + self.r[(i, i)]).powi(2);
        let mut children = [(keep, false), (zero, true)];
        if zero < keep {
            children.swap(0, 1);
        }
        for (cost, zeroed) in children {
            // As many zeros as are left must fit among the coordinates that are.
            let left = if zeroed { left.checked_sub(1) } else { Some(left) };
            if let Some(left) = left.filter(|left| *left <= i) {
                mask[i] = zeroed;
                self.visit(i, left, cost, mask);
                mask[i] = false;
            }
        }
    }
}
