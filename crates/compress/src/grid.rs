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

    /// Σ (w − ŵ)²: eight at a time where the machine can.
    ///
    /// In units of the scale and in f32, summed in f64 by blocks: relative error below 1e-4 of the sum at 8 bits, which is
    /// 0.0004 dB. `values` are finite.
    pub fn squared_error(&self, values: &[f32]) -> f64 {
        self.sum(values, |e, _| e * e)
    }

    /// [`Self::squared_error`] with errors of values beyond the grid's ends counted `clipped` times.
    pub(crate) fn weighted_error(&self, values: &[f32], clipped: f64) -> f64 {
        let clipped = clipped as f32;
        self.sum(values, |e, is_clipped| e * e * if is_clipped { clipped } else { 1.0 })
    }

    fn sum(&self, values: &[f32], term: impl Fn(f32, bool) -> f32) -> f64 {
        const LANES: usize = 8;
        const BLOCK: usize = 256;
        // Adding and taking away 1.5 · 2²³ rounds to the nearest integer, ties to even, without a call.
        const ROUND: f32 = 12_582_912.0;
        let inverse = (1.0 / self.scale) as f32;
        let (low, high) = self.ends();
        let (low, high) = (low as f32, high as f32);
        let term = |value: f32| {
            let w = value * inverse;
            // Comparisons, not `clamp` or `max`: these are one instruction each in WebAssembly as well.
            let inside = if w > high { high } else { w };
            let inside = if inside < low { low } else { inside };
            let e = w - (inside + ROUND - ROUND);
            term(e, w > high + 0.5 || w < low - 0.5)
        };
        let mut sum = 0f64;
        for block in values.chunks(BLOCK) {
            let mut lanes = [0f32; LANES];
            let (whole, rest) = block.as_chunks::<LANES>();
            for chunk in whole {
                for (lane, value) in lanes.iter_mut().zip(chunk) {
                    *lane += term(*value);
                }
            }
            sum += lanes.iter().map(|e| f64::from(*e)).sum::<f64>()
                + rest.iter().map(|v| f64::from(term(*v))).sum::<f64>();
        }
        sum * self.scale * self.scale
    }
}
