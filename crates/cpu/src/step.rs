//! One node at a time: fetches what it reads, and calls the kernel.

use std::ops::Range;
use std::rc::Rc;

use lantern_graph::{Bindings, Epilogue, Error, NodeId, Op, Result, Value};

use crate::kernels::attention::{Attention, rope};
use crate::kernels::{elementwise, layout, product, reduce};
use crate::place::Home;
use crate::plan::{Arena, Plan};
use crate::session::State;
use crate::weights::Rows;

/// Working space that a session keeps.
#[derive(Default)]
pub(crate) struct Scratch {
    product: product::Scratch,
    scores: Vec<f32>,
}

/// Everything a step reads and writes.
pub(crate) struct Env<'r> {
    pub plan: &'r Plan,
    pub bindings: &'r Bindings,
    /// In the graph's order.
    pub inputs: &'r [Option<&'r Value>],
    /// In the graph's order.
    pub weights: &'r [Option<Rc<Rows>>],
    pub states: &'r mut [State],
    pub arena: &'r mut Arena,
}

/// What a node can be cut into.
pub(crate) struct Cost {
    pub units: usize,
    pub flops_per_unit: u64,
    /// Units are taken in multiples of this, except the last ones.
    grain: usize,
}

impl Cost {
    pub fn total(&self) -> u64 {
        (self.units as u64).saturating_mul(self.flops_per_unit)
    }

    /// As many whole grains as fit into `units`, at least one.
    pub fn round(&self, units: usize) -> usize {
        (units / self.grain).max(1) * self.grain
    }
}

/// Time of an element's way through memory or a transcendental, in multiplications of a product.
const ELEMENT_FLOPS: u64 = 16;

fn unreadable(id: NodeId) -> Error {
    Error::new("cpu.value", format!("node {} has no value to read", id.0), "report this with the graph")
}

