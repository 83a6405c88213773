//! The nearest grid point in the metric of H, exactly: a sphere decoder with the enumeration of Schnorr and Euchner (Agrell,
//! Eriksson, Vardy and Zeger 2002, "Closest point search in lattices", IEEE Trans. Inf. Theory 48), on a clipped grid.

use lantern_graph::{Error, Result};
use nalgebra::{Cholesky, DMatrix};

use super::limit::{Limit, Meter};
use crate::grid::Grid;
use crate::quadratic::Quadratic;

/// Inputs beyond which no search ends.
pub const MAX_QUANTIZED: usize = 64;

/// What an exact search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    pub best: T,
    /// (w − ŵ)ᵀH(w − ŵ) of `best`.
    pub error: f64,
    /// No solution has a smaller error than this; `error` itself when the search came to its end.
    pub lower: f64,
    /// Partial solutions looked at.
    pub nodes: u64,
    /// Whether the search came to its end within its limit.
    pub complete: bool,
}

impl<T> Found<T> {
    /// How far `best` may be from the optimum: 0 where the search came to its end, infinite where nothing is proven.
    pub fn gap_db(&self) -> f64 {
        gap_db(self.error, self.lower)
    }
}

/// Of an error that was found over one that none is below, in dB.
pub fn gap_db(found: f64, lower: f64) -> f64 {
    if found <= lower { 0.0 } else { 10.0 * (found / lower).log10() }
}

/// min (w − ŵ)ᵀH(w − ŵ) over ŵ on `grid`; `best` are its codes. `start`: codes to be beaten, if any are known. At the limit
/// the best so far and what is proven come back.
///
/// # Errors
/// `compress.size` for other than 1 to 64 weights; `compress.not_a_number`.
pub fn quantize_exact(
    form: &Quadratic,
    w: &[f64],
    grid: &Grid,
    start: Option<&[i32]>,
    limit: Limit,
) -> Result<Found<Vec<i32>>> {
    form.check(w)?;
    let n = w.len();
    if n > MAX_QUANTIZED {
        return Err(Error::new(
            "compress.size",
            format!("an exact search over {n} weights"),
            format!("take {MAX_QUANTIZED} at a time or fewer; up to 24 it ends"),
        ));
    }
    let order = order(form);
    let permuted = DMatrix::from_fn(n, n, |i, j| form.h()[(order[i], order[j])]);
    let Some(cholesky) = Cholesky::new(permuted) else {
        return Err(Error::new(
            "compress.calibration",
            "the Hessian lost its definiteness when it was reordered",
            "calibrate on a longer text",
        ));
    };
    // H = RᵀR in units of the grid.
    let r = cholesky.l().transpose() * grid.scale;
    let target: Vec<f64> = order.iter().map(|i| w[*i] / grid.scale + f64::from(grid.zero_point)).collect();
    let (low, high) = (grid.low, grid.high);
    let mut search = Search { r, target, low, high, meter: Meter::new(limit), codes: vec![0; n] };
    let start = match start.filter(|codes| codes.len() == n) {
        Some(codes) => codes.iter().map(|k| (*k).clamp(grid.low, grid.high)).collect(),
        None => w.iter().map(|v| grid.code(*v)).collect::<Vec<_>>(),
    };
    let start: Vec<i32> = order.iter().map(|i| start[*i]).collect();
    let (codes, lower) = search.run(start);
    let mut best = vec![0; n];
    for (i, code) in order.iter().zip(&codes) {
        best[*i] = *code;
    }
    let values: Vec<f64> = best.iter().map(|k| grid.value(*k)).collect();
    let error = form.error(w, &values);
    let complete = lower.is_none();
    Ok(Found { best, error, lower: lower.map_or(error, |l| l.min(error)), nodes: search.meter.nodes, complete })
}

