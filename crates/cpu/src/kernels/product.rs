//! Matrix products. Those with a stored weight come down to rows times rows, which candle's dot products do for every block
//! type; those of two computed values go to `gemm`.

use std::ops::Range;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants;
use lantern_graph::{Error, Result};

use super::gemm::{Matrix, gemm};
use super::parallel;
use crate::weights::Rows;

/// Below this many multiplications the thread pool's barrier costs more than it saves.
const ALONE: usize = 1 << 18;

/// Elements of a weight made f32 at a time: 256 KiB of f32, inside the second-level cache.
const WIDENED: usize = 1 << 16;

/// Working space that a session keeps.
#[derive(Default)]
pub struct Scratch {
    pub a: Vec<f32>,
    pub b: Vec<f32>,
}

/// `x [m, k] · wᵀ`, w `[n, k]` → `[m, n]`. Rows of x are first converted to what w's type is multiplied with: f32 stays,
/// quantized types take int8. A row's result does not depend on how many rows there are.
pub(crate) fn rows_by_rows<T: GgmlType>(
    (m, k, n): (usize, usize, usize),
    x: &[f32],
    w: &[T],
    out: &mut [f32],
) -> Result<()> {
    if k == 0 || n == 0 {
        out.fill(0.0);
        return Ok(());
    }
    if cfg!(target_arch = "wasm32") || m * k * n > ALONE {
        return k_quants::matmul((m, k, n), x, w, out)
            .map_err(|e| Error::new("cpu.matmul", format!("[{m}, {k}] by [{n}, {k}]: {e}"), "report this"));
    }
    // The same dot products in the same groups of four as candle's, on this thread.
    let blocks = k / T::BLCK_SIZE;
    let mut row = vec![T::VecDotType::zeros(); blocks];
    for (x, out) in x.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
        T::VecDotType::from_float(x, &mut row);
        let (fours, rest) = out.as_chunks_mut::<4>();
        for (out, w) in fours.iter_mut().zip(w.chunks_exact(4 * blocks)) {
            let w = |i: usize| &w[i * blocks..(i + 1) * blocks];
            let (a, b, c, d) = T::vec_dot_4(k, w(0), w(1), w(2), w(3), &row);
            *out = [a, b, c, d];
        }
        let first = n - rest.len();
        let w = |i: usize| &w[(first + i) * blocks..(first + i + 1) * blocks];
        if rest.len() >= 2 {
            let (a, b) = T::vec_dot_2(k, w(0), w(1), &row);
            rest[..2].copy_from_slice(&[a, b]);
        }
        if rest.len() % 2 == 1 {
            let last = rest.len() - 1;
            rest[last] = T::vec_dot(k, w(last), &row);
        }
    }
    Ok(())
}

/// `x [m, k] · wᵀ` → `[m, n]` for a weight of n rows of k from element `start` of `rows`.
pub fn linear(
    x: &[f32],
    rows: &Rows,
    start: usize,
    (m, k, n): (usize, usize, usize),
    out: &mut [f32],
    scratch: &mut Scratch,
) -> Result<()> {
    match rows {
        Rows::F32(w) => rows_by_rows((m, k, n), x, &w[start..start + n * k], out),
        Rows::Blocks(blocks) if blocks.multiplies() => blocks.linear(x, start, (m, k, n), out),
        rows => {
            let step = (WIDENED / k.max(1)).clamp(1, n.max(1));
            let Scratch { a: widened, b: part } = scratch;
            widened.resize(step * k, 0.0);
            part.resize(m * step, 0.0);
            for first in (0..n).step_by(step) {
                let count = step.min(n - first);
                rows.read(start + first * k, &mut widened[..count * k]);
                let part = &mut part[..m * count];
                rows_by_rows((m, k, count), x, &widened[..count * k], part)?;
                for (part, out) in part.chunks_exact(count).zip(out.chunks_exact_mut(n)) {
                    out[first..first + count].copy_from_slice(part);
                }
            }
            Ok(())
        }
    }
}

/// Adds `x[:, rows] · w[rows, :]` to out `[m, k]`, for x `[m, n]` and a weight of n rows of k read by `row`.
pub fn linear_transposed(
    x: &[f32],
    (n, k): (usize, usize),
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut Scratch,
    row: impl Fn(usize, &mut [f32]),
) {
    if k == 0 {
        return;
    }
    scratch.a.resize(k, 0.0);
    for j in rows {
        row(j, &mut scratch.a);
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(k)) {
            let by = x[j];
            out.iter_mut().zip(&scratch.a).for_each(|(out, w)| *out += by * w);
        }
    }
}

/// Multiplications that one core takes at a time, a millisecond's work, unless that is fewer than `ROWS` rows.
const PIECE: usize = 1 << 24;

/// Rows of a product at least: it first packs the whole right side.
const ROWS: usize = 192;

/// Rows of a product that are one unit of work: a piece for each core.
pub fn rows_per_unit(k: usize, n: usize) -> usize {
    rows_per_piece(k, n) * parallel::threads()
}

fn rows_per_piece(k: usize, n: usize) -> usize {
    (PIECE / (k * n).max(1)).max(ROWS)
}

/// `a · b` into `out` `[m, n]`, on all cores where that is worth it.
pub fn matmul(a: Matrix, b: Matrix, out: &mut [f32]) {
    let (m, n, rows) = (a.height(), b.width(), rows_per_piece(a.width(), b.width()));
    if m * n == 0 {
        return;
    }
    parallel::pieces(out, rows * n, &mut Vec::<()>::new(), |i, out, ()| {
        gemm(a.part(i * rows, out.len() / n), b, out, n, false);
    });
}
