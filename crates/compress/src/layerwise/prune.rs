//! Layers with zeros: kept weights refitted, and with compensation (SparseGPT), which may also put what it keeps on a grid.

use lantern_graph::{Error, Result};
use nalgebra::{Cholesky, DMatrix, DVector};

use super::matrix::{magnitude, masked};
use super::quantized::{QuantizedLayer, fit_all};
use super::sweep::{Decide, Factor, sweep};
use crate::prune::{Mask, Sparsity, least};
use crate::quadratic::Quadratic;
use crate::quantize::{Granularity, Uniform};

/// The best weights with these zeros: least squares on the kept, channel by channel, w_K + H_KK⁻¹H_KS w_S. O(kept³) each.
///
/// # Errors
/// `compress.size` when mask, weights and H differ in size.
pub fn refit(form: &Quadratic, weights: &DMatrix<f64>, mask: &Mask) -> Result<DMatrix<f64>> {
    let n = form.n();
    if weights.nrows() != n || mask.0.len() != weights.len() {
        return Err(Error::new(
            "compress.size",
            format!("a mask of {} for {} weights on {n} inputs", mask.0.len(), weights.len()),
            "give a mask of the weights' size",
        ));
    }
    let mut out = weights.clone();
    for (mut channel, keep) in out.column_iter_mut().zip(mask.0.chunks_exact(n)) {
        let (kept, zeroed): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| keep[*i]);
        let pull = DVector::from_iterator(
            kept.len(),
            kept.iter().map(|i| zeroed.iter().map(|j| form.h()[(*i, *j)] * channel[*j]).sum()),
        );
        let inner = DMatrix::from_fn(kept.len(), kept.len(), |i, j| form.h()[(kept[i], kept[j])]);
        // A principal part of a positive definite matrix is one too; where rounding says otherwise, weights stay.
        if let Some(cholesky) = Cholesky::new(inner).filter(|_| !kept.is_empty()) {
            let step = cholesky.solve(&pull);
            kept.iter().zip(&step).for_each(|(i, by)| channel[*i] += by);
        }
        zeroed.iter().for_each(|i| channel[*i] = 0.0);
    }
    Ok(out)
}

/// Inputs among which SparseGPT spends its share of zeros before it goes on.
const MASK_BLOCK: usize = 128;

/// Frantar and Alistarh 2023, "SparseGPT", arXiv 2301.00774: zeroes what costs least by w²/U_ii², and the inputs after make
/// up for it. `weights`: `[n, channels]`, a column a channel.
///
/// # Errors
/// `compress.sparsity`; `compress.order` for N:M and a factor not in natural order: its neighbours are no neighbours.
pub fn sparsegpt(weights: &DMatrix<f64>, factor: &Factor, sparsity: Sparsity) -> Result<(DMatrix<f64>, Mask)> {
    sparsity.check_rows(weights.nrows())?;
    if matches!(sparsity, Sparsity::NOfM { .. }) {
        check_natural(factor, "dropping among neighbours")?;
    }
    let mut out = weights.clone();
    let mut decide = Prune::new(factor, sparsity, weights.len(), None);
    sweep(&mut out, factor, decide.block_size(), &mut decide);
    Ok((out, decide.keep))
}

/// SparseGPT that puts what it keeps on a grid in the same sweep, so that the inputs after make up for both. Scales are
/// fitted to a group's kept weights when it begins. A weight that is 0 in the result was dropped or rounded to 0; the mask
/// says which.
///
/// # Errors
/// `compress.sparsity`, `compress.bits`, `compress.group`, `compress.range`; `compress.order` for a factor not in natural order.
pub fn joint(
    weights: &DMatrix<f64>,
    factor: &Factor,
    sparsity: Sparsity,
    quantizer: Uniform,
) -> Result<(QuantizedLayer, Mask)> {
    sparsity.check_rows(weights.nrows())?;
    quantizer.check()?;
    check_natural(factor, "pruning and quantizing in one sweep")?;
    let mut quantized = QuantizedLayer::new(quantizer, weights.nrows(), weights.ncols());
    // Of a scale for more than a group, the zeros to come are not known yet: magnitude tells them well enough.
    fit_all(&mut quantized, &masked(weights, &magnitude(weights, sparsity)?));
    let mut decide = Prune::new(factor, sparsity, weights.len(), Some(quantized));
    sweep(&mut weights.clone(), factor, decide.block_size(), &mut decide);
    Ok((decide.quantized.expect("it was put there"), decide.keep))
}

