//! Matrix products. Those with a stored weight come down to rows times rows: of blocks in integers (`quantized`), of 16 bits
//! widened in registers (`halves`), of f32 by candle. Those of two computed values go to `gemm`.

use std::ops::Range;

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants;
use lantern_graph::{Epilogue, Error, NodeId, Result};

use super::gemm::{Matrix, gemm};
use super::halves::{self, Bf16, F16};
use super::quantized::activations::Activations;
use super::quantized::arch::Chosen;
use super::tiles::{ALONE, ROWS};
use super::{elementwise, layout, parallel};
use crate::step::{Cost, Env, rows_of, unreadable, zero_first};
use crate::weights::{Rows, Table};

/// Working space that a session keeps.
#[derive(Default)]
pub struct Scratch {
    floats: Vec<f32>,
    activations: Activations,
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
        Rows::Blocks(blocks) => blocks.linear(x, start, (m, k, n), out, &mut scratch.activations),
        Rows::F16(w) => {
            let w = &w[start..start + n * k];
            if cfg!(target_arch = "wasm32") && m >= halves::MANY {
                halves::linear_of_many((m, k, n), Chosen::get(), x, w, out, &mut scratch.floats);
            } else {
                halves::linear::<F16>((m, k, n), Chosen::get(), x, w, out);
            }
            Ok(())
        }
        Rows::Bf16(w) => {
            halves::linear::<Bf16>((m, k, n), Chosen::get(), x, &w[start..start + n * k], out);
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
    scratch.floats.resize(k, 0.0);
    for j in rows {
        row(j, &mut scratch.floats);
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(k)) {
            let by = x[j];
            out.iter_mut().zip(&scratch.floats).for_each(|(out, w)| *out += by * w);
        }
    }
}

/// Multiplications that one core takes at a time, a millisecond's work, unless that is fewer than `LEAST_ROWS` rows.
const PIECE: usize = 1 << 24;

/// Rows of a product at least: it first packs the whole right side.
const LEAST_ROWS: usize = 192;

/// Rows of a product that are one unit of work: a piece for each core.
pub fn rows_per_unit(k: usize, n: usize) -> usize {
    rows_per_piece(k, n) * parallel::threads()
}

