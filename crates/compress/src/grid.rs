//! The grid that weights are put on, and what that loses.

/// Which integers a grid without zero point has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// −2^(b−1) ..= 2^(b−1) − 1, two's complement: the paper's.
    Integer,
    /// −(2^(b−1) − 1) ..= 2^(b−1) − 1: an odd number of levels, the same on both sides.
    Odd,
}

impl Codes {
    /// The least and the greatest code. `bits` is one of [`crate::theory::BITS`].
    pub fn ends(self, bits: u32) -> (i32, i32) {
        let half = 1 << (bits - 1);
        match self {
            Self::Integer => (-half, half - 1),
            Self::Odd => (1 - half, half - 1),
        }
    }

    pub fn grid(self, bits: u32, scale: f64) -> Grid {
        let (low, high) = self.ends(bits);
        Grid { scale, zero_point: 0, low, high }
    }
}

/// scale · (code − zero point), codes from `low` to `high`: an AIMET encoding has the same four numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Never 0: a group of zeros has a scale of 1.
    pub scale: f64,
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

impl Grid {
    /// Its ends in units of the scale.
    pub fn ends(&self) -> (i32, i32) {
        (self.low - self.zero_point, self.high - self.zero_point)
    }

    /// The nearest code, ties to even; 0 for what is not a number.
    pub fn code(&self, value: f64) -> i32 {
        // By addition: `f64::round` is a call on x86 and in wasm32.
        const ROUND: f64 = (1u64 << 52) as f64 * 1.5;
        let place = value / self.scale + f64::from(self.zero_point);
        let inside = place.clamp(f64::from(self.low), f64::from(self.high));
        ((inside + ROUND) - ROUND) as i32
    }

    pub fn value(&self, code: i32) -> f64 {
        self.scale * f64::from(code - self.zero_point)
    }

    /// The nearest grid point.
    pub fn round(&self, value: f64) -> f64 {
        self.value(self.code(value))
    }

    /// Σ (w − ŵ)² of finite values: eight at a time where the machine can.
    ///
    /// In units of the scale and in f32, summed in f64 by blocks: relative error below 1e-4 of the sum at 8 bits, which is
    /// 0.0004 dB.
    pub fn squared_error(&self, values: &[f32]) -> f64 {
        let [squares] = self.sum(values, |rounded| [rounded.error * rounded.error]);
        squares * self.scale * self.scale
    }

    /// [`Self::squared_error`] with errors of values beyond the grid's ends counted `clipped` times.
    pub(crate) fn weighted_error(&self, values: &[f32], clipped: f64) -> f64 {
        let clipped = clipped as f32;
        let [squares] = self.sum(values, |r| [r.error * r.error * if r.error.abs() > 0.5 { clipped } else { 1.0 }]);
        squares * self.scale * self.scale
    }

    /// How well the scale fits the codes that these values get.
    pub(crate) fn fit(&self, values: &[f32]) -> Fit {
        let [error, slope, codes] = self.sum(values, |r| [r.error * r.error, r.error * r.level, r.level * r.level]);
        Fit { error, slope, codes }
    }

    /// Σ `term` over all values.
    fn sum<const K: usize>(&self, values: &[f32], term: impl Fn(Rounded) -> [f32; K]) -> [f64; K] {
        const LANES: usize = 8;
        const BLOCK: usize = 256;
        // Adding and taking away 1.5 · 2²³ rounds to the nearest integer, ties to even, without a call.
        const ROUND: f32 = 12_582_912.0;
        // Scales and values far from 1 are brought near it, so that no quotient leaves f32.
        let exponent = self.scale.abs().log2().round() as i32;
        let is_far = exponent.abs() > 100;
        let near = if is_far { 2f64.powi(-exponent) } else { 1.0 };
        let inverse = (1.0 / (self.scale * near)) as f32;
        let (low, high) = self.ends();
        let (low, high) = (low as f32, high as f32);
        let term = |value: f32| {
            let value = if is_far { (f64::from(value) * near) as f32 } else { value };
            let w = value * inverse;
            // Comparisons, not `clamp` or `max`: these are one instruction each in WebAssembly as well.
            let inside = if w > high { high } else { w };
            let inside = if inside < low { low } else { inside };
            let level = inside + ROUND - ROUND;
            term(Rounded { error: w - level, level })
        };
        let mut sums = [0f64; K];
        for block in values.chunks(BLOCK) {
            let mut lanes = [[0f32; LANES]; K];
            let (whole, rest) = block.as_chunks::<LANES>();
            for chunk in whole {
                for (lane, value) in chunk.iter().enumerate() {
                    let terms = term(*value);
                    (0..K).for_each(|k| lanes[k][lane] += terms[k]);
                }
            }
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += lanes[k].iter().map(|e| f64::from(*e)).sum::<f64>();
                *sum += rest.iter().map(|v| f64::from(term(*v)[k])).sum::<f64>();
            }
        }
        sums
    }
}

/// In units of the scale.
struct Rounded {
    /// w − ŵ; beyond ½ where the value is clipped.
    error: f32,
    /// ŵ.
    level: f32,
}

/// Sums over values on a grid, in units of its scale: from them follows the best scale for the codes they have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fit {
    /// Σ (w − ŵ)².
    error: f64,
    /// Σ (w − ŵ) ŵ.
    slope: f64,
    /// Σ ŵ².
    codes: f64,
}

impl Fit {
    /// The factor to the scale of the least error with these codes, and that error in units of the scale as it was. Values
    /// that then have nearer codes make it smaller still.
    pub fn best(&self) -> (f64, f64) {
        if self.codes == 0.0 {
            return (1.0, self.error);
        }
        (1.0 + self.slope / self.codes, (self.error - self.slope * self.slope / self.codes).max(0.0))
    }
}

impl std::ops::AddAssign for Fit {
    fn add_assign(&mut self, o: Self) {
        *self = Self { error: self.error + o.error, slope: self.slope + o.slope, codes: self.codes + o.codes };
    }
}
