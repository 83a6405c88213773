//! What a layer's output loses: for one output channel with weights w and inputs X, ‖X(w − ŵ)‖² / rows = (w − ŵ)ᵀH(w − ŵ)
//! with H = XᵀX / rows. Everything that knows inputs (bounds, GPTQ, OBS) minimises this form.

use lantern_graph::{Error, Result};
use nalgebra::{Cholesky, DMatrix, Dyn};

/// Sums over a layer's inputs: H and their mean, without the inputs.
#[derive(Debug, Clone)]
pub struct Gram {
    /// Of the upper triangle alone, row-major `[n, n]`.
    products: Vec<f64>,
    sums: Vec<f64>,
    n: usize,
    rows: usize,
}

/// Inputs of a layer beyond which H (n² numbers of 8 bytes) is not computed: 2 GiB.
pub const MAX_INPUTS: usize = 16384;

impl Gram {
    /// # Errors
    /// `compress.size` for no inputs, or more than `MAX_INPUTS`.
    pub fn new(n: usize) -> Result<Self> {
        if n == 0 || n > MAX_INPUTS {
            return Err(Error::new(
                "compress.size",
                format!("a layer of {n} inputs"),
                format!("calibrated methods work on 1 to {MAX_INPUTS} inputs; the others have no such limit"),
            ));
        }
        Ok(Self { products: vec![0.0; n * n], sums: vec![0.0; n], n, rows: 0 })
    }

    /// Adds inputs `x`, row-major `[rows, n]`.
    ///
    /// # Errors
    /// `compress.calibration` for an input that is not finite, or a broken row.
    pub fn add(&mut self, x: &[f32]) -> Result<()> {
        let n = self.n;
        if !x.len().is_multiple_of(n) || x.iter().any(|v| !v.is_finite()) {
            return Err(Error::new(
                "compress.calibration",
                format!("{} numbers do not make finite rows of {n} inputs", x.len()),
                "the model computes infinities on this text: use another file or text",
            ));
        }
        // Four rows at a time: the sums are then read and written a quarter as often.
        for rows in x.chunks(4 * n) {
            for (i, products) in self.products.chunks_exact_mut(n).enumerate() {
                let mut factors = [0.0; 4];
                for (factor, row) in factors.iter_mut().zip(rows.chunks_exact(n)) {
                    *factor = f64::from(row[i]);
                }
                if factors == [0.0; 4] {
                    continue;
                }
                for (factor, row) in factors.iter().zip(rows.chunks_exact(n)) {
                    for (product, v) in products[i..].iter_mut().zip(&row[i..]) {
                        *product += factor * f64::from(*v);
                    }
                }
            }
            for row in rows.chunks_exact(n) {
                for (sum, v) in self.sums.iter_mut().zip(row) {
                    *sum += f64::from(*v);
                }
            }
        }
        self.rows += x.len() / n;
        Ok(())
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn n(&self) -> usize {
        self.n
    }

    /// Mean of each input.
    pub fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.rows.max(1) as f64).collect()
    }

    /// H = XᵀX / rows, `[n, n]`.
    ///
    /// # Errors
    /// `compress.calibration` before any row was added.
    pub fn matrix(&self) -> Result<DMatrix<f64>> {
        if self.rows == 0 {
            return Err(Error::new("compress.calibration", "no inputs were seen", "give a text to calibrate on"));
        }
        let scale = 1.0 / self.rows as f64;
        Ok(DMatrix::from_fn(self.n, self.n, |i, j| scale * self.products[i.min(j) * self.n + i.max(j)]))
    }
}

/// A positive definite form (w − ŵ)ᵀH(w − ŵ).
#[derive(Debug, Clone)]
pub struct Quadratic {
    h: DMatrix<f64>,
    cholesky: Cholesky<f64, Dyn>,
}

/// Added to a singular H's diagonal, relative to its mean: 90 dB under the layer's outputs, and enough for a factorisation
/// in f64 whose rounding is 2⁻⁵².
pub const SINGULAR_DAMPING: f64 = 1e-9;

impl Quadratic {
    /// Of a symmetric H. `damping`, relative to the mean of H's diagonal, is added to the diagonal; a singular H (dead or
    /// repeated inputs, fewer rows than inputs) gets [`SINGULAR_DAMPING`] at least. What is minimised is the damped form,
    /// by solvers, bounds and heuristics alike, so that they can be held against each other.
    ///
    /// # Errors
    /// `compress.calibration` for an H that is empty, not square, not finite, all zero or not positive semidefinite.
    pub fn new(h: DMatrix<f64>, damping: f64) -> Result<Self> {
        let n = h.nrows();
        let bad = |cause: String| {
            Err(Error::new("compress.calibration", cause, "calibrate on a longer text, or on another one"))
        };
        if n == 0 || h.ncols() != n {
            return bad(format!("a Hessian of {n} × {} inputs", h.ncols()));
        }
        if h.iter().any(|v| !v.is_finite()) || !damping.is_finite() || damping < 0.0 {
            return bad(format!("the Hessian holds a number that is not finite, or its damping is {damping}"));
        }
        let mean = h.trace() / n as f64;
        if mean <= 0.0 {
            return bad(format!("all {n} inputs are zero on this text"));
        }
        for damping in [damping, damping.max(SINGULAR_DAMPING), damping.max(1e3 * SINGULAR_DAMPING)] {
            let mut damped = h.clone();
            for i in 0..n {
                damped[(i, i)] += damping * mean;
            }
            let Some(cholesky) = Cholesky::new(damped.clone()) else { continue };
            // A pivot of rounding errors is no pivot.
            let smallest = cholesky.l_dirty().diagonal().iter().fold(f64::INFINITY, |m, v| m.min(v * v));
            if smallest > 1e-13 * mean {
                return Ok(Self { h: damped, cholesky });
            }
        }
        bad("the Hessian is not positive semidefinite".into())
    }

