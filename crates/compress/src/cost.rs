//! What a compressed weight costs, honestly.
//!
//! The paper compares pruning with survivors in 16 bits, and charges nothing for knowing where they are.

/// Bits of an uncompressed weight.
pub const FULL_BITS: f64 = 16.0;

/// What the pruner pays for its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: the paper's convention.
    Free,
    /// One bit a weight.
    Bitmap,
    /// The entropy of the mask, H(sparsity): what a perfect coder needs.
    Entropy,
}

impl Charge {
    /// Bits a weight for a mask that keeps a share `keep`.
    pub fn mask_bits(self, keep: f64) -> f64 {
        match self {
            Self::Free => 0.0,
            Self::Bitmap => 1.0,
            Self::Entropy => binary_entropy(keep),
        }
    }

    /// The largest share of weights that can be kept at `survivor_bits` each within `bits` a weight, 0..=1: 0 where the mask
    /// alone is too much. Keeping all needs no mask.
    pub fn keep(self, bits: f64, survivor_bits: f64) -> f64 {
        if bits >= survivor_bits { 1.0 } else { self.keep_with_mask(bits, survivor_bits) }
    }

    /// As [`Self::keep`], with a mask even where there was no need for one.
    pub fn keep_with_mask(self, bits: f64, survivor_bits: f64) -> f64 {
        match self {
            Self::Free => (bits / survivor_bits).clamp(0.0, 1.0),
            Self::Bitmap => ((bits - 1.0) / survivor_bits).clamp(0.0, 1.0),
            Self::Entropy => {
                // keep · survivor_bits + H(keep) rises up to where keeping one weight less saves more mask than weight:
                // 1 / (1 + 2^−survivor_bits).
                let (mut low, mut high) = (0.0, 1.0 / (1.0 + (-survivor_bits).exp2()));
                for _ in 0..100 {
                    let keep = 0.5 * (low + high);
                    if keep * survivor_bits + binary_entropy(keep) <= bits { low = keep } else { high = keep }
                }
                low
            }
        }
    }
}

/// −p log₂ p − (1 − p) log₂ (1 − p), in bits.
pub fn binary_entropy(p: f64) -> f64 {
    [p, 1.0 - p].iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum()
}

/// Bits a weight for the indices of N:M sparsity: each of n survivors in m says its place, ⌈log₂ m⌉ bits. 1 for 2:4, 1.5
/// for 4:8.
pub fn n_m_index_bits(n: usize, m: usize) -> f64 {
    let place = usize::BITS - m.saturating_sub(1).leading_zeros();
    n as f64 * f64::from(place) / m as f64
}

/// Bits a weight for what `group` weights share on average: `bits` of scale and zero point.
pub fn parameter_bits(group: f64, bits: f64) -> f64 {
    bits / group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_paid_for_is_spent_and_no_more() {
        for charge in [Charge::Free, Charge::Bitmap, Charge::Entropy] {
            let mut before = 0.0;
            for tenths in 11..=150 {
                let bits = f64::from(tenths) / 10.0;
                let keep = charge.keep(bits, FULL_BITS);
                let cost = keep * FULL_BITS + charge.mask_bits(keep);
                assert!((cost - bits).abs() < 1e-9, "{charge:?}: {cost} of {bits} bits");
                assert!(keep > before, "{charge:?}: more bits keep more");
                before = keep;
            }
            assert_eq!(charge.keep(16.0, FULL_BITS), 1.0, "keeping all needs no mask");
            assert_eq!(charge.keep(0.0, FULL_BITS), 0.0);
        }
        assert_eq!(Charge::Bitmap.keep(0.7, FULL_BITS), 0.0, "the mask alone is too much");
        assert_eq!(Charge::Bitmap.keep_with_mask(4.0, 4.0), 0.75);
    }

    #[test]
    fn entropy_is_cheapest_to_pay_after_nothing() {
        for bits in 2..=8 {
            let keep = |charge: Charge| charge.keep(f64::from(bits), FULL_BITS);
            assert!(keep(Charge::Free) > keep(Charge::Entropy) && keep(Charge::Entropy) > keep(Charge::Bitmap));
        }
        assert_eq!((binary_entropy(0.5), binary_entropy(0.0), binary_entropy(1.0)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn indices_scales_and_zero_points() {
        assert_eq!((n_m_index_bits(2, 4), n_m_index_bits(4, 8), n_m_index_bits(1, 1)), (1.0, 1.5, 0.0));
        // Q4_0: an f16 for 32 weights. Q4_K's 6-bit scales and minima of 32 under two f16 of 256 make half a bit as well.
        assert_eq!(parameter_bits(32.0, 16.0), 0.5);
        assert_eq!(parameter_bits(32.0, 6.0 + 6.0) + parameter_bits(256.0, 16.0 + 16.0), 0.5);
    }
}
