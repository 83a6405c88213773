//! Weights as matrices `[n, channels]`, a column a channel, from and to the rows of a file, `[channels, n]`.

use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use crate::prune::{self, Mask, Sparsity};

/// # Errors
/// `compress.size` when rows are broken; `compress.not_a_number`.
pub fn channels(values: &[f32], n: usize) -> Result<DMatrix<f64>> {
    if n == 0 || values.is_empty() || !values.len().is_multiple_of(n) {
        return Err(Error::new(
            "compress.size",
            format!("{} weights do not make channels of {n}", values.len()),
            "give whole rows, one an output channel",
        ));
    }
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::new(
            "compress.not_a_number",
            format!("weight {} of channel {} is {}", i % n, i / n, values[i]),
            "the file is damaged, or training diverged: get it again",
        ));
    }
    Ok(DMatrix::from_iterator(n, values.len() / n, values.iter().map(|v| f64::from(*v))))
}

/// Row by row, or any other numbers, as f32.
pub fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// [`prune::magnitude`] of `weights`, `[n, channels]`.
///
/// # Errors
/// As there.
pub fn magnitude(weights: &DMatrix<f64>, sparsity: Sparsity) -> Result<Mask> {
    prune::magnitude(&floats(weights.as_slice()), weights.nrows(), sparsity)
}

/// `weights` `[n, channels]` with what `mask` drops at zero.
pub fn masked(weights: &DMatrix<f64>, mask: &Mask) -> DMatrix<f64> {
    let mut out = weights.clone();
    out.iter_mut().zip(&mask.0).filter(|(_, keep)| !**keep).for_each(|(w, _)| *w = 0.0);
    out
}
