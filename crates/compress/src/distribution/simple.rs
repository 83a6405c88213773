//! Distributions whose moments are elementary, in their textbook scale.

use super::{Distribution, Moments};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// N(0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian;

/// ½ e^−|w|: scale 1, variance 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laplace;

/// On −1..=1: variance 1/3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uniform;

impl Distribution for Gaussian {
    fn density(&self, w: f64) -> f64 {
        (-0.5 * w * w).exp() / (2.0 * PI).sqrt()
    }

    fn above(&self, a: f64) -> Moments {
        if a == f64::INFINITY {
            return Moments::ZERO;
        }
        let (mass, density) = (0.5 * libm::erfc(a * FRAC_1_SQRT_2), self.density(a));
        Moments { mass, first: density, second: a * density + mass }
    }

    fn reach(&self) -> f64 {
        f64::INFINITY
    }

    fn kurtosis(&self) -> f64 {
        3.0
    }
}

impl Distribution for Laplace {
    fn density(&self, w: f64) -> f64 {
        0.5 * (-w.abs()).exp()
    }

    fn above(&self, a: f64) -> Moments {
        if a == f64::INFINITY {
            return Moments::ZERO;
        }
        let mass = 0.5 * (-a).exp();
        Moments { mass, first: mass * (a + 1.0), second: mass * (a * (a + 2.0) + 2.0) }
    }

    fn reach(&self) -> f64 {
        f64::INFINITY
    }

    fn kurtosis(&self) -> f64 {
        6.0
    }
}

impl Distribution for Uniform {
    fn density(&self, w: f64) -> f64 {
        if w.abs() <= 1.0 { 0.5 } else { 0.0 }
    }

    fn above(&self, a: f64) -> Moments {
        let a = a.min(1.0);
        // Factored: differences of powers lose digits near 1.
        let mass = 0.5 * (1.0 - a);
        Moments { mass, first: mass * (1.0 + a) / 2.0, second: mass * (1.0 + a + a * a) / 3.0 }
    }

    fn reach(&self) -> f64 {
        1.0
    }

    fn kurtosis(&self) -> f64 {
        1.8
    }
}
