//! One pass over a tensor's values, in pieces, to its histogram and moments.
//!
//! Bins are a float's leading bits: sign, exponent and ten bits of mantissa, so every octave has 1,024 of them, outliers
//! cost no resolution, and no range has to be known before. Memory is bounded: two megabytes of counters. How exact that is:
//!
//! - F16 and BF16 values, and any whose f32 has 13 trailing zeros, fall on the bins' edges: the histogram is exact.
//! - Up to 16,384 values are kept and sorted instead: exact.
//! - Others are taken as spread evenly over their bin, 2⁻¹⁰ of the value wide. A search for steps and thresholds is as good on
//!   that as on the values; an error of quantization computed from it is off by less than 0.01 dB for weights that lie
//!   anywhere, and can be off by much for a tensor that already lies on a grid. So [`Summary::is_exact`] says which it is,
//!   and `layers` measures the error at the step found in a second pass.

use super::{Bins, Histogram};
use lantern_graph::{Error, Result};

/// Most values that are kept as they are.
const KEPT: usize = 1 << 14;
/// Bits of an f32 that a bin does not see.
const UNSEEN: u32 = 13;
const SIDE: usize = 1 << (31 - UNSEEN);
/// The first bin of infinities and NaNs on each side.
const NOT_FINITE: usize = 0xff << (23 - UNSEEN);
/// Counters are u32.
const MOST_VALUES: u64 = u32::MAX as u64;

/// Values of one tensor go in, a [`Summary`] comes out; then it is ready for the next.
pub struct Scan {
    counts: Vec<u32>,
    kept: Vec<f32>,
    values: u64,
    /// Bits that no bin sees, of all values.
    unseen: u32,
    least: f32,
    greatest: f32,
    sums: Sums,
    halves: Option<Halves>,
}

/// How often each 16-bit pattern occurred.
struct Halves {
    counts: Vec<u32>,
    decode: fn(u16) -> f32,
}

/// What there is, whichever way it was counted.
struct Found {
    /// NaNs and infinities; the rest is meaningless where there are any.
    bad: u64,
    is_exact: bool,
    positive: Vec<Bins>,
    negative: Vec<Bins>,
    zeros: u64,
    least: f64,
    greatest: f64,
    mean: f64,
    variance: f64,
    fourth: f64,
    energy: f64,
}

/// What one pass has learnt about a tensor.
#[derive(Debug, Clone)]
pub struct Summary {
    pub values: u64,
    pub mean: f64,
    /// E[(w − μ)⁴] / E[(w − μ)²]².
    pub kurtosis: f64,
    /// E[w²].
    pub energy: f64,
    pub least: f64,
    pub greatest: f64,
    /// Whether the histogram holds every value where it is.
    pub is_exact: bool,
    pub histogram: Histogram,
}

/// Sums of (w − shift)ᵏ: the shift keeps a mean far from 0 from drowning the rest.
#[derive(Default, Clone, Copy)]
struct Sums {
    shift: f64,
    powers: [f64; 4],
}

impl Default for Scan {
    fn default() -> Self {
        Self { counts: vec![0; 2 * SIDE], ..Self::empty() }
    }
}

impl Scan {
    /// Without counters.
    fn empty() -> Self {
        Self {
            counts: Vec::new(),
            kept: Vec::new(),
            values: 0,
            unseen: 0,
            least: f32::INFINITY,
            greatest: f32::NEG_INFINITY,
            sums: Sums::default(),
            halves: None,
        }
    }

    pub fn add(&mut self, values: &[f32]) {
        if values.is_empty() {
            return;
        }
        if self.values == 0 {
            self.sums.shift = typical(values);
        }
        let fits = self.values as usize <= KEPT && values.len() <= KEPT - self.values as usize;
        self.values += values.len() as u64;
        if fits {
            self.kept.extend_from_slice(values);
            return;
        }
        if !self.kept.is_empty() {
            let kept = std::mem::take(&mut self.kept);
            self.count(&kept);
        }
        self.count(values);
    }

    /// F16 values, little-endian; no others for this tensor. Each of the 65,536 there are has a counter of its own, so this
    /// is exact and fast whatever their number.
    pub fn add_f16(&mut self, bytes: &[u8]) {
        self.add_halves(bytes, |bits| half::f16::from_bits(bits).to_f32());
    }

    /// BF16 values, as [`Self::add_f16`].
    pub fn add_bf16(&mut self, bytes: &[u8]) {
        self.add_halves(bytes, |bits| half::bf16::from_bits(bits).to_f32());
    }

    fn add_halves(&mut self, bytes: &[u8], decode: fn(u16) -> f32) {
        let pairs = bytes.as_chunks::<2>().0;
        self.values += pairs.len() as u64;
        let halves = self.halves.get_or_insert_with(|| Halves { counts: vec![0; 1 << 16], decode });
        let counts: &mut [u32; 1 << 16] = halves.counts.as_mut_slice().try_into().expect("allocated so");
        for pair in pairs {
            let count = &mut counts[usize::from(u16::from_le_bytes(*pair))];
            *count = count.wrapping_add(1);
        }
    }

