//! Moving elements without changing them: broadcasts, permutations, parts of an axis, rows by number.

use lantern_graph::{DType, NodeId, Op, Result, f16};

use crate::step::{Env, unreadable};

/// Row-major strides.
pub fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i] * dims[i];
    }
    strides
}

/// Strides of an operand right-aligned in `to`: 0 where it is stretched.
pub fn broadcast_strides(dims: &[usize], to: &[usize]) -> Vec<usize> {
    let missing = to.len() - dims.len();
    let mut out = vec![0; to.len()];
    for (i, stride) in strides(dims).into_iter().enumerate() {
        out[missing + i] = if dims[i] == 1 { 0 } else { stride };
    }
    out
}

/// Walks `dims` in row-major order in runs along the last axis: `f(length, offsets, steps)` for each run, offsets and
/// steps per operand. Axes that lie in one line for every operand are walked as one.
pub fn walk<const N: usize>(
    dims: &[usize],
    strides: [Vec<usize>; N],
    mut f: impl FnMut(usize, [usize; N], [usize; N]),
) {
    if dims.contains(&0) {
        return;
    }
    // Outermost first: (length, stride of each operand).
    let mut axes: Vec<(usize, [usize; N])> = Vec::with_capacity(dims.len());
    for (i, &len) in dims.iter().enumerate().filter(|(_, len)| **len != 1) {
        let step: [usize; N] = std::array::from_fn(|o| strides[o][i]);
        match axes.last_mut() {
            Some((outer, by)) if (0..N).all(|o| by[o] == step[o] * len) => {
                *outer *= len;
                *by = step;
            }
            _ => axes.push((len, step)),
        }
    }
    let (run, step) = axes.pop().unwrap_or((1, [0; N]));
    let mut counter = vec![0; axes.len()];
    let mut at = [0; N];
    loop {
        f(run, at, step);
        let mut axis = axes.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            let (len, by) = axes[axis];
            counter[axis] += 1;
            if counter[axis] < len {
                (0..N).for_each(|o| at[o] += by[o]);
                break;
            }
            counter[axis] = 0;
            (0..N).for_each(|o| at[o] -= by[o] * (len - 1));
        }
    }
}

fn gather_strided(x: &[f32], dims: &[usize], strides: Vec<usize>, out: &mut [f32]) {
    let mut done = 0;
    walk(dims, [strides], |len, [at], [step]| {
        let out = &mut out[done..done + len];
        done += len;
        match step {
            0 => out.fill(x[at]),
            1 => out.copy_from_slice(&x[at..at + len]),
            _ => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = x[at + i * step];
                }
            }
        }
    });
}

pub fn broadcast(x: &[f32], from: &[usize], to: &[usize], out: &mut [f32]) {
    gather_strided(x, to, broadcast_strides(from, to), out);
}

/// Axis `i` of the result is axis `order[i]` of x.
pub fn permute(x: &[f32], from: &[usize], order: &[usize], out: &mut [f32]) {
    let all = strides(from);
    let dims: Vec<usize> = order.iter().map(|&i| from[i]).collect();
    gather_strided(x, &dims, order.iter().map(|&i| all[i]).collect(), out);
}

/// Elements before and after an axis.
fn around(dims: &[usize], axis: usize) -> (usize, usize) {
    (dims[..axis].iter().product(), dims[axis + 1..].iter().product())
}

/// `len` of `from[axis]` from `start`.
pub fn slice(x: &[f32], from: &[usize], axis: usize, start: usize, len: usize, out: &mut [f32]) {
    let (outer, inner) = around(from, axis);
    for o in 0..outer {
        let at = (o * from[axis] + start) * inner;
        out[o * len * inner..(o + 1) * len * inner].copy_from_slice(&x[at..at + len * inner]);
    }
}

/// Puts x, `len` long on `axis`, from `start` of `to[axis]`; leaves the rest of `out` as it is.
pub fn place(x: &[f32], len: usize, to: &[usize], axis: usize, start: usize, out: &mut [f32]) {
    let (outer, inner) = around(to, axis);
    for o in 0..outer {
        let at = (o * to[axis] + start) * inner;
        out[at..at + len * inner].copy_from_slice(&x[o * len * inner..(o + 1) * len * inner]);
    }
}

/// Sums rows of equal id; an id past the end adds nowhere, as a gather from there gives zeros.
pub fn scatter_add(ids: &[u32], rows: &[f32], columns: usize, out: &mut [f32]) {
    out.fill(0.0);
    if columns == 0 {
        return;
    }
    for (id, row) in ids.iter().zip(rows.chunks_exact(columns)) {
        if let Some(out) = out.chunks_exact_mut(columns).nth(*id as usize) {
            super::elementwise::add_to(out, row);
        }
    }
}

impl Env<'_> {
    pub(crate) fn concat(&self, id: NodeId, axis: usize, out: &mut [f32]) -> Result<()> {
        let (to, mut start) = (self.dims(id), 0);
        for part in &self.node(id).inputs {
            let len = self.dims(*part)[axis];
            place(self.floats(*part)?, len, &to, axis, start, out);
            start += len;
        }
        Ok(())
    }

    /// An id past the table gives zeros.
    pub(crate) fn gather(&self, id: NodeId, out: &mut [f32]) -> Result<()> {
        let inputs = &self.node(id).inputs;
        let (shape, table) = (self.dims(inputs[0]), self.table(inputs[0])?);
        if shape[1] > 0 {
            for (id, out) in self.ids(inputs[1])?.iter().zip(out.chunks_exact_mut(shape[1])) {
                match (*id as usize) < shape[0] {
                    true => table.read(*id as usize * shape[1], out),
                    false => out.fill(0.0),
                }
            }
        }
        Ok(())
    }

    /// Rows into a state, in place; rounded where it is stored as halves.
    pub(crate) fn write(&self, id: NodeId, state: &mut [f32]) -> Result<()> {
        let node = self.node(id);
        let (Op::Write { start }, [_, value]) = (&node.op, &node.inputs[..]) else { return Err(unreadable(id)) };
        let (whole, rows, start) = (self.dims(id), self.dims(*value)[0], self.index(*start));
        place(self.floats(*value)?, rows, &whole, 0, start, state);
        let row_elements: usize = whole.iter().skip(1).product();
        match self.node(node.inputs[0]).op {
            Op::State(of) if self.graph().states[of.0 as usize].dtype == DType::F16 => {
                f16::round(&mut state[start * row_elements..][..rows * row_elements]);
            }
            _ => {}
        }
        Ok(())
    }
}
