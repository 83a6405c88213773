//! How often each code occurs.

use crate::distribution::Distribution;
use crate::grid::Grid;

/// The share of weights at each code of a grid that holds 0, in their order.
pub fn code_masses(distribution: &dyn Distribution, grid: &Grid) -> Vec<f64> {
    let (low, high) = grid.ends();
    let total = distribution.beyond(0.0).mass;
    let side = |tail: &dyn Fn(f64) -> f64, codes: i32| {
        let mut rest = tail(0.0);
        let mut masses = Vec::new();
        for code in 0..=codes {
            let next = if code == codes { 0.0 } else { tail((f64::from(code) + 0.5) * grid.scale) };
            masses.push((rest - next).max(0.0) / total);
            rest = next;
        }
        masses
    };
    let up = side(&|a| distribution.above(a).mass, high);
    let mut masses = side(&|a| distribution.below(a).mass, -low);
    masses.reverse();
    let zero = masses.pop().unwrap_or(0.0) + up[0];
    masses.push(zero);
    masses.extend(&up[1..]);
    masses
}

/// −Σ p log₂ p.
pub fn code_entropy_bits(masses: &[f64]) -> f64 {
    masses.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum()
}
