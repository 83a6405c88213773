//! Pruning and quantizing what is left: one quantizer with a wide zero cell.
//!
//! Weights with |w| < τ become 0 and cost their place in a mask. The rest have a sign and a magnitude on a grid that starts
//! at τ: levels τ + (i + ½) step, mid-rise, so no level is spent on what was pruned.

use super::{prune::pruning, search};
use crate::cost::Charge;
use crate::distribution::{Distribution, Moments};
use lantern_graph::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Joint {
    /// Bits of a weight that is kept, its sign among them.
    pub survivor_bits: u32,
    pub sparsity: f64,
    pub threshold: f64,
    pub step: f64,
    pub snr_db: f64,
}

/// Bits of a survivor that are looked at: beyond ten, the mask's cost and the pruned rest are all that is lost.
const SURVIVOR_BITS: std::ops::RangeInclusive<u32> = 1..=10;

/// At `bits` a weight in all, survivors of `survivor_bits` (1 to 10) each: as many are kept as the charge for the mask allows.
///
/// # Errors
/// `compress.bits` where not even the mask can be paid, or nothing has to be pruned.
pub fn joint(distribution: &dyn Distribution, bits: f64, survivor_bits: u32, charge: Charge) -> Result<Joint> {
    let is_known = SURVIVOR_BITS.contains(&survivor_bits);
    let keep = if is_known { charge.keep_with_mask(bits, f64::from(survivor_bits)) } else { f64::NAN };
    // Where all are kept there is no mask, and nothing joint about it.
    if !(keep > 0.0 && keep < 1.0) {
        return Err(Error::new(
            "compress.bits",
            format!("{bits} bits a weight are no mask and a part of the weights in {survivor_bits} bits each"),
            "ask for more bits a weight than the mask takes, and survivors of more than that, 10 at most",
        ));
    }
    let pruned = pruning(distribution, 1.0 - keep);
    let energy = distribution.energy();
    let levels = 1u32 << (survivor_bits - 1);
    let error = |step: f64| pruned.error + survivor_error(distribution, pruned.threshold, step, levels);
    // A grid shorter than the mean excess leaves most of it, one with a step far beyond it puts all on its first level.
    let kept = distribution.beyond(pruned.threshold);
    let excess = kept.error_from(pruned.threshold).max(f64::MIN_POSITIVE);
    let spread = (excess / kept.mass).sqrt();
    let start = spread * 4.0 / f64::from(levels + 1);
    let reach = distribution.reach() - pruned.threshold;
    let found = search::minimize_log(
        &error,
        start.min(reach),
        search::RATIO,
        &|step, best| {
            let reached = step * f64::from(levels);
            reached >= spread * (1.0 - ((best - pruned.error) / excess).max(0.0).sqrt())
        },
        &|step, _| step <= 8.0 * spread.max(start) && step <= 2.0 * reach,
    );
    Ok(Joint {
        survivor_bits,
        sparsity: pruned.sparsity,
        threshold: pruned.threshold,
        step: found.at,
        snr_db: crate::snr_db(energy, found.value),
    })
}

/// The best number of bits for survivors.
///
/// # Errors
/// As [`joint`], where none can be paid.
pub fn best_joint(distribution: &dyn Distribution, bits: f64, charge: Charge) -> Result<Joint> {
    SURVIVOR_BITS
        .map(|survivor_bits| joint(distribution, bits, survivor_bits, charge))
        .reduce(|best, other| match (&best, &other) {
            (Ok(a), Ok(b)) if b.snr_db > a.snr_db => other,
            (Err(_), Ok(_)) => other,
            _ => best,
        })
        .expect("SURVIVOR_BITS is not empty")
}

/// Of the weights with |w| ≥ τ, to levels ±(τ + (i + ½) step), i < levels.
fn survivor_error(distribution: &dyn Distribution, threshold: f64, step: f64, levels: u32) -> f64 {
    let mut rest = distribution.beyond(threshold);
    let mut error = 0.0;
    for i in 0..levels {
        let level = threshold + (f64::from(i) + 0.5) * step;
        let edge = level + 0.5 * step;
        let last = i + 1 == levels || edge > distribution.reach();
        let next = if last { Moments::ZERO } else { distribution.beyond(edge) };
        error += (rest - next).error_from(level);
        if last {
            break;
        }
        rest = next;
    }
    error
}
