//! Where pruning overtakes quantization.

use super::{Terms, check_bits, compare};
use crate::distribution::{Distribution, StudentT, Table};
use lantern_graph::{Error, Result};

/// The truncation at which both methods lose the same: beyond it tails are so heavy that pruning loses less.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Crossover {
    pub truncate: f64,
    pub kurtosis: f64,
    /// Of both methods.
    pub snr_db: f64,
}

/// Truncations that are tried, in ratios of this.
const START: f64 = 0.5;
const MOST: f64 = 1e9;
const RATIO: f64 = 1.5;

/// The least r from which on pruning wins for a Student-t cut off at ±r.
///
/// # Errors
/// `compress.bits`, `compress.distribution` for a ν that is none, `compress.no_crossover` where quantization wins at every r up
/// to 10⁹.
pub fn student_t_crossover(nu: f64, bits: u32, terms: Terms) -> Result<Crossover> {
    check_bits(bits)?;
    let at = |r: f64| -> Result<_> {
        let t = StudentT::new(nu, r)?;
        let both = compare(&Table::new(&t), bits, terms)?;
        Ok((both.quant_snr_db - both.prune_snr_db, both.quant_snr_db, t.kurtosis()))
    };
    let (mut low, mut high) = (START, START);
    // Cut off short enough, it is uniform, and quantization wins.
    while at(low)?.0 <= 0.0 {
        (low, high) = (low / RATIO, low);
    }
    while at(high)?.0 > 0.0 {
        (low, high) = (high, high * RATIO);
        if low > MOST {
            return Err(Error::new(
                "compress.no_crossover",
                format!("with ν = {nu} and {bits} bits, quantization loses less whatever the truncation, up to ±10⁹"),
                "tails that heavy take a smaller ν, or fewer bits",
            ));
        }
    }
    // Bisection in ln r: to 10⁻⁵, which is finer than the curves are apart.
    while high / low > 1.0 + 1e-5 {
        let middle = (low * high).sqrt();
        if at(middle)?.0 > 0.0 { low = middle } else { high = middle }
    }
    let (_, snr_db, kurtosis) = at(high)?;
    Ok(Crossover { truncate: high, kurtosis, snr_db })
}
