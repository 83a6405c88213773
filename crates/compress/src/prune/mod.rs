//! Which weights to drop, by magnitude; what looks at activations is in `layerwise`.
//!
//! Where magnitudes are equal, those that come first are kept, so that a share of n weights is always exactly that many.

mod rank;
mod sparsity;

pub use rank::{Cut, RankSelect};
pub use sparsity::Sparsity;
pub(crate) use sparsity::least;

use crate::quantize::check;
use crate::snr_db;
use lantern_graph::Result;

/// Which weights stay, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(pub Vec<bool>);

impl Mask {
    /// The share that is dropped.
    pub fn sparsity(&self) -> f64 {
        self.0.iter().filter(|keep| !**keep).count() as f64 / self.0.len().max(1) as f64
    }

    pub fn apply(&self, values: &[f32]) -> Vec<f32> {
        values.iter().zip(&self.0).map(|(v, keep)| if *keep { *v } else { 0.0 }).collect()
    }

    /// Energy of all over energy of what is dropped.
    pub fn snr_db(&self, values: &[f32]) -> f64 {
        let square = |v: &f32| f64::from(*v).powi(2);
        let dropped = values.iter().zip(&self.0).filter(|(_, keep)| !**keep).map(|(v, _)| square(v)).sum();
        snr_db(values.iter().map(square).sum(), dropped)
    }
}

/// Drops the smallest of a tensor, or of every few neighbours. `values`: rows of `columns`.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.shape`, `compress.not_a_number`.
pub fn magnitude(values: &[f32], columns: usize, sparsity: Sparsity) -> Result<Mask> {
    check(values, columns)?;
    sparsity.check_rows(columns)?;
    match sparsity {
        Sparsity::Share(share) => Ok(global(&[values], share)?.pop().expect("one went in")),
        Sparsity::NOfM { m, .. } => {
            let mut keep = vec![true; values.len()];
            let groups = values.chunks(columns).flat_map(|row| row.chunks(m));
            let mut at = 0;
            for group in groups {
                let scores: Vec<f64> = group.iter().map(|v| f64::from(v.abs())).collect();
                least(&scores, sparsity.dropped(group.len())).into_iter().for_each(|i| keep[at + i] = false);
                at += group.len();
            }
            Ok(Mask(keep))
        }
    }
}

/// Drops the smallest of all tensors together: some lose more than others.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.not_a_number`.
pub fn global(tensors: &[&[f32]], share: f64) -> Result<Vec<Mask>> {
    Sparsity::Share(share).check()?;
    tensors.iter().try_for_each(|tensor| check(tensor, 1))?;
    let total: usize = tensors.iter().map(|t| t.len()).sum();
    let mut select = RankSelect::new(Sparsity::Share(share).dropped(total) as u64);
    tensors.iter().for_each(|tensor| select.add(tensor));
    let mut select = select.refine();
    tensors.iter().for_each(|tensor| select.add(tensor));
    let mut cut = select.finish();
    Ok(tensors.iter().map(|tensor| cut.mask(tensor)).collect())
}

/// What is dropped whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Output channels.
    Rows,
    /// Input channels.
    Columns,
}

/// Drops a share of the rows or columns, those with the least energy.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.shape`, `compress.not_a_number`.
pub fn structured(values: &[f32], columns: usize, structure: Structure, share: f64) -> Result<Mask> {
    let sparsity = Sparsity::Share(share);
    sparsity.check()?;
    check(values, columns)?;
    let (count, of): (usize, fn(usize, usize) -> usize) = match structure {
        Structure::Rows => (values.len() / columns, |i, columns| i / columns),
        Structure::Columns => (columns, |i, columns| i % columns),
    };
    let mut energy = vec![0f64; count];
    for (i, value) in values.iter().enumerate() {
        energy[of(i, columns)] += f64::from(*value).powi(2);
    }
    let mut keep = vec![true; count];
    least(&energy, sparsity.dropped(count)).into_iter().for_each(|i| keep[i] = false);
    Ok(Mask((0..values.len()).map(|i| keep[of(i, columns)]).collect()))
}
