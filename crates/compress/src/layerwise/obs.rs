//! Optimal Brain Surgeon, one weight at a time: Hassibi and Stork 1992; its exact greedy form for layers is Frantar and
//! Alistarh 2022, "Optimal Brain Compression", arXiv 2208.11580.

use nalgebra::DMatrix;

use crate::quadratic::Quadratic;

/// A channel with some weights held at zero and the others where the output then is best.
#[derive(Debug, Clone)]
pub(crate) struct Conditional {
    /// Of H without the rows and columns of the zeros; those are zero here.
    pub inverse: DMatrix<f64>,
    pub w: Vec<f64>,
    /// (w − ŵ)ᵀH(w − ŵ) so far.
    pub error: f64,
}

impl Conditional {
    pub fn new(form: &Quadratic, w: &[f64]) -> Self {
        Self { inverse: form.inverse(), w: w.to_vec(), error: 0.0 }
    }

    /// What zeroing weight `i`, which is not zeroed yet, adds to the error.
    pub fn cost(&self, i: usize) -> f64 {
        self.w[i].powi(2) / self.inverse[(i, i)]
    }

    /// Zeroes weight `i`; the others make up for it.
    pub fn zero(&mut self, i: usize) {
        let pivot = self.inverse[(i, i)];
        let column = self.inverse.column(i).into_owned();
        let by = self.w[i] / pivot;
        self.error += self.w[i] * by;
        for (w, c) in self.w.iter_mut().zip(&column) {
            // A weight that is zero stays exactly so: its row of the inverse is zero.
            *w -= c * by;
        }
        self.w[i] = 0.0;
        self.inverse.ger(-1.0 / pivot, &column, &column, 1.0);
        self.inverse.row_mut(i).fill(0.0);
        self.inverse.column_mut(i).fill(0.0);
    }
}

/// Zeroes `pruned` weights, each time the one that costs least, and refits the others. O(n² · pruned).
pub fn obs(form: &Quadratic, w: &[f64], pruned: usize) -> Vec<f64> {
    let mut state = Conditional::new(form, w);
    let mut left: Vec<usize> = (0..w.len()).collect();
    for _ in 0..pruned.min(w.len()) {
        let costs = left.iter().map(|i| state.cost(*i)).enumerate();
        let Some((place, _)) = costs.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        state.zero(left.swap_remove(place));
    }
    state.w
}