/// Decided first (that is: last in the order) is what its neighbours can make up for least: the smallest diagonal of the
/// inverse of what is left. Bounds then grow early.
fn order(form: &Quadratic) -> Vec<usize> {
    let n = form.n();
    let mut inverse = form.inverse();
    let mut left: Vec<usize> = (0..n).collect();
    let mut order = vec![0; n];
    for at in (0..n).rev() {
        let (place, &i) = left
            .iter()
            .enumerate()
            .min_by(|a, b| inverse[(*a.1, *a.1)].total_cmp(&inverse[(*b.1, *b.1)]))
            .expect("as many are left as places");
        left.swap_remove(place);
        order[at] = i;
        // The inverse of H without row and column i.
        let pivot = inverse[(i, i)];
        let column = inverse.column(i).into_owned();
        inverse.ger(-1.0 / pivot, &column, &column, 1.0);
    }
    order
}

struct Search<'a> {
    /// Upper triangular.
    r: DMatrix<f64>,
    target: Vec<f64>,
    low: i32,
    high: i32,
    meter: Meter<'a>,
    codes: Vec<i32>,
}

/// The codes of one coordinate, nearest to its centre first.
#[derive(Clone, Copy, Default)]
struct Level {
    center: f64,
    /// R_ii².
    weight: f64,
    down: i32,
    up: i32,
    /// Error of the coordinates decided before.
    above: f64,
}

impl Level {
    /// The next code and the error with it.
    fn next(&mut self, low: i32, high: i32) -> Option<(i32, f64)> {
        let distance = |k: i32| (f64::from(k) - self.center).abs();
        let code = match (self.down >= low, self.up <= high) {
            (true, true) if distance(self.down) <= distance(self.up) => self.down,
            (_, true) => self.up,
            (true, false) => self.down,
            (false, false) => return None,
        };
        let error = self.above + self.weight * distance(code).powi(2);
        if code == self.down {
            self.down -= 1;
        } else {
            self.up += 1;
        }
        Some((code, error))
    }
}

impl Search<'_> {
    fn enter(&self, i: usize, above: f64) -> Level {
        let pull: f64 =
            (i + 1..self.codes.len()).map(|j| self.r[(i, j)] * (self.target[j] - f64::from(self.codes[j]))).sum();
        let center = self.target[i] + pull / self.r[(i, i)];
        // The nearest below and the nearest above, each inside the grid or just past its end.
        let floor = (center.floor() as i32).clamp(self.low - 1, self.high);
        Level { center, weight: self.r[(i, i)].powi(2), down: floor, up: floor + 1, above }
    }

    fn error(&self, codes: &[i32]) -> f64 {
        let n = codes.len();
        (0..n)
            .map(|i| (i..n).map(|j| self.r[(i, j)] * (self.target[j] - f64::from(codes[j]))).sum::<f64>().powi(2))
            .sum()
    }

    /// The best codes, and where the search was cut short a lower bound.
    fn run(&mut self, start: Vec<i32>) -> (Vec<i32>, Option<f64>) {
        let n = self.codes.len();
        let mut best = (self.error(&start), start);
        let mut levels = vec![Level::default(); n];
        let mut i = n - 1;
        levels[i] = self.enter(i, 0.0);
        loop {
            let next = levels[i].next(self.low, self.high).filter(|(_, error)| *error < best.0);
            if let Some((code, error)) = next {
                if !self.meter.spend() {
                    // What is open: this node, and the next brother of each of its ancestors, none better than its
                    // brothers to come.
                    let brothers = levels[i + 1..].iter().filter_map(|level| {
                        let mut level = *level;
                        level.next(self.low, self.high).map(|(_, error)| error)
                    });
                    let open = brothers.fold(error, f64::min);
                    return (best.1, Some(open.min(best.0)));
                }
                self.codes[i] = code;
                if i == 0 {
                    best = (error, self.codes.clone());
                } else {
                    i -= 1;
                    levels[i] = self.enter(i, error);
                }
                continue;
            }
            // The rest at this coordinate is farther off: back up.
            i += 1;
            if i == n {
                return (best.1, None);
            }
        }
    }
}
