//! What weights may be drawn from.
//!
//! The errors of a quantizer and of a pruner are integrals of (w − level)² p(w) over cells, so all a distribution has to
//! know is the mass, first and second moment beyond a point: closed forms, or series that converge fast.

mod histogram;
mod mixture;
mod scan;
mod simple;
mod student_t;
mod table;

pub use histogram::{Bins, Histogram};
pub use mixture::Mixture;
pub use scan::{Scan, Summary};
pub use simple::{Gaussian, Laplace, Uniform};
pub use student_t::StudentT;
pub use table::Table;

use std::ops::{Add, Mul, Sub};

/// ∫ wᵏ p(w) dw over a range, for k = 0, 1, 2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    pub mass: f64,
    pub first: f64,
    pub second: f64,
}

impl Moments {
    pub const ZERO: Self = Self { mass: 0.0, first: 0.0, second: 0.0 };

    /// ∫ (w − level)² p(w) dw over the range.
    pub fn error_from(self, level: f64) -> f64 {
        (self.second - level * (2.0 * self.first - level * self.mass)).max(0.0)
    }

    /// The same range seen from the other side of zero.
    pub fn mirrored(self) -> Self {
        Self { first: -self.first, ..self }
    }
}

impl Add for Moments {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { mass: self.mass + o.mass, first: self.first + o.first, second: self.second + o.second }
    }
}

impl Sub for Moments {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self { mass: self.mass - o.mass, first: self.first - o.first, second: self.second - o.second }
    }
}

impl Mul<f64> for Moments {
    type Output = Self;
    fn mul(self, k: f64) -> Self {
        Self { mass: self.mass * k, first: self.first * k, second: self.second * k }
    }
}

/// A distribution of weights with finite energy E[w²] > 0.
pub trait Distribution {
    /// p(w). For a histogram: of its bins, infinite where one has no width.
    fn density(&self, w: f64) -> f64;

    /// Moments of the part with w ≥ a, for a ≥ 0. Differences over cells are good to 1e-13 of the whole.
    fn above(&self, a: f64) -> Moments;

    /// [`Self::above`] of the mirrored distribution: the part with −w ≥ a, its first moment positive.
    fn below(&self, a: f64) -> Moments {
        self.above(a)
    }

    /// Whether p(w) = p(−w); then `below` is not asked.
    fn is_symmetric(&self) -> bool {
        true
    }

    /// The largest magnitude there is; infinite where there is none.
    fn reach(&self) -> f64;

    /// The number of points and short intervals that hold all the mass, for a distribution that is nothing else: where there are
    /// few, its errors jump where a density's are smooth.
    fn pieces(&self) -> Option<usize> {
        None
    }

    /// E[(w − μ)⁴] / E[(w − μ)²]²: infinite where the fourth moment is, NaN where the variance is 0.
    fn kurtosis(&self) -> f64;

    /// Both sides as magnitudes: the part with |w| ≥ a.
    fn beyond(&self, a: f64) -> Moments {
        if self.is_symmetric() { self.above(a) * 2.0 } else { self.above(a) + self.below(a) }
    }

    /// ∫ w² p(w) dw over |w| < a: what pruning loses. The difference serves while it is no difference of nearly equal numbers;
    /// long tails, beside whose energy the rest is nothing, do better.
    fn energy_within(&self, a: f64) -> f64 {
        self.energy() - self.beyond(a).second
    }

    /// E[w²].
    fn energy(&self) -> f64 {
        self.beyond(0.0).second
    }

    fn mean(&self) -> f64 {
        if self.is_symmetric() { 0.0 } else { self.above(0.0).first - self.below(0.0).first }
    }

    fn standard_deviation(&self) -> f64 {
        (self.energy() - self.mean().powi(2)).max(0.0).sqrt()
    }

    /// P(W ≤ w).
    fn cdf(&self, w: f64) -> f64 {
        let total = self.beyond(0.0).mass;
        if w >= 0.0 { 1.0 - self.above(w).mass / total } else { self.below(-w).mass / total }
    }

    /// The w with P(W ≤ w) = p, for p in 0..=1; by bisection.
    fn quantile(&self, p: f64) -> f64 {
        let (above, below) = (self.above(0.0).mass, self.below(0.0).mass);
        let (total, reach) = (above + below, self.reach());
        if p * total >= below {
            crossing(reach, &|a| self.above(a).mass <= (1.0 - p) * total)
        } else {
            -crossing(reach, &|a| self.below(a).mass <= p * total)
        }
    }

    /// The τ with P(|W| < τ) = p, for p in 0..=1: the threshold that prunes a share p. By bisection.
    fn magnitude_quantile(&self, p: f64) -> f64 {
        let total = self.beyond(0.0).mass;
        crossing(self.reach(), &|a| self.beyond(a).mass <= (1.0 - p) * total)
    }
}

/// The least a in 0..=reach from which on `holds`, which turns true once.
fn crossing(reach: f64, holds: &dyn Fn(f64) -> bool) -> f64 {
    if holds(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, reach.min(1.0));
    while !holds(high) {
        if high >= reach {
            return reach;
        }
        (low, high) = (high, (2.0 * high).min(reach));
    }
    // Far more halvings than f64 has bits, for thresholds far below 1.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}
