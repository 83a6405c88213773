//! Which weights to drop.
//!
//! All of it by magnitude; what looks at activations is in `layerwise`. Where magnitudes are equal, those that come first
//! are kept, so that a share of n weights is always exactly that many.

mod rank;

pub use rank::RankSelect;

use crate::quantize::check;
use crate::snr_db;
use lantern_graph::{Error, Result};

/// Which weights stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(pub Vec<bool>);

impl Mask {
    /// The share that is dropped.
    pub fn sparsity(&self) -> f64 {
        self.0.iter().filter(|keep| !**keep).count() as f64 / self.0.len() as f64
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

/// The ⌊sparsity · n⌉ smallest of a tensor.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.not_a_number`.
pub fn magnitude(values: &[f32], sparsity: f64) -> Result<Mask> {
    Ok(global(&[values], sparsity)?.pop().unwrap_or(Mask(Vec::new())))
}

/// The smallest of all tensors together: some lose more than others.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.not_a_number`.
pub fn global(tensors: &[&[f32]], sparsity: f64) -> Result<Vec<Mask>> {
    check_sparsity(sparsity)?;
    let total: usize = tensors.iter().map(|t| t.len()).sum();
    for tensor in tensors {
        check(tensor, 1)?;
    }
    let drop = (sparsity * total as f64).round() as u64;
    let mut select = RankSelect::new(drop);
    for tensor in tensors {
        select.add(tensor);
    }
    let mut select = select.refine();
    for tensor in tensors {
        select.add(tensor);
    }
    let cut = select.finish();
    // Of those at the cut, the last ones are dropped.
    let mut keep_at_cut = cut.keep;
    let masks = tensors.iter().map(|tensor| {
        let keep = |v: &f32| match v.abs().total_cmp(&cut.magnitude) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => {
                let keep = keep_at_cut > 0;
                keep_at_cut = keep_at_cut.saturating_sub(1);
                keep
            }
        };
        Mask(tensor.iter().map(keep).collect())
    });
    Ok(masks.collect())
}

/// Of every m neighbours in a row the n largest stay; of a shorter rest of a row as many as fit, at most n.
///
/// # Errors
/// `compress.n_m` unless 0 < n ≤ m, `compress.empty`, `compress.shape`, `compress.not_a_number`.
pub fn n_of_m(values: &[f32], columns: usize, n: usize, m: usize) -> Result<Mask> {
    check(values, columns)?;
    if n == 0 || n > m {
        let cause = format!("{n} of every {m} weights were to stay");
        return Err(Error::new("compress.n_m", cause, "ask for such as 2:4 or 4:8"));
    }
    let mut keep = vec![false; values.len()];
    for (keep, row) in keep.chunks_mut(columns).zip(values.chunks(columns)) {
        for (keep, group) in keep.chunks_mut(m).zip(row.chunks(m)) {
            for i in largest(group.iter().map(|v| f64::from(v.abs())), n) {
                keep[i] = true;
            }
        }
    }
    Ok(Mask(keep))
}

/// What is dropped whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Output channels.
    Rows,
    /// Input channels.
    Columns,
}

/// The ⌊sparsity · count⌉ rows or columns with the least energy.
///
/// # Errors
/// `compress.sparsity`, `compress.empty`, `compress.shape`, `compress.not_a_number`.
pub fn structured(values: &[f32], columns: usize, structure: Structure, sparsity: f64) -> Result<Mask> {
    check_sparsity(sparsity)?;
    check(values, columns)?;
    let rows = values.len() / columns;
    let (count, of) = match structure {
        Structure::Rows => (rows, (|i, columns| i / columns) as fn(usize, usize) -> usize),
        Structure::Columns => (columns, (|i, columns| i % columns) as fn(usize, usize) -> usize),
    };
    let mut energy = vec![0f64; count];
    for (i, value) in values.iter().enumerate() {
        energy[of(i, columns)] += f64::from(*value).powi(2);
    }
    let stay = count - (sparsity * count as f64).round() as usize;
    let mut keep = vec![false; count];
    for i in largest(energy.iter().copied(), stay) {
        keep[i] = true;
    }
    Ok(Mask((0..values.len()).map(|i| keep[of(i, columns)]).collect()))
}

/// Places of the n largest, the first of equals.
fn largest(values: impl Iterator<Item = f64>, n: usize) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = values.enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order.into_iter().take(n).map(|(i, _)| i).collect()
}

fn check_sparsity(sparsity: f64) -> Result<()> {
    if (0.0..=1.0).contains(&sparsity) {
        return Ok(());
    }
    Err(Error::new("compress.sparsity", format!("a share of {sparsity} was to be pruned"), "ask for 0 to 1"))
}