fn check_natural(factor: &Factor, what: &str) -> Result<()> {
    if factor.is_natural() {
        return Ok(());
    }
    Err(Error::new("compress.order", format!("{what}, with inputs out of order"), "use the natural order"))
}

struct Prune<'a> {
    factor: &'a Factor,
    sparsity: Sparsity,
    keep: Mask,
    /// The current block.
    from: usize,
    to: usize,
    quantized: Option<QuantizedLayer>,
}

impl<'a> Prune<'a> {
    fn new(factor: &'a Factor, sparsity: Sparsity, weights: usize, quantized: Option<QuantizedLayer>) -> Self {
        Self { factor, sparsity, keep: Mask(vec![true; weights]), from: 0, to: 0, quantized }
    }

    /// A block ends where a group of neighbours ends.
    fn block_size(&self) -> usize {
        let m = match self.sparsity {
            Sparsity::NOfM { m, .. } => m,
            Sparsity::Share(_) => 1,
        };
        let both = lcm(self.group().unwrap_or(1), m);
        MASK_BLOCK.next_multiple_of(both).min(self.factor.n().max(1))
    }

    /// Neighbours whose scale is fitted when the first of them comes.
    fn group(&self) -> Option<usize> {
        let granularity = self.quantized.as_ref()?.quantizer.granularity;
        matches!(granularity, Granularity::Group(_)).then(|| granularity.group(self.factor.n()))
    }

    /// Where the mask has a weight.
    fn at(&self, c: usize, place: usize) -> usize {
        c * self.factor.n() + self.factor.order[place]
    }

    fn score(&self, place: usize, w: f64) -> f64 {
        // U_ii of H⁻¹ = UᵀU is L_ii.
        (w / self.factor.l[(place, place)]).powi(2)
    }
}

/// The least common multiple.
fn lcm(a: usize, b: usize) -> usize {
    let (mut gcd, mut rest) = (a, b);
    while rest > 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    a / gcd * b
}

impl Decide for Prune<'_> {
    fn block(&mut self, weights: &DMatrix<f64>, from: usize, to: usize) {
        (self.from, self.to) = (from, to);
        if matches!(self.sparsity, Sparsity::NOfM { .. }) {
            return;
        }
        let width = to - from;
        let mut scores = Vec::with_capacity(width * weights.ncols());
        for channel in weights.column_iter() {
            scores.extend((from..to).map(|place| self.score(place, channel[place])));
        }
        // All blocks together have the share of the whole, to the weight.
        let total = |end: usize| self.sparsity.dropped(end * weights.ncols());
        for k in least(&scores, total(to) - total(from)) {
            let at = self.at(k / width, from + k % width);
            self.keep.0[at] = false;
        }
    }

    fn put(&mut self, c: usize, place: usize, channel: &[f64]) -> f64 {
        if let Sparsity::NOfM { m, .. } = self.sparsity
            && (place - self.from).is_multiple_of(m)
        {
            let end = (place + m).min(self.to);
            let scores: Vec<f64> = (place..end).map(|p| self.score(p, channel[p])).collect();
            for k in least(&scores, self.sparsity.dropped(scores.len())) {
                let at = self.at(c, place + k);
                self.keep.0[at] = false;
            }
        }
        let (at, group) = (self.at(c, place), self.group());
        let value = if self.keep.0[at] { channel[place] } else { 0.0 };
        let Some(quantized) = &mut self.quantized else { return value };
        // Natural order: `place` is the input.
        if let Some(group) = group.filter(|group| place.is_multiple_of(*group)) {
            let end = (place + group).min(self.to);
            let kept: Vec<f64> = (place..end).filter(|p| self.keep.0[at - place + p]).map(|p| channel[p]).collect();
            quantized.fit_group(c, place, &kept);
        }
        quantized.put(c, place, value)
    }
}
