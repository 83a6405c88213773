//! Drawing the next token.
//!
//! The noise is counter-based: draw `step` of `seed` is a function of these two numbers and of nothing that went
//! before. A journal that knows how many draws were made continues with the very next one.

use lantern_graph::{Error, Result};

/// SplitMix64's increment and finalizer (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In [0, 1), 53 bits. The seed is mixed first, so that neighbouring seeds are not shifts of one another.
pub fn uniform(seed: u64, step: u64) -> f64 {
    let bits = mix(mix(seed).wrapping_add(step.wrapping_add(1).wrapping_mul(GAMMA)));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The token at quantile `u` of `softmax(logits / temperature)`.
///
/// # Errors
/// `chat.logits` when they are not numbers.
pub fn sample(logits: &[f32], temperature: f32, u: f64) -> Result<u32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|l| (f64::from(l - max) / f64::from(temperature)).exp()).collect();
    let total: f64 = weights.iter().sum();
    // A NaN anywhere, or an infinite maximum, makes the sum one.
    if !total.is_finite() || total <= 0.0 {
        return Err(Error::new(
            "chat.logits",
            "the model's output is not a number",
            "the weights are damaged or the device computes wrongly: get the file again, or try another device",
        ));
    }
    let mut rest = u * total;
    for (id, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < 0.0 {
            return Ok(id as u32);
        }
    }
    // Rounding left a sliver past the last one: the likeliest takes it.
    Ok(weights.iter().position(|w| *w == 1.0).unwrap_or(0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_distribution() {
        let logits = [1.0f32, 0.0, -1.0, 2.0];
        for temperature in [0.5f32, 1.0, 2.0] {
            let weights: Vec<f64> = logits.iter().map(|l| f64::from(l / temperature).exp()).collect();
            let total: f64 = weights.iter().sum();
            let (draws, seed) = (20_000u64, 7);
            let mut counts = [0f64; 4];
            for step in 0..draws {
                counts[sample(&logits, temperature, uniform(seed, step)).unwrap() as usize] += 1.0;
            }
            // Chi-squared with 3 degrees of freedom: 16.3 is passed once in a thousand; the seed is fixed.
            let chi: f64 = (0..4)
                .map(|i| {
                    let expected = weights[i] / total * draws as f64;
                    (counts[i] - expected).powi(2) / expected
                })
                .sum();
            assert!(chi < 16.3, "seed {seed}, temperature {temperature}: {chi}, {counts:?}");
        }
    }

    #[test]
    fn noise_depends_on_seed_and_step_alone_and_fills_the_unit_interval() {
        assert_eq!(uniform(3, 41), uniform(3, 41));
        assert_ne!(uniform(3, 41), uniform(3, 42));
        // Neighbouring seeds share no draw, shifted or not.
        let first: Vec<f64> = (0..64).map(|i| uniform(1, i)).collect();
        assert!((0..64).all(|i| !first.contains(&uniform(2, i))));
        let mean = (0..10_000).map(|i| uniform(0, i)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((0..10_000).all(|i| (0.0..1.0).contains(&uniform(u64::MAX, i))));
    }

    #[test]
    fn the_ends_of_the_interval_and_broken_logits() {
        let logits = [f32::NEG_INFINITY, 0.0, 0.0, f32::NEG_INFINITY];
        assert_eq!(sample(&logits, 1.0, 0.0).unwrap(), 1);
        assert_eq!(sample(&logits, 1.0, 1.0 - f64::EPSILON).unwrap(), 2);
        assert_eq!(sample(&logits, 1.0, 1.0).unwrap(), 1, "past the end");
        for broken in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
            assert_eq!(sample(&broken, 1.0, 0.5).unwrap_err().code, "chat.logits", "{broken:?}");
        }
    }
}
