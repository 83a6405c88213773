//! How small the error of a quantized layer could possibly be: the Lagrangian dual of the relaxation of Park and Boyd 2018,
//! "A semidefinite programming method for integer convex quadratic minimization", Optimization Letters 12.
//!
//! In units of the grid, with u = w / scale and Q = scale²H, integers k minimise (u − k)ᵀQ(u − k). Measured from an integer
//! f near the optimum, k = f + z, every integer satisfies z(z − 1) ≥ 0, and one of a clipped grid also
//! (z − l)(h − z) ≥ 0. Each such constraint αz² + βz + γ ≥ 0 gets a multiplier λ ≥ 0; the Lagrangian is minimised by
//! x = A⁻¹b with A = Q − diag(Σλα), b = Qa + ½Σλβ, a = u − f, as long as A is positive definite, and its minimum
//! aᵀQa − Σλγ − bᵀx is below every error on the grid, whatever λ is. So stopping early costs tightness alone.

use lantern_graph::Result;
use nalgebra::{Cholesky, DMatrix, DVector};

use super::synthetic::Draws;
use crate::grid::Grid;
use crate::quadratic::Quadratic;

/// Newton steps in all; 30 to 40 are common.
const MAX_STEPS: usize = 200;
/// How far below the best bound the last one may be, relative to it.
const TIGHTNESS: f64 = 1e-5;
/// What rounding may have added to the bound, relative to the numbers it is a difference of.
const ROUNDING: f64 = 1e-11;

/// The relaxation's answer.
pub struct Relaxed {
    /// No ŵ on the grid has an error (w − ŵ)ᵀH(w − ŵ) below this number, which is at least 0. It knows where the grid ends:
    /// tighter than [`Self::integers`] at few bits, and never looser.
    pub bound: f64,
    /// The bound of Park and Boyd, of all integers.
    pub integers: f64,
    /// In units of the grid's scale: the relaxed solution's mean, and a factor of its covariance.
    mean: DVector<f64>,
    factor: DMatrix<f64>,
}

impl Relaxed {
    /// A guess at ŵ in units of the grid's scale, to be rounded: a draw of the Gaussian whose moments are the relaxed solution,
    /// which in the mean has the relaxation's error (Park and Boyd 2018, section 4).
    pub fn sample(&self, draws: &mut Draws) -> Vec<f64> {
        let noise = DVector::from_fn(self.mean.len(), |_, _| draws.gaussian());
        (&self.mean + &self.factor * noise).as_slice().to_vec()
    }
}

/// # Errors
/// `compress.size`, `compress.not_a_number`, as [`Quadratic::check`].
pub fn relax(form: &Quadratic, w: &[f64], grid: &Grid) -> Result<Relaxed> {
    form.check(w)?;
    let [integers, clipped] = [false, true].map(|is_clipped| solve(form, w, grid, is_clipped));
    // Where the ends are far off, their constraints are of no use, and can stand in the way.
    let bound = integers.bound;
    let best = if clipped.bound >= bound { clipped } else { integers };
    Ok(Relaxed { bound: best.bound, integers: bound, mean: best.mean, factor: best.factor })
}

/// What one ascent ends with.
struct Solution {
    bound: f64,
    mean: DVector<f64>,
    factor: DMatrix<f64>,
}

/// With constraints for the grid's ends or without.
fn solve(form: &Quadratic, w: &[f64], grid: &Grid, is_clipped: bool) -> Solution {
    let n = w.len();
    let q = form.h() * grid.scale.powi(2);
    let (low, high) = grid.ends();
    let (low, high) = (f64::from(low), f64::from(high));
    let mut constraints = Vec::new();
    let (mut a, mut origin) = (DVector::zeros(n), DVector::zeros(n));
    for (i, w) in w.iter().enumerate() {
        let u = w / grid.scale;
        let floor = if is_clipped { u.floor().clamp(low, high - 1.0) } else { u.floor() };
        a[i] = u - floor;
        origin[i] = floor;
        constraints.push(Constraint { at: i, alpha: 1.0, beta: -1.0, gamma: 0.0 });
        if is_clipped {
            let (l, h) = (low - floor, high - floor);
            constraints.push(Constraint { at: i, alpha: -1.0, beta: l + h, gamma: -l * h });
        }
    }
    let qa = &q * &a;
    let constant = a.dot(&qa);
    let dual = Dual { q, qa, constant, constraints };
    dual.ascend(origin)
}

/// αz² + βz + γ ≥ 0 of one coordinate.
struct Constraint {
    at: usize,
    alpha: f64,
    beta: f64,
    gamma: f64,
}

struct Dual {
    q: DMatrix<f64>,
    qa: DVector<f64>,
    constant: f64,
    constraints: Vec<Constraint>,
}

/// The Lagrangian's minimum for some multipliers.
struct Point {
    lambda: DVector<f64>,
    /// The minimum, less what rounding may have added.
    value: f64,
    x: DVector<f64>,
    inverse: DMatrix<f64>,
    /// ln det A + Σ ln λ: what keeps the ascent away from the borders of where there is a minimum.
    barrier: f64,
}