impl Env<'_> {
    fn dims(&self, id: NodeId) -> Vec<usize> {
        self.plan.graph.shape(id).eval(self.bindings)
    }

    fn span(&self, id: NodeId) -> (Home, Range<usize>) {
        let view = &self.plan.views[id.0 as usize];
        let start = view.offset(self.bindings);
        (view.home, start..start + self.plan.graph.shape(id).count().eval(self.bindings))
    }

    pub fn floats(&self, id: NodeId) -> Result<&[f32]> {
        let (home, span) = self.span(id);
        let whole: Option<&[f32]> = match home {
            Home::Slot(slot) => Some(&self.arena.slots[slot]),
            Home::State(state) => Some(&self.states[self.plan.states[state]].values),
            Home::Weight(weight) => match self.weights[weight].as_deref() {
                Some(Rows::F32(rows)) => Some(rows),
                _ => None,
            },
            Home::Constant(constant) => match &self.plan.graph.node(constant).op {
                Op::Constant(values) => Some(values),
                _ => None,
            },
            Home::Input(input) => match self.inputs.get(input) {
                Some(Some(Value::F32(values))) => Some(values),
                _ => None,
            },
            Home::Ids(_) => None,
        };
        whole.and_then(|whole| whole.get(span)).ok_or_else(|| unreadable(id))
    }

    pub fn ids(&self, id: NodeId) -> Result<&[u32]> {
        let (home, span) = self.span(id);
        let whole: Option<&[u32]> = match home {
            Home::Ids(ids) => Some(&self.arena.ids[ids]),
            Home::Input(input) => match self.inputs.get(input) {
                Some(Some(Value::U32(values))) => Some(values),
                _ => None,
            },
            _ => None,
        };
        whole.and_then(|whole| whole.get(span)).ok_or_else(|| unreadable(id))
    }

    /// The rows of a table and the element they start at.
    fn rows(&self, id: NodeId) -> Result<(Table<'_>, usize)> {
        let (home, span) = self.span(id);
        match home {
            Home::Weight(weight) => {
                Ok((Table::Weight(self.weights[weight].as_deref().ok_or_else(|| unreadable(id))?), span.start))
            }
            _ => Ok((Table::Floats(self.floats(id)?), 0)),
        }
    }

    pub fn cost(&self, id: NodeId) -> Cost {
        let node = self.plan.graph.node(id);
        let out = self.dims(id);
        let dims = |i: usize| self.dims(node.inputs[i]);
        let cost = |units: usize, flops: &[usize], grain: usize| Cost {
            units,
            flops_per_unit: flops.iter().fold(2, |product, n| product.saturating_mul(*n as u64)),
            grain,
        };
        match &node.op {
            Op::Linear { transposed: false } | Op::FusedLinear { .. } => {
                let inner = dims(1)[1];
                // One row is cut across its columns; candle takes them by four.
                if out[0] == 1 { cost(out[1], &[inner], 64) } else { cost(out[0], &[out[1], inner], 1) }
            }
            Op::Linear { transposed: true } => cost(dims(1)[0], &[out[0], out[1]], 1),
            Op::MatMul { transpose_a, .. } => {
                let a = dims(0);
                let inner = a[a.len() - if *transpose_a { 2 } else { 1 }];
                let (batch, [m, n]) = matrix(&out);
                cost(batch.iter().product(), &[m, n, inner], 1)
            }
            Op::Attention { .. } => cost(out[0], &[2, out[1], out[2], out[3], dims(1)[0]], 1),
            _ => {
                let read = (0..node.inputs.len()).map(|i| match (&node.op, i) {
                    (Op::Gather, 0) | (Op::Write { .. }, 0) => 0,
                    _ => dims(i).iter().product::<usize>(),
                });
                let written = if matches!(node.op, Op::Write { .. }) { 0 } else { out.iter().product::<usize>() };
                let elements = read.max().unwrap_or(0).max(written) as u64;
                Cost { units: 1, flops_per_unit: elements * ELEMENT_FLOPS, grain: 1 }
            }
        }
    }

    /// Computes units `part` of a node. The units of one node come in order.
    pub fn step(&mut self, id: NodeId, part: Range<usize>, scratch: &mut Scratch) -> Result<()> {
        let view = &self.plan.views[id.0 as usize];
        let len = self.plan.graph.shape(id).count().eval(self.bindings);
        match view.home {
            Home::Slot(slot) => {
                let mut out = std::mem::take(&mut self.arena.slots[slot]);
                let result = self.compute(id, part, &mut out[..len], scratch);
                self.arena.slots[slot] = out;
                result
            }
            Home::Ids(slot) => {
                let mut out = std::mem::take(&mut self.arena.ids[slot]);
                let result = self.compute_ids(id, &mut out[..len]);
                self.arena.ids[slot] = out;
                result
            }
            Home::State(state) => {
                let state = self.plan.states[state];
                let mut values = std::mem::take(&mut self.states[state].values);
                let result = self.write(id, &mut values);
                self.states[state].values = values;
                result
            }
            _ => Err(unreadable(id)),
        }
    }

    fn write(&self, id: NodeId, state: &mut [f32]) -> Result<()> {
        let node = self.plan.graph.node(id);
        let (Op::Write { start }, [_, value]) = (&node.op, &node.inputs[..]) else { return Err(unreadable(id)) };
        let (whole, rows) = (self.dims(id), self.dims(*value)[0]);
        layout::place(self.floats(*value)?, rows, &whole, 0, start.eval(self.bindings), state);
        Ok(())
    }

    fn compute_ids(&self, id: NodeId, out: &mut [u32]) -> Result<()> {
        let node = self.plan.graph.node(id);
        match node.op {
            Op::Argmax => {
                let columns = self.dims(node.inputs[0]).last().copied().unwrap_or(0);
                reduce::argmax(self.floats(node.inputs[0])?, columns, out);
            }
            Op::Reshape => out.copy_from_slice(self.ids(node.inputs[0])?),
            Op::Input(input) => match self.inputs.get(input) {
                Some(Some(Value::U32(values))) => out.copy_from_slice(values),
                _ => return Err(unreadable(id)),
            },
            _ => return Err(unreadable(id)),
        }
        Ok(())
    }

    fn compute(&self, id: NodeId, part: Range<usize>, out: &mut [f32], scratch: &mut Scratch) -> Result<()> {
        let node = self.plan.graph.node(id);
        let input = |i: usize| node.inputs[i];
        let x = |i: usize| self.floats(input(i));
        let dims = |i: usize| self.dims(input(i));
        let index = |start: lantern_graph::Index| start.eval(self.bindings);
        match &node.op {
            // Leaves that must be kept beyond what they show.
            Op::Input(at) => match self.inputs.get(*at) {
                Some(Some(Value::F32(values))) => out.copy_from_slice(values),
                _ => return Err(unreadable(id)),
            },
            Op::State(state) => {
                out.copy_from_slice(&self.states[self.plan.states[state.0 as usize]].values);
            }
            Op::Reshape => out.copy_from_slice(x(0)?),
            Op::Range { start } => elementwise::range(index(*start), out),

            Op::Unary(op) => elementwise::unary(*op, x(0)?, out),
            Op::Affine { mul, add } => elementwise::affine(x(0)?, *mul, *add, out),
            Op::Binary(op) => {
                let whole = self.dims(id);
                elementwise::binary(*op, (x(0)?, &dims(0)), (x(1)?, &dims(1)), &whole, out);
            }
            Op::SwiGlu => elementwise::swiglu(x(0)?, x(1)?, out),

            Op::Reduce { op, axis } => reduce::reduce(*op, x(0)?, &dims(0), *axis, out),
            Op::Softmax => reduce::softmax(x(0)?, dims(0).last().copied().unwrap_or(1), out),
            Op::RmsNorm { eps } => reduce::rms_norm(x(0)?, x(1)?, *eps, out),

            Op::MatMul { transpose_a, transpose_b } => {
                self.matmul(id, (*transpose_a, *transpose_b), part, out, &mut scratch.product)?;
            }
            Op::Linear { transposed: false } => self.linear(id, part, out, &mut scratch.product)?,
            Op::FusedLinear { epilogue } => {
                let dims = self.dims(id);
                // One row is cut across its columns.
                let (at, columns) =
                    if dims[0] == 1 { (part.clone(), part.clone()) } else { (rows_of(&part, dims[1]), 0..dims[1]) };
                self.linear(id, part, out, &mut scratch.product)?;
                let [bias, residual] = self.epilogue(id, *epilogue)?;
                let bias = bias.map(|bias| &bias[columns]);
                let residual = residual.map(|residual| &residual[at.clone()]);
                elementwise::finish(&mut out[at], bias, residual, epilogue.activation);
            }
            Op::Linear { transposed: true } => {
                if part.start == 0 {
                    out.fill(0.0);
                }
                let shape = dims(1);
                let (table, start) = self.rows(input(1))?;
                let row = |j: usize, to: &mut [f32]| table.read(start + j * shape[1], to);
                product::linear_transposed(x(0)?, (shape[0], shape[1]), part, out, &mut scratch.product, row);
            }

            Op::Broadcast => layout::broadcast(x(0)?, &dims(0), &self.dims(id), out),
            Op::Permute(order) => layout::permute(x(0)?, &dims(0), order, out),
            Op::Slice { axis, start } => {
                let (from, start, len) = (dims(0), index(*start), self.dims(id)[*axis]);
                layout::slice(x(0)?, &from, *axis, start, len, out);
            }
            Op::Pad { axis, start } => {
                let (to, start, len) = (self.dims(id), index(*start), dims(0)[*axis]);
                out.fill(0.0);
                layout::place(x(0)?, len, &to, *axis, start, out);
            }
            Op::Concat { axis } => {
                let (to, mut start) = (self.dims(id), 0);
                for i in 0..node.inputs.len() {
                    let len = dims(i)[*axis];
                    layout::place(x(i)?, len, &to, *axis, start, out);
                    start += len;
                }
            }
            Op::Gather => {
                let (shape, (table, start)) = (dims(0), self.rows(input(0))?);
                if shape[1] > 0 {
                    for (id, out) in self.ids(input(1))?.iter().zip(out.chunks_exact_mut(shape[1])) {
                        match (*id as usize) < shape[0] {
                            true => table.read(start + *id as usize * shape[1], out),
                            false => out.fill(0.0),
                        }
                    }
                }
            }
            Op::ScatterAdd => layout::scatter_add(self.ids(input(0))?, x(1)?, self.dims(id)[1], out),

            Op::Rope { start } => rope(x(0)?, x(1)?, dims(0)[1], index(*start), out),
            Op::Attention { scale, start } => {
                let (q, k) = (dims(0), dims(1));
                let attention = Attention {
                    kv_heads: q[1],
                    group: q[2],
                    head_dim: q[3],
                    kv_len: k[0],
                    start: index(*start),
                    scale: *scale,
                };
                attention.run(x(0)?, x(1)?, x(2)?, part, out, &mut scratch.scores);
            }
            _ => return Err(unreadable(id)),
        }
        Ok(())
    }

    /// The bias and the residual of a fused product, where it has them.
    fn epilogue(&self, id: NodeId, epilogue: Epilogue) -> Result<[Option<&[f32]>; 2]> {
        let mut more = self.plan.graph.node(id).inputs.iter().skip(2);
        let mut next = |has: bool| match has {
            true => more.next().ok_or_else(|| unreadable(id)).and_then(|input| self.floats(*input)).map(Some),
            false => Ok(None),
        };
        Ok([next(epilogue.bias)?, next(epilogue.residual)?])
    }

    /// Units are rows, or the columns of a single row.
    fn linear(&self, id: NodeId, part: Range<usize>, out: &mut [f32], scratch: &mut product::Scratch) -> Result<()> {
        let node = self.plan.graph.node(id);
        let (x, [n, k]) = (self.floats(node.inputs[0])?, matrix(&self.dims(node.inputs[1])).1);
        let (x, start_row, out, mkn) = match self.dims(id)[0] {
            1 => (x, part.start, &mut out[part.clone()], (1, k, part.len())),
            _ => (&x[rows_of(&part, k)], 0, &mut out[rows_of(&part, n)], (part.len(), k, n)),
        };
        match self.rows(node.inputs[1])? {
            (Table::Weight(rows), start) => product::linear(x, rows, start + start_row * k, mkn, out, scratch),
            (Table::Floats(w), _) => {
                let at = start_row * k;
                product::matmul((x, false), (&w[at..at + mkn.2 * k], true), mkn, out, scratch)
            }
        }
    }

    /// Units are the matrices of the result.
    fn matmul(
        &self,
        id: NodeId,
        (transpose_a, transpose_b): (bool, bool),
        part: Range<usize>,
        out: &mut [f32],
        scratch: &mut product::Scratch,
    ) -> Result<()> {
        let node = self.plan.graph.node(id);
        let (a, b) = (self.floats(node.inputs[0])?, self.floats(node.inputs[1])?);
        let (a_dims, b_dims, out_dims) = (self.dims(node.inputs[0]), self.dims(node.inputs[1]), self.dims(id));
        let ((batch, [m, n]), (a_batch, [a0, a1]), (b_batch, [b0, b1])) =
            (matrix(&out_dims), matrix(&a_dims), matrix(&b_dims));
        let k = if transpose_a { a0 } else { a1 };
        let (a_strides, b_strides) =
            (layout::broadcast_strides(a_batch, batch), layout::broadcast_strides(b_batch, batch));
        for unit in part {
            let (mut rest, mut a_at, mut b_at) = (unit, 0, 0);
            for axis in (0..batch.len()).rev() {
                let i = rest % batch[axis];
                rest /= batch[axis];
                a_at += i * a_strides[axis];
                b_at += i * b_strides[axis];
            }
            product::matmul(
                (&a[a_at * a0 * a1..][..a0 * a1], transpose_a),
                (&b[b_at * b0 * b1..][..b0 * b1], transpose_b),
                (m, k, n),
                &mut out[unit * m * n..][..m * n],
                scratch,
            )?;
        }
        Ok(())
    }
}

