//! Inputs and weights to try bounds on, where no real ones are given: the same for the same seed on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A seeded source of draws.
pub struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Between 0 and 1, neither included.
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// N(0, 1), by Box and Muller.
    pub fn gaussian(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t with two degrees of freedom, whose quantile function is closed.
    pub fn student_t2(&mut self) -> f64 {
        let p = self.uniform();
        (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt()
    }

    /// What a layer after a ReLU sees: max(0, zA) with z and A of independent N(0, 1), `[rows, n]`. Its means and the mixing A
    /// make inputs correlate.
    pub fn relu_inputs(&mut self, rows: usize, n: usize) -> Vec<f32> {
        let mixing: Vec<f64> = (0..n * n).map(|_| self.gaussian() / (n as f64).sqrt()).collect();
        let mut z = vec![0.0; n];
        let mut x = Vec::with_capacity(rows * n);
        for _ in 0..rows {
            z.iter_mut().for_each(|v| *v = self.gaussian());
            x.extend((0..n).map(|j| (0..n).map(|i| z[i] * mixing[i * n + j]).sum::<f64>().max(0.0) as f32));
        }
        x
    }
}