impl Dual {
    /// `None` where the Lagrangian has no minimum.
    fn at(&self, lambda: DVector<f64>) -> Option<Point> {
        let (mut a, mut b, mut constant) = (self.q.clone(), self.qa.clone(), self.constant);
        let mut size = self.constant;
        for (c, lambda) in self.constraints.iter().zip(&lambda) {
            a[(c.at, c.at)] -= lambda * c.alpha;
            b[c.at] += 0.5 * lambda * c.beta;
            constant -= lambda * c.gamma;
            size += (lambda * c.gamma).abs();
        }
        let cholesky = Cholesky::new(a.clone())?;
        let pivots = cholesky.l_dirty().diagonal();
        if pivots.min().powi(2) < 1e-13 * self.q.trace() / self.q.nrows() as f64 {
            return None;
        }
        let mut x = cholesky.solve(&b);
        // One step of refinement: near the cone's border A is ill-conditioned.
        x += cholesky.solve(&(&b - &a * &x));
        let residual = &b - &a * &x;
        // bᵀA⁻¹b = xᵀAx + 2xᵀr + rᵀA⁻¹r.
        let minimum = x.dot(&(&a * &x)) + 2.0 * x.dot(&residual) + residual.dot(&cholesky.solve(&residual));
        let value = constant - minimum - ROUNDING * (size + minimum.abs());
        let logs = lambda.iter().map(|v| v.ln()).sum::<f64>() + 2.0 * pivots.iter().map(|v| v.ln()).sum::<f64>();
        Some(Point { lambda, value, x, inverse: cholesky.inverse(), barrier: logs })
    }

    /// Interior-point ascent: Newton steps on value + μ · barrier, with μ falling. At the centre for a μ the value is at most
    /// μ for each multiplier and each dimension of A below its maximum (Boyd and Vandenberghe 2004, §11.2 and §11.6).
    ///
    /// And there xxᵀ + μA⁻¹ keeps the constraints of the semidefinite relaxation that this is the dual of: z at `origin` + x with
    /// that covariance.
    fn ascend(&self, origin: DVector<f64>) -> Solution {
        let (m, n) = (self.constraints.len(), self.q.nrows());
        let unit = self.q.trace() / n as f64;
        // Small enough that A stays definite; and smaller where a constraint's numbers are large, as those of far ends are.
        let mut start = 0.1 * unit;
        let mut point = loop {
            let lambda = self.constraints.iter().map(|c| start / (1.0 + c.gamma.abs()));
            match self.at(DVector::from_iterator(m, lambda)) {
                Some(point) => break point,
                // With all weights free the bound is 0.
                None if start < 1e-14 * unit => {
                    return Solution { bound: 0.0, mean: origin, factor: DMatrix::zeros(n, n) };
                }
                None => start *= 0.3,
            }
        };
        let mut best = point.value;
        let mut mu = (self.constant.max(unit) / (n + m) as f64).max(f64::MIN_POSITIVE);
        for _ in 0..MAX_STEPS {
            let (next, decrement) = self.step(&point, mu);
            let stuck = next.is_none();
            point = next.unwrap_or(point);
            best = best.max(point.value);
            if stuck || decrement < 0.1 * mu {
                if mu * ((n + m) as f64) < TIGHTNESS * best {
                    break;
                }
                mu *= 0.2;
                if mu < 1e-14 * unit {
                    break;
                }
            }
        }
        let spread = Cholesky::new(&point.inverse * mu).map_or_else(|| DMatrix::zeros(n, n), |c| c.unpack());
        Solution { bound: best.max(0.0), mean: origin + &point.x, factor: spread }
    }

    /// One damped Newton step, and half the gain it promised. `None` where rounding leaves nothing to gain.
    fn step(&self, point: &Point, mu: f64) -> (Option<Point>, f64) {
        let (p, c) = (&point.inverse, &self.constraints);
        let d: Vec<f64> = c.iter().map(|c| c.alpha * point.x[c.at] + 0.5 * c.beta).collect();
        let gradient = DVector::from_fn(c.len(), |j, _| {
            let x = point.x[c[j].at];
            let own = -(c[j].alpha * x * x + c[j].beta * x + c[j].gamma);
            own + mu * (1.0 / point.lambda[j] - c[j].alpha * p[(c[j].at, c[j].at)])
        });
        // Of the negative: 2 d P dᵀ for the value, with d = αx + β/2; α P² αᵀ (entrywise) and λ⁻² for the barrier.
        let mut curvature = DMatrix::from_fn(c.len(), c.len(), |j, k| {
            let p = p[(c[j].at, c[k].at)];
            2.0 * d[j] * d[k] * p + mu * c[j].alpha * c[k].alpha * p * p
        });
        for (j, lambda) in point.lambda.iter().enumerate() {
            curvature[(j, j)] += mu / (lambda * lambda);
        }
        let Some(cholesky) = Cholesky::new(curvature) else { return (None, 0.0) };
        let direction = cholesky.solve(&gradient);
        let decrement = gradient.dot(&direction);
        let merit = |point: &Point| point.value + mu * point.barrier;
        let mut length = 1.0;
        for _ in 0..40 {
            let lambda = &point.lambda + &direction * length;
            if lambda.iter().all(|v| *v > 0.0)
                && let Some(next) = self.at(lambda)
                && merit(&next) >= merit(point) + 0.1 * length * decrement
            {
                return (Some(next), decrement);
            }
            length *= 0.5;
        }
        (None, decrement)
    }
}
