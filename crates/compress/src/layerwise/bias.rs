//! Bias correction: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv
//! 1906.04721. Rounding shifts a layer's mean output by (Ŵ − W)E[x]; the bias takes it back.

use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use crate::quadratic::Gram;

/// What to add to each channel's bias. `weights` and `other`: `[n, channels]`, before and after; inputs as seen by `gram`.
/// The mean squared error of a channel's output falls by the square of it, exactly.
///
/// # Errors
/// `compress.size` when the sizes differ; `compress.calibration` when no inputs were seen.
pub fn bias_correction(weights: &DMatrix<f64>, other: &DMatrix<f64>, gram: &Gram) -> Result<Vec<f64>> {
    if weights.shape() != other.shape() || weights.nrows() != gram.n() {
        return Err(Error::new(
            "compress.size",
            format!("weights of {:?} and {:?} on {} inputs", weights.shape(), other.shape(), gram.n()),
            "give a layer before and after, and its own inputs",
        ));
    }
    if gram.rows() == 0 {
        return Err(Error::new("compress.calibration", "no inputs were seen", "give a text to calibrate on"));
    }
    let means = gram.means();
    let columns = weights.column_iter().zip(other.column_iter());
    Ok(columns.map(|(w, v)| w.iter().zip(v.iter()).zip(&means).map(|((w, v), mean)| (w - v) * mean).sum()).collect())
}
