//! Activations as integers.

use super::arch::Chosen;

/// Activations that share a scale.
pub const GROUP: usize = 32;
/// Groups whose factors are taken at a time: one of the widest blocks.
pub const GROUPS: usize = 8;

/// As wide as the instructions want them: WebAssembly multiplies pairs of 16 bits, AVX2 of 8.
#[cfg(target_arch = "wasm32")]
pub type Int = i16;
#[cfg(not(target_arch = "wasm32"))]
pub type Int = i8;

/// 256 activations. Groups beyond the row's end are zero.
#[derive(Clone)]
#[repr(C, align(32))]
pub struct Super {
    /// `integer · scale` is the activation, within half a scale.
    pub integers: [[Int; GROUP]; GROUPS],
    pub scales: [f32; GROUPS],
    /// What the integers of each group sum to, scaled: a minimum multiplies that.
    pub sums: [f32; GROUPS],
    /// What those of each half of a group sum to.
    pub halves: [i16; 2 * GROUPS],
}

const EMPTY: Super =
    Super { integers: [[0; GROUP]; GROUPS], scales: [0.0; GROUPS], sums: [0.0; GROUPS], halves: [0; 2 * GROUPS] };

/// Below this, a group counts as zeros: its scale's reciprocal would overflow.
const LEAST: f32 = 1e-30;

/// Space for rows of activations; kept from product to product.
#[derive(Default)]
pub struct Activations(Vec<Super>);

impl Activations {
    /// Rows of k activations, whole groups, as rows of supers.
    ///
    /// A step is `amax / 127` of a group, so that an activation errs by `amax / 254` at most. A group with a value that is not
    /// finite becomes NaN: so do the results that it is part of.
    pub fn round(&mut self, arch: Chosen, x: &[f32], k: usize) -> &[Super] {
        let row = k.div_ceil(GROUP * GROUPS);
        let count = x.len() / k * row;
        if self.0.len() < count {
            self.0.resize(count, EMPTY);
        }
        let rows = &mut self.0[..count];
        arch.round(x, k, rows);
        rows
    }
}

/// Rows of k, each into as many supers.
#[inline(always)]
pub fn round(x: &[f32], k: usize, to: &mut [Super]) {
    let row = k.div_ceil(GROUP * GROUPS);
    for (x, to) in x.chunks_exact(k).zip(to.chunks_exact_mut(row)) {
        for (x, to) in x.chunks(GROUP * GROUPS).zip(to) {
            let (groups, _) = x.as_chunks::<GROUP>();
            for (g, x) in groups.iter().enumerate() {
                let (scale, sums) = round_group(x, &mut to.integers[g]);
                to.scales[g] = scale;
                to.sums[g] = f32::from(sums[0] + sums[1]) * scale;
                to.halves[2 * g] = sums[0];
                to.halves[2 * g + 1] = sums[1];
            }
            for g in groups.len()..GROUPS {
                to.integers[g] = [0; GROUP];
                to.scales[g] = 0.0;
                to.sums[g] = 0.0;
                to.halves[2 * g] = 0;
                to.halves[2 * g + 1] = 0;
            }
        }
    }
}

/// A scale, and the sums of both halves' integers.
#[inline(always)]
#[allow(clippy::useless_conversion, reason = "an Int is an i16 in WebAssembly, and an i8 elsewhere")]
fn round_group(x: &[f32; GROUP], to: &mut [Int; GROUP]) -> (f32, [i16; 2]) {
    // As integers, magnitudes have the order they have as numbers, and what is not finite comes last.
    let mut largest = 0;
    for x in x {
        largest = largest.max(x.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(largest);
    if !largest.is_finite() || largest < LEAST {
        *to = [0; GROUP];
        return (if largest < LEAST { 0.0 } else { f32::NAN }, [0; 2]);
    }
    let by = 127.0 / largest;
    // Added to this, a number from −2²² to 2²² is rounded to the nearest integer, which the lowest bits are then.
    const ROUND: f32 = (3 << 22) as f32;
    for (to, x) in to.iter_mut().zip(x) {
        *to = ((x * by + ROUND).to_bits() as i32 - ROUND.to_bits() as i32) as Int;
    }
    let mut sums = [0; 2];
    for (sum, half) in sums.iter_mut().zip(to.as_chunks::<{ GROUP / 2 }>().0) {
        for integer in half {
            *sum += i16::from(*integer);
        }
    }
    (largest / 127.0, sums)
}