    /// Of inputs `x`, row-major `[rows, n]`, as [`Quadratic::new`] without damping.
    ///
    /// # Errors
    /// As [`Gram`]'s and [`Quadratic::new`]'s.
    pub fn from_inputs(x: &[f32], n: usize) -> Result<Self> {
        let mut gram = Gram::new(n)?;
        gram.add(x)?;
        Self::new(gram.matrix()?, 0.0)
    }

    /// Every weight counts alike: H is the identity.
    ///
    /// # Errors
    /// `compress.size`, as [`Gram::new`].
    pub fn identity(n: usize) -> Result<Self> {
        Gram::new(n)?;
        Self::new(DMatrix::identity(n, n), 0.0)
    }

    pub fn n(&self) -> usize {
        self.h.nrows()
    }

    pub fn h(&self) -> &DMatrix<f64> {
        &self.h
    }

    /// L of H = LLᵀ.
    pub fn cholesky(&self) -> &Cholesky<f64, Dyn> {
        &self.cholesky
    }

    pub fn inverse(&self) -> DMatrix<f64> {
        self.cholesky.inverse()
    }

    /// (w − ŵ)ᵀH(w − ŵ), by way of ‖Lᵀ(w − ŵ)‖², which rounding does not make negative.
    pub fn error(&self, w: &[f64], other: &[f64]) -> f64 {
        let l = self.cholesky.l_dirty();
        let delta: Vec<f64> = w.iter().zip(other).map(|(a, b)| a - b).collect();
        (0..delta.len())
            .map(|j| {
                let dot: f64 = (j..delta.len()).map(|i| l[(i, j)] * delta[i]).sum();
                dot * dot
            })
            .sum()
    }

    /// wᵀHw: what the channel puts out, and what an error is held against.
    pub fn energy(&self, w: &[f64]) -> f64 {
        self.error(w, &vec![0.0; w.len()])
    }

    /// # Errors
    /// `compress.size` when there are not as many weights as inputs; `compress.not_a_number` when one is not finite.
    pub fn check(&self, w: &[f64]) -> Result<()> {
        if w.len() != self.n() {
            return Err(Error::new(
                "compress.size",
                format!("{} weights on {} inputs", w.len(), self.n()),
                "give one weight an input",
            ));
        }
        match w.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(i) => Err(Error::new(
                "compress.not_a_number",
                format!("weight {i} is {}", w[i]),
                "the file is damaged, or training diverged: get it again",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_mean_squared_output_difference() {
        let x = [1.0f32, 2.0, -1.0, 0.5, 3.0, 1.0, 0.0, -2.0, 4.0, 1.5, 1.0, 1.0];
        let q = Quadratic::from_inputs(&x, 3).unwrap();
        let (w, v) = ([0.5, -1.0, 2.0], [0.25, 0.0, 1.0]);
        let direct: f64 = x
            .chunks(3)
            .map(|row| row.iter().zip(w.iter().zip(&v)).map(|(x, (w, v))| f64::from(*x) * (w - v)).sum::<f64>())
            .map(|difference| difference * difference / 4.0)
            .sum();
        assert!((q.error(&w, &v) - direct).abs() < 1e-12 * direct, "{} {direct}", q.error(&w, &v));
    }

    #[test]
    fn rank_deficient_inputs_are_damped_and_dead_ones_refused() {
        // Two rows of three inputs, one of them dead.
        let q = Quadratic::from_inputs(&[1.0, 0.0, 2.0, 3.0, 0.0, -1.0], 3).unwrap();
        assert!(q.error(&[0.0, 1.0, 0.0], &[0.0; 3]) < 1e-7 * q.h().trace());
        for (x, n) in [(&[0.0f32; 6][..], 3), (&[f32::NAN; 3], 3), (&[], 3), (&[1.0; 4], 3)] {
            assert_eq!(Quadratic::from_inputs(x, n).unwrap_err().code, "compress.calibration");
        }
        let indefinite = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]);
        assert_eq!(Quadratic::new(indefinite, 0.0).unwrap_err().code, "compress.calibration");
        assert_eq!(Gram::new(0).unwrap_err().code, "compress.size");
    }

    #[test]
    fn one_input_and_all_zero_weights_are_no_special_case() {
        let q = Quadratic::from_inputs(&[2.0, 0.0], 1).unwrap();
        assert!((q.error(&[3.0], &[1.0]) - 8.0).abs() < 1e-12);
        assert_eq!(q.energy(&[0.0]), 0.0);
    }
}