/// Slices, pads and writes whose ends are known only now.
///
/// # Errors
/// `graph.binding` where one leaves what it cuts.
pub(crate) fn check_ranges(plan: &Plan, bindings: &Bindings) -> Result<()> {
    for id in plan.graph.ids() {
        let node = plan.graph.node(id);
        let (axis, start, whole, part) = match (&node.op, &node.inputs[..]) {
            (Op::Slice { axis, start }, [x]) => (*axis, *start, *x, id),
            (Op::Pad { axis, start }, [x]) => (*axis, *start, id, *x),
            (Op::Write { start }, [_, value]) => (0, *start, id, *value),
            _ => continue,
        };
        let length = |id: NodeId| plan.graph.shape(id).0[axis].eval(bindings);
        let end = start.eval(bindings) + length(part);
        if end > length(whole) {
            let cause = format!("{}..{end} of an axis of {}", start.eval(bindings), length(whole));
            return Err(Error::new(
                "graph.binding",
                format!("node {} ({}): {cause}", id.0, node.op.name()),
                "bind symbols so that it stays inside",
            ));
        }
    }
    Ok(())
}

/// Where rows are read from.
enum Table<'r> {
    Weight(&'r Rows),
    Floats(&'r [f32]),
}

impl Table<'_> {
    fn read(&self, start: usize, out: &mut [f32]) {
        match self {
            Table::Weight(rows) => rows.read(start, out),
            Table::Floats(values) => out.copy_from_slice(&values[start..start + out.len()]),
        }
    }
}

fn rows_of(rows: &Range<usize>, columns: usize) -> Range<usize> {
    rows.start * columns..rows.end * columns
}

/// The leading dimensions and the last two.
fn matrix(dims: &[usize]) -> (&[usize], [usize; 2]) {
    let (batch, last) = dims.split_at(dims.len().saturating_sub(2));
    (batch, [last[0], last[1]])
}