fn rows_per_piece(k: usize, n: usize) -> usize {
    (PIECE / (k * n).max(1)).max(LEAST_ROWS)
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

/// The leading dimensions and the last two.
fn matrix(dims: &[usize]) -> (&[usize], [usize; 2]) {
    let (batch, last) = dims.split_at(dims.len().saturating_sub(2));
    (batch, [last[0], last[1]])
}

impl Env<'_> {
    pub(crate) fn linear_cost(&self, id: NodeId) -> Cost {
        let (out, inner) = (self.dims(id), self.dims(self.node(id).inputs[1])[1]);
        // One row is cut across its columns. Several are taken together, as many as weights are unpacked for.
        if out[0] == 1 { Cost::new(out[1], &[inner], 64) } else { Cost::new(out[0], &[out[1], inner], ROWS) }
    }

    /// By rows of the weight, each of which adds to the whole result.
    pub(crate) fn linear_transposed_cost(&self, id: NodeId) -> Cost {
        let (out, rows) = (self.dims(id), self.dims(self.node(id).inputs[1])[0]);
        Cost::new(rows, &[out[0], out[1]], 1)
    }

    pub(crate) fn matmul_cost(&self, id: NodeId, transpose_a: bool) -> Cost {
        let (a, out) = (self.dims(self.node(id).inputs[0]), self.dims(id));
        let inner = a[a.len() - if transpose_a { 2 } else { 1 }];
        let (batch, [m, n]) = matrix(&out);
        let rows = rows_per_unit(inner, n).min(m.max(1));
        Cost::new(batch.iter().product::<usize>() * m.div_ceil(rows), &[rows, n, inner], 1).fast()
    }

    /// The bias and the residual of a fused product, where it has them.
    pub(crate) fn epilogue(&self, id: NodeId, epilogue: &Epilogue) -> Result<[Option<&[f32]>; 2]> {
        let mut more = self.node(id).inputs.iter().skip(2);
        let mut next = |has: bool| match has {
            true => more.next().ok_or_else(|| unreadable(id)).and_then(|input| self.floats(*input)).map(Some),
            false => Ok(None),
        };
        Ok([next(epilogue.bias)?, next(epilogue.residual)?])
    }

    /// Units are rows, or the columns of a single row.
    pub(crate) fn linear(&self, id: NodeId, part: Range<usize>, out: &mut [f32], scratch: &mut Scratch) -> Result<()> {
        let node = self.node(id);
        let (x, [n, k]) = (self.floats(node.inputs[0])?, matrix(&self.dims(node.inputs[1])).1);
        let (x, start_row, out, mkn) = match self.dims(id)[0] {
            1 => (x, part.start, &mut out[part.clone()], (1, k, part.len())),
            _ => (&x[rows_of(&part, k)], 0, &mut out[rows_of(&part, n)], (part.len(), k, n)),
        };
        if let (Some(crew), Some(weight)) = (self.crew, self.stored(node.inputs[1]))
            && crew.linear(x, weight, start_row..start_row + mkn.2, out, scratch)?
        {
            return Ok(());
        }
        let at = start_row * k;
        match self.table(node.inputs[1])? {
            Table::Stored(rows, start) => linear(x, rows, start + at, mkn, out, scratch),
            Table::Floats(w) => {
                let (m, k, n) = mkn;
                matmul(Matrix::rows(x, m, k, k), Matrix::rows(&w[at..], n, k, k).transposed(), out);
                Ok(())
            }
        }
    }

    pub(crate) fn fused_linear(
        &self,
        id: NodeId,
        epilogue: &Epilogue,
        part: Range<usize>,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let dims = self.dims(id);
        // One row is cut across its columns.
        let (at, columns) =
            if dims[0] == 1 { (part.clone(), part.clone()) } else { (rows_of(&part, dims[1]), 0..dims[1]) };
        self.linear(id, part, out, scratch)?;
        let [bias, residual] = self.epilogue(id, epilogue)?;
        let bias = bias.map(|bias| &bias[columns]);
        let residual = residual.map(|residual| &residual[at.clone()]);
        elementwise::finish(&mut out[at], bias, residual, epilogue.activation);
        Ok(())
    }

    pub(crate) fn linear_transposed(
        &self,
        id: NodeId,
        part: Range<usize>,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let inputs = &self.node(id).inputs;
        let (shape, table) = (self.dims(inputs[1]), self.table(inputs[1])?);
        zero_first(&part, out);
        let row = |j: usize, to: &mut [f32]| table.read(j * shape[1], to);
        linear_transposed(self.floats(inputs[0])?, (shape[0], shape[1]), part, out, scratch, row);
        Ok(())
    }

    /// Units are blocks of rows of the result's matrices.
    pub(crate) fn matmul(
        &self,
        id: NodeId,
        (transpose_a, transpose_b): (bool, bool),
        part: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let node = self.node(id);
        let (a, b) = (self.floats(node.inputs[0])?, self.floats(node.inputs[1])?);
        let (a_dims, b_dims, out_dims) = (self.dims(node.inputs[0]), self.dims(node.inputs[1]), self.dims(id));
        let ((batch, [m, n]), (a_batch, [a0, a1]), (b_batch, [b0, b1])) =
            (matrix(&out_dims), matrix(&a_dims), matrix(&b_dims));
        let k = if transpose_a { a0 } else { a1 };
        let rows = rows_per_unit(k, n).min(m.max(1));
        let (a_strides, b_strides) =
            (layout::broadcast_strides(a_batch, batch), layout::broadcast_strides(b_batch, batch));
        for unit in part {
            let (index, first) = (unit / m.div_ceil(rows), unit % m.div_ceil(rows) * rows);
            let (mut rest, mut a_at, mut b_at) = (index, 0, 0);
            for axis in (0..batch.len()).rev() {
                let i = rest % batch[axis];
                rest /= batch[axis];
                a_at += i * a_strides[axis];
                b_at += i * b_strides[axis];
            }
            let a = Matrix::rows(&a[a_at * a0 * a1..][..a0 * a1], a0, a1, a1).turned(transpose_a);
            let b = Matrix::rows(&b[b_at * b0 * b1..][..b0 * b1], b0, b1, b1).turned(transpose_b);
            let a = a.part(first, rows);
            matmul(a, b, &mut out[(index * m + first) * n..][..a.height() * n]);
        }
        Ok(())
    }
}