    fn count(&mut self, values: &[f32]) {
        let counts: &mut [u32; 2 * SIDE] = self.counts.as_mut_slice().try_into().expect("allocated so");
        for value in values {
            let bin = (value.to_bits() >> UNSEEN) as usize & (2 * SIDE - 1);
            // Wraps only past MOST_VALUES, which `finish` refuses.
            counts[bin] = counts[bin].wrapping_add(1);
        }
        self.measure(values);
    }

    fn measure(&mut self, values: &[f32]) {
        for value in values {
            self.unseen |= value.to_bits();
            self.least = self.least.min(*value);
            self.greatest = self.greatest.max(*value);
        }
        self.sums.add(values);
    }

    /// # Errors
    /// `compress.empty`, `compress.not_a_number`, `compress.all_zero`, `compress.constant`, `compress.size` (more values than
    /// are counted): why this tensor cannot be compared. The scan is ready for the next tensor in any case.
    pub fn finish(&mut self) -> Result<Summary> {
        let kept = std::mem::take(&mut self.kept);
        let halves = self.halves.take();
        let summary = match self.values {
            0 => Err(refusal("compress.empty", "it has no values", "leave it out")),
            n if n > MOST_VALUES => {
                let cause = format!("it has {n} values, and up to {MOST_VALUES} are counted");
                Err(refusal("compress.size", cause, "cut the tensor in two"))
            }
            n => {
                let found = match &halves {
                    Some(halves) => halves.found(n),
                    None if kept.is_empty() => self.found_by_bins(),
                    None => self.found_by_values(&kept),
                };
                found.summary(n)
            }
        };
        // Only what was used is cleared: the counters are two megabytes, and most tensors small.
        if halves.is_none() && kept.is_empty() {
            self.counts.fill(0);
        }
        let counts = std::mem::take(&mut self.counts);
        *self = Self { counts, ..Self::empty() };
        summary
    }

    fn found_by_values(&mut self, values: &[f32]) -> Found {
        self.measure(values);
        let bad = values.iter().filter(|v| !v.is_finite()).count() as u64;
        let (positive, negative, zeros) = if bad == 0 { sorted(values.to_vec()) } else { Default::default() };
        self.found(bad, true, positive, negative, zeros)
    }

    fn found_by_bins(&mut self) -> Found {
        let sides = [NOT_FINITE..SIDE, SIDE + NOT_FINITE..2 * SIDE];
        let bad = sides.into_iter().flat_map(|side| &self.counts[side]).map(|c| u64::from(*c)).sum();
        let is_exact = self.unseen & ((1 << UNSEEN) - 1) == 0;
        let (positive, negative, zeros) = self.binned(is_exact);
        self.found(bad, is_exact, positive, negative, zeros)
    }

    fn found(&self, bad: u64, is_exact: bool, positive: Vec<Bins>, negative: Vec<Bins>, zeros: u64) -> Found {
        let n = self.values as f64;
        let (mean, variance, fourth) = self.sums.central(n);
        let energy = self.sums.energy(n);
        let (least, greatest) = (f64::from(self.least), f64::from(self.greatest));
        Found { bad, is_exact, positive, negative, zeros, least, greatest, mean, variance, fourth, energy }
    }

    fn binned(&self, is_exact: bool) -> (Vec<Bins>, Vec<Bins>, u64) {
        let side = |from: usize, most: f32| {
            let mut bins = Vec::new();
            let mut zeros = 0;
            for (i, count) in self.counts[from..from + NOT_FINITE].iter().enumerate().filter(|(_, c)| **c > 0) {
                let edge = |i: usize| f64::from(f32::from_bits((i as u32) << UNSEEN));
                match i {
                    0 => zeros = u64::from(*count),
                    _ if is_exact => bins.push(Bins { low: edge(i), high: edge(i), count: u64::from(*count) }),
                    // The last bin ends where the values do.
                    _ => bins.push(Bins {
                        low: edge(i),
                        high: edge(i + 1).min(f64::from(most)),
                        count: u64::from(*count),
                    }),
                }
            }
            (bins, zeros)
        };
        let ((positive, a), (negative, b)) = (side(0, self.greatest), side(SIDE, -self.least));
        (positive, negative, a + b)
    }
}

