//! Layers with zeros: by magnitude, by magnitude with the kept weights refitted, and with compensation (SparseGPT), which
//! may also put what it keeps on a grid.

use lantern_graph::{Error, Result};
use nalgebra::{Cholesky, DMatrix, DVector};

use super::grid::{Granularity, Quantizer};
use super::quantized::{Quantized, fit_all};
use super::sweep::{Decide, Factor, sweep};
use crate::quadratic::Quadratic;

/// Which weights may be zeroed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sparsity {
    /// This share of the layer, wherever.
    Share(f64),
    /// `zeros` of every `of` neighbours in a row: 2:4, 4:8. A last group that is shorter loses its share, rounded down.
    Structured { zeros: usize, of: usize },
}

impl Sparsity {
    /// What equals `bits` a weight beside 16, the mask not charged: 1 − bits / 16.
    pub fn at_bits(bits: f64) -> Self {
        Self::Share(1.0 - bits / 16.0)
    }

    pub fn share(self) -> f64 {
        match self {
            Self::Share(share) => share,
            Self::Structured { zeros, of } => zeros as f64 / of.max(1) as f64,
        }
    }

    /// # Errors
    /// `compress.sparsity`.
    pub fn check(self) -> Result<()> {
        let fits = match self {
            Self::Share(share) => (0.0..=1.0).contains(&share),
            Self::Structured { zeros, of } => of > 0 && zeros <= of,
        };
        if fits {
            return Ok(());
        }
        Err(Error::new(
            "compress.sparsity",
            format!("a sparsity of {self:?}"),
            "ask for a share from 0 to 1, or for no more zeros than there are neighbours",
        ))
    }

    /// Zeros among `count` weights.
    pub(crate) fn zeros(self, count: usize) -> usize {
        match self {
            Self::Share(share) => (share * count as f64).round() as usize,
            Self::Structured { zeros, of } => count * zeros / of.max(1),
        }
    }
}

/// Marks the `count` least of `scores`; of equals, the first.
fn mark_least(scores: &[f64], count: usize, mut mark: impl FnMut(usize)) {
    let count = count.min(scores.len());
    if count == 0 {
        return;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, by_score);
    }
    order[..count].iter().for_each(|i| mark(*i));
}

/// `true` where a weight is zeroed: the least in magnitude, of the layer or of every few neighbours. `weights`: `[n,
/// channels]`, a column a channel; the mask likewise, flat.
///
/// # Errors
/// `compress.sparsity`.
pub fn magnitude_mask(weights: &DMatrix<f64>, sparsity: Sparsity) -> Result<Vec<bool>> {
    sparsity.check()?;
    let mut mask = vec![false; weights.len()];
    let scores: Vec<f64> = weights.iter().map(|w| w.abs()).collect();
    match sparsity {
        Sparsity::Share(_) => mark_least(&scores, sparsity.zeros(scores.len()), |i| mask[i] = true),
        Sparsity::Structured { of, .. } => {
            let n = weights.nrows().max(1);
            for (c, channel) in scores.chunks(n).enumerate() {
                for (g, group) in channel.chunks(of).enumerate() {
                    mark_least(group, sparsity.zeros(group.len()), |i| mask[c * n + g * of + i] = true);
                }
            }
        }
    }
    Ok(mask)
}

/// Zeroes the least in magnitude.
///
/// # Errors
/// `compress.sparsity`.
pub fn magnitude(weights: &DMatrix<f64>, sparsity: Sparsity) -> Result<DMatrix<f64>> {
    let mask = magnitude_mask(weights, sparsity)?;
    let mut out = weights.clone();
    out.iter_mut().zip(&mask).filter(|(_, zero)| **zero).for_each(|(w, _)| *w = 0.0);
    Ok(out)
}

