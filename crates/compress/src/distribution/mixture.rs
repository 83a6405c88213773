//! Some weights from here, some from there.

use super::{Distribution, Moments};
use lantern_graph::{Error, Result};

/// Σ shareᵢ · (scaleᵢ Wᵢ): a share of outliers in a Gaussian is two parts. All parts are symmetric.
pub struct Mixture<'a> {
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    share: f64,
    scale: f64,
    of: &'a dyn Distribution,
}

impl<'a> Mixture<'a> {
    /// `parts`: (share, scale, distribution); shares are made to sum to 1.
    ///
    /// # Errors
    /// `compress.distribution` without parts, for shares or scales that are not positive and finite, and for parts that are
    /// not symmetric.
    pub fn new(parts: &[(f64, f64, &'a dyn Distribution)]) -> Result<Self> {
        let refuse = |cause: String, remedy: &str| Err(Error::new("compress.distribution", cause, remedy));
        let positive = |x: f64| x.is_finite() && x > 0.0;
        for (share, scale, of) in parts {
            if !positive(*share) || !positive(*scale) {
                let cause = format!("a part of a mixture has share {share} and scale {scale}");
                return refuse(cause, "give positive numbers; leave a part out instead of a share of 0");
            }
            if !of.is_symmetric() {
                return refuse("a part of a mixture is not symmetric".into(), "mix symmetric distributions");
            }
        }
        if parts.is_empty() {
            return refuse("a mixture of nothing".into(), "give one part or more");
        }
        let total: f64 = parts.iter().map(|p| p.0).sum();
        let parts = parts.iter().map(|&(share, scale, of)| Part { share: share / total, scale, of }).collect();
        Ok(Self { parts })
    }

    /// A share `outliers` of `base` is `scale` times as wide.
    ///
    /// # Errors
    /// As [`Self::new`], unless 0 < `outliers` < 1 and 1 ≤ `scale` ≤ 10⁶.
    pub fn with_outliers(base: &'a dyn Distribution, outliers: f64, scale: f64) -> Result<Self> {
        if !(outliers > 0.0 && outliers < 1.0 && (1.0..=1e6).contains(&scale)) {
            let cause = format!("a share of {outliers} outliers, {scale} times as wide as the others");
            let remedy = "give a share between 0 and 1, neither included, and a scale of 1 to 1000000";
            return Err(Error::new("compress.distribution", cause, remedy));
        }
        Self::new(&[(1.0 - outliers, 1.0, base), (outliers, scale, base)])
    }

    fn sum(&self, f: impl Fn(&Part) -> f64) -> f64 {
        self.parts.iter().map(f).sum()
    }
}

impl Distribution for Mixture<'_> {
    fn density(&self, w: f64) -> f64 {
        self.sum(|p| p.share * p.of.density(w / p.scale) / p.scale)
    }

    fn above(&self, a: f64) -> Moments {
        self.parts.iter().fold(Moments::ZERO, |sum, p| {
            let m = p.of.above(a / p.scale);
            sum + Moments { mass: m.mass, first: m.first * p.scale, second: m.second * p.scale * p.scale } * p.share
        })
    }

    fn energy_within(&self, a: f64) -> f64 {
        self.sum(|p| p.share * p.scale.powi(2) * p.of.energy_within(a / p.scale))
    }

    fn reach(&self) -> f64 {
        self.parts.iter().fold(0.0, |reach, p| reach.max(p.scale * p.of.reach()))
    }

    /// Fourth moments add up like all others.
    fn kurtosis(&self) -> f64 {
        let energy = |p: &Part| p.of.energy() * p.scale.powi(2);
        self.sum(|p| p.share * p.of.kurtosis() * energy(p).powi(2)) / self.sum(|p| p.share * energy(p)).powi(2)
    }
}