impl Halves {
    fn found(&self, n: u64) -> Found {
        let each = || self.counts.iter().enumerate().filter(|(_, c)| **c > 0).map(|(i, c)| (i, *c));
        let value = |i: usize| f64::from((self.decode)(i as u16));
        let mut bad = 0;
        let mut sides = [Vec::new(), Vec::new()];
        let mut zeros = 0;
        // Patterns of one sign ascend with their magnitude.
        for (i, count) in each() {
            let (value, count) = (value(i), u64::from(count));
            match value {
                v if !v.is_finite() => bad += count,
                0.0 => zeros += count,
                v => sides[i >> 15].push(Bins { low: v.abs(), high: v.abs(), count }),
            }
        }
        let n = n as f64;
        let mean_of = |f: &dyn Fn(f64) -> f64| each().map(|(i, c)| f64::from(c) * f(value(i))).sum::<f64>() / n;
        let mean = mean_of(&|v| v);
        let (least, greatest) =
            each().map(|(i, _)| value(i)).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let [positive, negative] = sides;
        Found {
            bad,
            is_exact: true,
            positive,
            negative,
            zeros,
            least,
            greatest,
            mean,
            variance: mean_of(&|v| (v - mean).powi(2)),
            fourth: mean_of(&|v| (v - mean).powi(4)),
            energy: mean_of(&|v| v * v),
        }
    }
}

impl Found {
    fn summary(self, n: u64) -> Result<Summary> {
        if self.bad > 0 {
            let cause = format!("{} of its {n} values are NaN or infinite", self.bad);
            return Err(refusal("compress.not_a_number", cause, "get or convert the file again"));
        }
        let Self { least, greatest, .. } = self;
        if least == greatest {
            return Err(match least {
                0.0 => refusal("compress.all_zero", "all its values are 0", "nothing is lost by either method"),
                value => refusal(
                    "compress.constant",
                    format!("all its values are {value}"),
                    "one number holds it: there is nothing to compare",
                ),
            });
        }
        let kurtosis = self.fourth / (self.variance * self.variance);
        if !kurtosis.is_finite() {
            return Err(refusal(
                "compress.constant",
                "its values are too close together to tell apart",
                "leave it out",
            ));
        }
        let histogram = Histogram::new(self.positive, self.negative, self.zeros, kurtosis);
        let Self { mean, energy, is_exact, .. } = self;
        Ok(Summary { values: n, mean, kurtosis, energy, least, greatest, is_exact, histogram })
    }
}

/// Points of mass.
fn sorted(mut values: Vec<f32>) -> (Vec<Bins>, Vec<Bins>, u64) {
    values.sort_unstable_by(f32::total_cmp);
    let points = |values: &mut dyn Iterator<Item = f32>| {
        let mut bins: Vec<Bins> = Vec::new();
        for value in values.map(f64::from) {
            match bins.last_mut() {
                Some(last) if last.high == value => last.count += 1,
                _ => bins.push(Bins { low: value, high: value, count: 1 }),
            }
        }
        bins
    };
    let positive = points(&mut values.iter().copied().filter(|v| *v > 0.0));
    let negative = points(&mut values.iter().rev().copied().filter(|v| *v < 0.0).map(|v| -v));
    let zeros = values.iter().filter(|v| **v == 0.0).count() as u64;
    (positive, negative, zeros)
}

/// A value in the middle of some of the first ones: the first itself may be an outlier.
fn typical(values: &[f32]) -> f64 {
    let mut some: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).take(63).collect();
    some.sort_unstable_by(f32::total_cmp);
    some.get(some.len() / 2).map_or(0.0, |v| f64::from(*v))
}

impl Sums {
    fn add(&mut self, values: &[f32]) {
        const LANES: usize = 4;
        let mut lanes = [[0f64; LANES]; 4];
        let (whole, rest) = values.as_chunks::<LANES>();
        for chunk in whole {
            for (lane, value) in chunk.iter().enumerate() {
                let d = f64::from(*value) - self.shift;
                let square = d * d;
                lanes[0][lane] += d;
                lanes[1][lane] += square;
                lanes[2][lane] += square * d;
                lanes[3][lane] += square * square;
            }
        }
        for (k, lanes) in lanes.iter().enumerate() {
            self.powers[k] += lanes.iter().sum::<f64>();
            self.powers[k] += rest.iter().map(|v| (f64::from(*v) - self.shift).powi(k as i32 + 1)).sum::<f64>();
        }
    }

    /// Mean, and the second and fourth moment about it.
    fn central(&self, n: f64) -> (f64, f64, f64) {
        let [m1, m2, m3, m4] = self.powers.map(|s| s / n);
        let variance = (m2 - m1 * m1).max(0.0);
        let fourth = m4 - m1 * (4.0 * m3 - m1 * (6.0 * m2 - 3.0 * m1 * m1));
        (self.shift + m1, variance, fourth)
    }

    fn energy(&self, n: f64) -> f64 {
        let [m1, m2, ..] = self.powers.map(|s| s / n);
        m2 + self.shift * (2.0 * m1 + self.shift)
    }
}

fn refusal(code: &'static str, cause: impl Into<String>, remedy: &str) -> Error {
    Error::new(code, cause, remedy)
}
