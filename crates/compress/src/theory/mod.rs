//! Expected errors, and the best each method can do.
//!
//! From parameters to curves: [`curve`] gives both methods at every bit width, [`compare`] at one, [`quantization_error`] and
//! [`pruning`] at a step or sparsity of the caller's choice.

mod bound;
mod codes;
mod crossover;
mod density;
mod joint;
mod prune;
mod quantize;
mod search;

pub use bound::{differential_entropy_bits, gaussian_bound_db, shannon_lower_bound_db};
pub use codes::{code_entropy_bits, code_masses};
pub use crossover::{Crossover, student_t_crossover};
pub use density::{LossDensity, loss_densities};
pub use joint::{Joint, best_joint, joint};
pub use prune::{Pruned, pruning};
pub use quantize::{BestStep, best_step, codebook_error, quantization_error};
pub use search::minimize;

use crate::cost::{Charge, FULL_BITS};
use crate::distribution::Distribution;
use crate::grid::Codes;
use crate::snr_db;
use lantern_graph::{Error, Result};

/// Bit widths that are compared.
pub const BITS: std::ops::RangeInclusive<u32> = 2..=8;

/// Both methods at one size.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Comparison {
    pub bits: u32,
    pub quant_snr_db: f64,
    pub prune_snr_db: f64,
    /// Distance of levels.
    pub step: f64,
    /// The largest level.
    pub clip: f64,
    /// Weights of smaller magnitude are pruned.
    pub threshold: f64,
    /// The share that is pruned.
    pub sparsity: f64,
    /// Bits a weight that a perfect entropy coder would need for the quantizer's codes.
    pub code_entropy_bits: f64,
    /// The share of weights that the quantizer makes 0.
    pub natural_zeros: f64,
}

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    pub codes: Codes,
    pub charge: Charge,
    /// Whether pruning is held to the size that is left when the quantizer's own zeros, a share z, are not stored either: the
    /// paper's "corrected" comparison, keep = (1 − z) · b/16. Where masks are charged, the quantizer pays for its own,
    /// unless that costs more than it saves.
    pub natural_zeros: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { codes: Codes::Integer, charge: Charge::Free, natural_zeros: false }
    }
}

/// The quantizer with the best step, and the pruner of the same size. `distribution` is asked a few thousand times: put a
/// [`crate::distribution::Table`] before a slow one.
///
/// # Errors
/// `compress.bits` for a width that is not one of [`BITS`].
pub fn compare(distribution: &dyn Distribution, bits: u32, terms: Terms) -> Result<Comparison> {
    check_bits(bits)?;
    let energy = distribution.energy();
    let best = best_step(distribution, terms.codes, bits);
    let grid = terms.codes.grid(bits, best.step);
    let masses = code_masses(distribution, &grid);
    let natural_zeros = masses[(-grid.low) as usize];
    let size = if terms.natural_zeros && natural_zeros > 0.0 {
        let without = (1.0 - natural_zeros) * f64::from(bits) + terms.charge.mask_bits(1.0 - natural_zeros);
        without.min(f64::from(bits))
    } else {
        f64::from(bits)
    };
    let keep = terms.charge.keep(size, FULL_BITS);
    let pruned = pruning(distribution, 1.0 - keep);
    Ok(Comparison {
        bits,
        quant_snr_db: snr_db(energy, best.error),
        prune_snr_db: snr_db(energy, pruned.error),
        step: best.step,
        clip: grid.value(grid.high),
        threshold: pruned.threshold,
        sparsity: pruned.sparsity,
        code_entropy_bits: code_entropy_bits(&masses),
        natural_zeros,
    })
}

/// [`compare`] at each width.
///
/// # Errors
/// As [`compare`].
pub fn curve(
    distribution: &dyn Distribution,
    bits: impl IntoIterator<Item = u32>,
    terms: Terms,
) -> Result<Vec<Comparison>> {
    bits.into_iter().map(|b| compare(distribution, b, terms)).collect()
}

/// # Errors
/// `compress.bits`.
pub fn check_bits(bits: u32) -> Result<()> {
    if BITS.contains(&bits) {
        return Ok(());
    }
    let (least, most) = (BITS.start(), BITS.end());
    Err(Error::new(
        "compress.bits",
        format!("{bits} bits a weight were asked for"),
        format!("ask for {least} to {most}"),
    ))
}