/// The best weights with these zeros: least squares on the kept, channel by channel, w_K + H_KK⁻¹H_KS w_S. O(kept³) each.
///
/// # Errors
/// `compress.size` when mask, weights and H differ in size.
pub fn refit(form: &Quadratic, weights: &DMatrix<f64>, mask: &[bool]) -> Result<DMatrix<f64>> {
    let n = form.n();
    if weights.nrows() != n || mask.len() != weights.len() {
        return Err(Error::new(
            "compress.size",
            format!("a mask of {} for {} weights on {n} inputs", mask.len(), weights.len()),
            "give a mask of the weights' size",
        ));
    }
    let mut out = weights.clone();
    for (mut channel, mask) in out.column_iter_mut().zip(mask.chunks_exact(n)) {
        let (kept, zeroed): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| !mask[*i]);
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
/// `compress.sparsity`.
pub fn sparsegpt(weights: &DMatrix<f64>, factor: &Factor, sparsity: Sparsity) -> Result<DMatrix<f64>> {
    sparsity.check()?;
    let mut out = weights.clone();
    let mut decide = Prune::new(factor, sparsity, weights.len(), None);
    sweep(&mut out, factor, decide.block_size(), &mut decide);
    Ok(out)
}

/// SparseGPT that puts what it keeps on a grid in the same sweep, so that the inputs after make up for both. Scales are
/// fitted to a group's kept weights when it begins. A weight that is 0 in the result was zeroed or rounded to 0; the mask,
/// `[channels, n]`, says which.
///
/// # Errors
/// `compress.sparsity`, `compress.bits`, `compress.group`; `compress.order` for a factor not in natural order.
pub fn joint(
    weights: &DMatrix<f64>,
    factor: &Factor,
    sparsity: Sparsity,
    quantizer: Quantizer,
) -> Result<(Quantized, Vec<bool>)> {
    sparsity.check()?;
    quantizer.check()?;
    if !factor.is_natural() {
        return Err(Error::new(
            "compress.order",
            "pruning and quantizing in one sweep with inputs out of order",
            "use the natural order",
        ));
    }
    let mut quantized = Quantized::new(quantizer, weights.nrows(), weights.ncols());
    // Of a scale for more than a group, the zeros to come are not known yet: magnitude tells them well enough.
    fit_all(&mut quantized, &magnitude(weights, sparsity)?);
    let mut decide = Prune::new(factor, sparsity, weights.len(), Some(quantized));
    sweep(&mut weights.clone(), factor, decide.block_size(), &mut decide);
    let mask = decide.mask;
    Ok((decide.quantized.expect("it was put there"), mask))
}

struct Prune<'a> {
    factor: &'a Factor,
    sparsity: Sparsity,
    /// `[channels, n]`, in natural order.
    mask: Vec<bool>,
    /// Of the current block, `[channels, to − from]`.
    from: usize,
    to: usize,
    quantized: Option<Quantized>,
}

impl<'a> Prune<'a> {
    fn new(factor: &'a Factor, sparsity: Sparsity, weights: usize, quantized: Option<Quantized>) -> Self {
        Self { factor, sparsity, mask: vec![false; weights], from: 0, to: 0, quantized }
    }

    /// A block ends where a group of neighbours ends.
    fn block_size(&self) -> usize {
        let n = self.factor.n().max(1);
        let of = match self.sparsity {
            Sparsity::Structured { of, .. } => of,
            Sparsity::Share(_) => 1,
        };
        let group = match &self.quantized {
            Some(q) if matches!(q.quantizer.granularity, Granularity::Group(_)) => q.quantizer.group(n),
            _ => 1,
        };
        MASK_BLOCK.next_multiple_of(group).next_multiple_of(of).min(n)
    }

    fn at(&self, c: usize, place: usize) -> usize {
        c * self.factor.n() + self.factor.order[place]
    }

    fn score(&self, place: usize, w: f64) -> f64 {
        // U_ii of H⁻¹ = UᵀU is L_ii.
        (w / self.factor.l[(place, place)]).powi(2)
    }
}

impl Decide for Prune<'_> {
    fn block(&mut self, weights: &DMatrix<f64>, from: usize, to: usize) {
        (self.from, self.to) = (from, to);
        let Sparsity::Share(share) = self.sparsity else { return };
        let width = to - from;
        let mut scores = Vec::with_capacity(width * weights.ncols());
        for channel in weights.column_iter() {
            scores.extend((from..to).map(|place| self.score(place, channel[place])));
        }
        // All blocks together have the share of the whole, to the weight.
        let total = |end: usize| (share * (end * weights.ncols()) as f64).round() as usize;
        let mut least = Vec::new();
        mark_least(&scores, total(to) - total(from), |k| least.push(k));
        for k in least {
            let at = self.at(k / width, from + k % width);
            self.mask[at] = true;
        }
    }

    fn put(&mut self, c: usize, place: usize, channel: &[f64]) -> f64 {
        if let Sparsity::Structured { of, .. } = self.sparsity
            && (place - self.from).is_multiple_of(of)
        {
            let end = (place + of).min(self.to);
            let scores: Vec<f64> = (place..end).map(|p| self.score(p, channel[p])).collect();
            let mut least = Vec::new();
            mark_least(&scores, self.sparsity.zeros(scores.len()), |k| least.push(k));
            for k in least {
                let at = self.at(c, place + k);
                self.mask[at] = true;
            }
        }
        let at = self.at(c, place);
        let Some(quantized) = &mut self.quantized else {
            return if self.mask[at] { 0.0 } else { channel[place] };
        };
        // Natural order: `place` is the input.
        let group = quantized.quantizer.group(quantized.n);
        if matches!(quantized.quantizer.granularity, Granularity::Group(_)) && place.is_multiple_of(group) {
            let end = (place + group).min(self.to);
            let masked = (place..end).filter(|p| !self.mask[at - place + p]);
            let kept: Vec<f64> = masked.map(|p| channel[p]).collect();
            let groups = quantized.groups();
            quantized.grids[c * groups + place / group] = quantized.quantizer.fit(&kept);
        }
        if self.mask[at] {
            return 0.0;
        }
        let grid = quantized.grid(c, place);
        let code = grid.code(channel[place]);
        quantized.codes[at] = code as i8;
        grid.value(code)
    }
}
