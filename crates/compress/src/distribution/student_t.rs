//! Student's t with any ν > 0, whole or cut off at ±r.
//!
//! With x = w/√ν and α = (ν + 1)/2 everything is ∫ xᵏ (1 + x²)^−α dx. For odd k that is elementary. For even k it is an
//! incomplete beta function B(·; (k + 1)/2, (ν − k)/2) whose second parameter is negative for k > ν, which is why the
//! usual library functions do not serve. Two series do, both without cancellation:
//!
//! - from 0 to x ≤ 1, in y = x²/(1 + x²): xᵏ⁺¹ (1 + x²)^−α / (k + 1) · Σₙ (α)ₙ / ((k + 3)/2)ₙ yⁿ, all terms positive
//!   (DLMF 8.17.8);
//! - from x ≥ 1 to X, in u = 1/(1 + x²) ≤ ½: ½ Σₙ cₙ ∫ u^(m + n − 1) du with m = (ν − k)/2 and cₙ the coefficients of
//!   (1 − u)^((k − 1)/2). Where m + n is near 0 the power is near a logarithm, and is written with expm1.
//!
//! The density is normalised by the same integrals, so no gamma function is needed, and ν may be as large as it likes.

use super::{Distribution, Moments};
use lantern_graph::{Error, Result};

/// Where the density has fallen by e^−60 from its top there is nothing left to count; it keeps the first series short of
/// overflow when ν is large.
const NOTHING: f64 = 60.0;

/// Student's t of scale 1, cut off at ±r and normalised again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudentT {
    nu: f64,
    truncate: f64,
    /// r/√ν, or where nothing is left before that.
    end: f64,
    /// ∫₀^end xᵏ (1 + x²)^−α dx, for k = 0, 2, 4; infinite where it diverges.
    whole: [f64; 3],
}

impl StudentT {
    /// `truncate`: r, in units of the scale; infinite for the whole distribution, which has an energy for ν > 2 alone.
    ///
    /// # Errors
    /// `compress.distribution` for ν or r outside of 10⁻¹² to 10¹², and ν ≤ 2 without r.
    pub fn new(nu: f64, truncate: f64) -> Result<Self> {
        let refuse = |cause: String, remedy: &str| Err(Error::new("compress.distribution", cause, remedy));
        // Beyond these, sums and searches lose digits.
        let sane = 1e-12..=1e12;
        if !sane.contains(&nu) {
            let remedy = "give a ν from 1e-12 to 1e12; beyond that, take a Gaussian";
            return refuse(format!("Student's t with ν = {nu:e}"), remedy);
        }
        if !(sane.contains(&truncate) || truncate == f64::INFINITY) {
            return refuse(format!("Student's t cut off at ±{truncate:e}"), "cut it off between 1e-12 and 1e12");
        }
        if nu <= 2.0 && truncate == f64::INFINITY {
            let cause = format!("Student's t with ν = {nu} has no finite variance unless it is cut off");
            return refuse(cause, "cut its tails off, or give a ν above 2");
        }
        let alpha = 0.5 * (nu + 1.0);
        let nothing = (NOTHING / alpha).exp_m1().sqrt();
        let cut = truncate / nu.sqrt();
        let end = if nothing < 1.0 { cut.min(nothing) } else { cut };
        let mut t = Self { nu, truncate, end, whole: [0.0; 3] };
        for (whole, k) in t.whole.iter_mut().zip([0, 2, 4]) {
            let inner = lower(nu, k, end.min(1.0));
            *whole = if end > 1.0 { inner + outer(nu, k, 1.0, end) } else { inner };
        }
        Ok(t)
    }

    pub fn nu(&self) -> f64 {
        self.nu
    }

    pub fn truncate(&self) -> f64 {
        self.truncate
    }

    /// ∫ₓ^end t (1 + t²)^−α dt.
    fn first(&self, x: f64) -> f64 {
        let beta = 0.5 * (self.nu - 1.0);
        let log = (x * x).ln_1p();
        0.5 * (-beta * log).exp() * falling(beta, log_square(self.end) - log)
    }
}

