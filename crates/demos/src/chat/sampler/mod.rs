//! Drawing the next token.
//!
//! The noise is counter-based: draw `step` of `seed` is a function of these two numbers and of nothing that went
//! before. A journal that knows how many draws were made continues with the very next one.
//!
//! What is drawn is defined once, in [`Ranked::choose`]: tokens in the order of their logits, cut, and the inverse of the
//! cumulative distribution along that order. [`Sampler`] finds that token with as little as it takes: four bytes where the
//! likeliest is wanted, else the device's [`lantern_models::sampling`], and all logits only where these do not decide.

mod device;
mod draw;
mod options;
#[cfg(test)]
mod tests;

pub use device::{Drawn, Sampler};
pub(super) use draw::broken;
pub use draw::{Ranked, draw_whole};

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