/// ln(1 + x²), for any x.
fn log_square(x: f64) -> f64 {
    if x > 1e8 { 2.0 * x.ln() } else { (x * x).ln_1p() }
}

/// (1 − e^−pL)/p for L ≥ 0, which is L at p = 0 and may be infinite.
fn falling(p: f64, l: f64) -> f64 {
    if p == 0.0 { l } else { -(-p * l).exp_m1() / p }
}

/// ∫₀ˣ tᵏ (1 + t²)^−α dt for k even, x ≤ 1.
fn lower(nu: f64, k: u32, x: f64) -> f64 {
    let (alpha, k) = (0.5 * (nu + 1.0), f64::from(k));
    let square = x * x;
    let y = square / (1.0 + square);
    let (mut term, mut sum, mut n) = (1.0, 1.0, 0.0);
    // Ratios fall below 1 once and stay there, at ½ or less in the end.
    while term > 1e-17 * sum || (alpha + n) * y >= 0.5 * (k + 3.0) + n {
        term *= (alpha + n) / (0.5 * (k + 3.0) + n) * y;
        sum += term;
        n += 1.0;
    }
    (-alpha * square.ln_1p()).exp() * x.powf(k + 1.0) / (k + 1.0) * sum
}

/// ∫ₓ^end tᵏ (1 + t²)^−α dt for k even, x ≥ 1; `end` may be infinite.
fn outer(nu: f64, k: u32, x: f64, end: f64) -> f64 {
    let m = 0.5 * (nu - f64::from(k));
    if end == f64::INFINITY && m <= 0.0 {
        return f64::INFINITY;
    }
    let log = log_square(x);
    let length = log_square(end) - log;
    let (u, u_end) = ((-log).exp(), (-log - length).exp());
    // c₀ = 1, cₙ = cₙ₋₁ (n − 1 − h)/n with h = (k − 1)/2.
    let h = 0.5 * (f64::from(k) - 1.0);
    let (mut near, mut far) = ((-m * log).exp(), (-m * (log + length)).exp());
    if end == f64::INFINITY {
        far = 0.0;
    }
    let (mut c, mut n, mut sum) = (1.0, 0.0, 0.0);
    loop {
        let p = m + n;
        // Near 0 the difference of powers would cancel; elsewhere it is as good, and cheaper.
        let piece = if p.abs() < 0.5 { near * falling(p, length) } else { (near - far) / p };
        sum += c * piece;
        if n > 4.0 && (c * near).abs() <= 1e-17 * sum.abs() * p.abs().max(1.0) && p > 0.0 || n > 2000.0 {
            return 0.5 * sum;
        }
        n += 1.0;
        c *= (n - 1.0 - h) / n;
        near *= u;
        far *= u_end;
    }
}

impl Distribution for StudentT {
    fn density(&self, w: f64) -> f64 {
        if w.abs() > self.truncate {
            return 0.0;
        }
        let x = w.abs() / self.nu.sqrt();
        (-0.5 * (self.nu + 1.0) * log_square(x)).exp() / (2.0 * self.nu.sqrt() * self.whole[0])
    }

    fn above(&self, a: f64) -> Moments {
        let x = a / self.nu.sqrt();
        if x >= self.end {
            return Moments::ZERO;
        }
        let even = |i: usize, k: u32| {
            if x >= 1.0 { outer(self.nu, k, x, self.end) } else { (self.whole[i] - lower(self.nu, k, x)).max(0.0) }
        };
        let scale = 0.5 / self.whole[0];
        Moments {
            mass: scale * even(0, 0),
            first: scale * self.nu.sqrt() * self.first(x),
            second: scale * self.nu * even(1, 2),
        }
    }

    fn energy_within(&self, a: f64) -> f64 {
        let x = (a / self.nu.sqrt()).min(self.end);
        let inner = lower(self.nu, 2, x.min(1.0));
        let whole = if x > 1.0 { inner + outer(self.nu, 2, 1.0, x) } else { inner };
        self.nu * whole / self.whole[0]
    }

    fn reach(&self) -> f64 {
        self.truncate
    }

    fn kurtosis(&self) -> f64 {
        let [mass, second, fourth] = self.whole;
        fourth * mass / (second * second)
    }
}
