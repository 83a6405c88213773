//! One node at a time: fetches what it reads, and calls the kernel.

use std::ops::Range;
use std::rc::Rc;

use lantern_graph::{Bindings, DType, Epilogue, Error, NodeId, Op, Result, Value, f16};

use crate::arena::{Arena, Rest};
use crate::kernels::attention::{Attention, rope};
use crate::kernels::conv::{self, Finish, Geometry};
use crate::kernels::gemm::Matrix;
use crate::kernels::parallel::threads;
use crate::kernels::picture::{self, GroupNorm, GroupNormSize};
use crate::kernels::{elementwise, layout, product, reduce};
use crate::place::Home;
use crate::plan::Plan;
use crate::state::State;
use crate::weights::{Rows, Table};

/// Working space that a session keeps.
#[derive(Default)]
pub(crate) struct Scratch {
    product: product::Scratch,
    conv: conv::Scratch,
    group_norm: GroupNorm,
    scores: Vec<f32>,
}

/// Everything a run reads and writes.
pub(crate) struct Run<'r> {
    pub plan: &'r Plan,
    pub bindings: &'r Bindings,
    /// In the graph's order.
    pub inputs: &'r [Option<&'r Value>],
    /// In the graph's order.
    pub weights: &'r [Option<Rc<Rows>>],
    pub states: &'r mut [State],
    pub arena: &'r mut Arena,
}

impl Run<'_> {
    /// To read from, between steps.
    pub fn env(&self) -> Env<'_> {
        Env {
            plan: self.plan,
            bindings: self.bindings,
            inputs: self.inputs,
            weights: self.weights,
            states: self.states,
            floats: Rest::whole(&self.arena.floats),
            ids: Rest::whole(&self.arena.ids),
        }
    }

    /// Computes units `part` of a node. The units of one node come in order.
    pub fn step(&mut self, id: NodeId, part: Range<usize>, scratch: &mut Scratch) -> Result<()> {
        let home = self.plan.views[id.0 as usize].home;
        let len = self.plan.graph.shape(id).count().eval(self.bindings);
        let Run { plan, bindings, inputs, weights, states, arena } = self;
        let (plan, bindings, inputs, weights) = (*plan, *bindings, *inputs, *weights);
        let missing = || unreadable(id);
        match home {
            Home::Floats(at) => {
                let (floats, out) = Rest::split(&mut arena.floats, at..at + len).ok_or_else(missing)?;
                let ids = Rest::whole(&arena.ids);
                Env { plan, bindings, inputs, weights, states, floats, ids }.compute(id, part, out, scratch)
            }
            Home::Ids(at) => {
                let (ids, out) = Rest::split(&mut arena.ids, at..at + len).ok_or_else(missing)?;
                let floats = Rest::whole(&arena.floats);
                Env { plan, bindings, inputs, weights, states, floats, ids }.compute_ids(id, out)
            }
            Home::State(state) => {
                let state = plan.states[state];
                let mut values = std::mem::take(&mut states[state].values);
                let (floats, ids) = (Rest::whole(&arena.floats[..]), Rest::whole(&arena.ids[..]));
                let result = Env { plan, bindings, inputs, weights, states, floats, ids }.write(id, &mut values);
                states[state].values = values;
                result
            }
            _ => Err(missing()),
        }
    }
}

/// What a step reads.
pub(crate) struct Env<'r> {
    plan: &'r Plan,
    bindings: &'r Bindings,
    inputs: &'r [Option<&'r Value>],
    weights: &'r [Option<Rc<Rows>>],
    states: &'r [State],
    floats: Rest<'r, f32>,
    ids: Rest<'r, u32>,
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

/// How much faster `gemm` is than candle's row-by-row products, per core.
const GEMM_SPEED: u64 = 4;

/// Elements of one unit of an operation on each element.
const ELEMENTS: usize = 1 << 16;

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
            Home::Floats(at) => return self.floats.get(at + span.start..at + span.end).ok_or_else(|| unreadable(id)),
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
        let part = match home {
            Home::Ids(at) => self.ids.get(at + span.start..at + span.end),
            Home::Input(input) => match self.inputs.get(input) {
                Some(Some(Value::U32(values))) => values.get(span),
                _ => None,
            },
            _ => None,
        };
        part.ok_or_else(|| unreadable(id))
    }

    /// What is read by rows: a weight in whatever type it has.
    fn table(&self, id: NodeId) -> Result<Table<'_>> {
        let (home, span) = self.span(id);
        match home {
            Home::Weight(weight) => {
                Ok(Table::Stored(self.weights[weight].as_deref().ok_or_else(|| unreadable(id))?, span.start))
            }
            _ => Ok(Table::Floats(self.floats(id)?)),
        }
    }

    fn picture(&self, id: NodeId) -> Result<[usize; 4]> {
        self.dims(id).try_into().map_err(|_| unreadable(id))
    }

    pub fn cost(&self, id: NodeId) -> Result<Cost> {
        let node = self.plan.graph.node(id);
        let out = self.dims(id);
        let dims = |i: usize| self.dims(node.inputs[i]);
        let cost = |units: usize, flops: &[usize], grain: usize| Cost {
            units,
            flops_per_unit: flops.iter().fold(2, |product, n| product.saturating_mul(*n as u64)),
            grain,
        };
        // `gemm` is that much faster than the products that flops are counted by, and on all cores.
        let fast = |cost: Cost| Cost { flops_per_unit: cost.flops_per_unit / (GEMM_SPEED * threads() as u64), ..cost };
        Ok(match &node.op {
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
                let rows = product::rows_per_unit(inner, n).min(m.max(1));
                fast(cost(batch.iter().product::<usize>() * m.div_ceil(rows), &[rows, n, inner], 1))
            }
            Op::Conv2d { .. } | Op::FusedConv2d { .. } | Op::Conv2dTransposed { .. } | Op::Conv2dFilter { .. } => {
                let (geometry, y) = self.convolution(id)?;
                let per_row = [y[2], y[3], geometry.terms()];
                let rows = cost(y[0] * y[1], &per_row, geometry.rows_per_piece());
                if geometry.is_depthwise() { rows } else { fast(rows) }
            }
            Op::MaxPool { window } => cost(out[0] * out[1], &[out[2], out[3], window.taps()], 1),
            Op::Resize { .. } => cost(out[0] * out[1], &[out[2], out[3], 4], 1),
            Op::GroupNorm { silu, .. } => cost(3 * out[0] * out[1], &[out[2], out[3], if *silu { 4 } else { 2 }], 1),
            Op::Unary(_) | Op::Affine { .. } => {
                let len: usize = out.iter().product();
                cost(len.div_ceil(ELEMENTS), &[ELEMENTS.min(len), ELEMENT_FLOPS as usize / 2], 1)
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
        })
    }

    fn write(&self, id: NodeId, state: &mut [f32]) -> Result<()> {
        let node = self.plan.graph.node(id);
        let (Op::Write { start }, [_, value]) = (&node.op, &node.inputs[..]) else { return Err(unreadable(id)) };
        let (whole, rows, start) = (self.dims(id), self.dims(*value)[0], start.eval(self.bindings));
        layout::place(self.floats(*value)?, rows, &whole, 0, start, state);
        let row_elements: usize = whole.iter().skip(1).product();
        match self.plan.graph.node(node.inputs[0]).op {
            Op::State(of) if self.plan.graph.states[of.0 as usize].dtype == DType::F16 => {
                f16::round(&mut state[start * row_elements..][..rows * row_elements]);
            }
            _ => {}
        }
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

            Op::Unary(op) => {
                let at = elements(&part, out.len());
                elementwise::unary(*op, &x(0)?[at.clone()], &mut out[at]);
            }
            Op::Affine { mul, add } => {
                let at = elements(&part, out.len());
                elementwise::affine(&x(0)?[at.clone()], *mul, *add, &mut out[at]);
            }
            Op::Binary(op) => {
                let whole = self.dims(id);
                elementwise::binary(*op, (x(0)?, &dims(0)), (x(1)?, &dims(1)), &whole, out);
            }
            Op::SwiGlu => elementwise::swiglu(x(0)?, x(1)?, out),

            Op::Reduce { op, axis } => reduce::reduce(*op, x(0)?, &dims(0), *axis, out),
            Op::TopK { k } => {
                let columns = dims(0).last().copied().unwrap_or(0);
                reduce::top_k(x(0)?, columns, *k, out);
            }
            Op::Softmax => reduce::softmax(x(0)?, dims(0).last().copied().unwrap_or(1), out),
            Op::RmsNorm { eps } => reduce::rms_norm(x(0)?, x(1)?, *eps, out),

            Op::MatMul { transpose_a, transpose_b } => {
                self.matmul(id, (*transpose_a, *transpose_b), part, out)?;
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
                let table = self.table(input(1))?;
                let row = |j: usize, to: &mut [f32]| table.read(j * shape[1], to);
                product::linear_transposed(x(0)?, (shape[0], shape[1]), part, out, &mut scratch.product, row);
            }

            Op::Conv2d { .. } | Op::FusedConv2d { .. } => {
                let (geometry, y) = self.convolution(id)?;
                let at = rows_of(&part, y[2] * y[3]);
                let mut finish = Finish::default();
                if let Op::FusedConv2d { epilogue, .. } = &node.op {
                    let [bias, residual] = self.epilogue(id, *epilogue)?;
                    let residual = residual.map(|residual| &residual[at.clone()]);
                    finish = Finish { bias, residual, activation: epilogue.activation };
                }
                geometry.forward(x(0)?, &self.table(input(1))?, part, finish, &mut out[at], &mut scratch.conv);
            }
            Op::Conv2dTransposed { .. } => {
                if part.start == 0 {
                    out.fill(0.0);
                }
                let (geometry, _) = self.convolution(id)?;
                geometry.transposed(x(0)?, &self.table(input(1))?, part, out, &mut scratch.conv);
            }
            Op::Conv2dFilter { .. } => {
                if part.start == 0 {
                    out.fill(0.0);
                }
                let (geometry, _) = self.convolution(id)?;
                geometry.filter(x(0)?, x(1)?, part, out, &mut scratch.conv);
            }
            Op::MaxPool { window } => {
                let (from, to) = (self.picture(input(0))?, self.picture(id)?);
                let at = rows_of(&part, to[2] * to[3]);
                picture::max_pool(x(0)?, from, *window, to, part, &mut out[at]);
            }
            Op::Resize { mode } => {
                let (from, to) = (self.picture(input(0))?, self.picture(id)?);
                let at = rows_of(&part, to[2] * to[3]);
                picture::resize(x(0)?, from, *mode, to, part, &mut out[at]);
            }
            Op::GroupNorm { groups, eps, silu } => {
                let size = GroupNormSize { x: self.picture(id)?, groups: *groups, eps: *eps, silu: *silu };
                scratch.group_norm.run(&size, x(0)?, (x(1)?, x(2)?), part, out);
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
                let (shape, table) = (dims(0), self.table(input(0))?);
                if shape[1] > 0 {
                    for (id, out) in self.ids(input(1))?.iter().zip(out.chunks_exact_mut(shape[1])) {
                        match (*id as usize) < shape[0] {
                            true => table.read(*id as usize * shape[1], out),
                            false => out.fill(0.0),
                        }
                    }
                }
            }
            Op::ScatterAdd => layout::scatter_add(self.ids(input(0))?, x(1)?, self.dims(id)[1], out),

            Op::Rope { start } => rope(x(0)?, x(1)?, dims(0)[1], index(*start), out),
            Op::Attention { scale, start, window } => {
                let (q, k) = (dims(0), dims(1));
                let attention = Attention {
                    kv_heads: q[1],
                    group: q[2],
                    head_dim: q[3],
                    kv_len: k[0],
                    start: index(*start),
                    scale: *scale,
                    window: window.unwrap_or(usize::MAX),
                };
                attention.run(x(0)?, x(1)?, x(2)?, part, out, &mut scratch.scores);
            }
            Op::Weight(_) | Op::Constant(_) | Op::Write { .. } | Op::Argmax => return Err(unreadable(id)),
        }
        Ok(())
    }

    /// Sizes of a convolution or of an adjoint of one, and its `[n, oh, ow, out]`.
    fn convolution(&self, id: NodeId) -> Result<(Geometry, [usize; 4])> {
        let node = self.plan.graph.node(id);
        let input = |i: usize| node.inputs[i];
        let (window, groups, upsample, x, y) = match node.op {
            Op::Conv2d { window, groups } => (window, groups, 1, input(0), id),
            Op::FusedConv2d { window, groups, upsample, .. } => (window, groups, upsample, input(0), id),
            Op::Conv2dTransposed { window, groups } => (window, groups, 1, id, input(0)),
            Op::Conv2dFilter { window, groups } => (window, groups, 1, input(0), input(1)),
            _ => return Err(unreadable(id)),
        };
        let (x, y) = (self.picture(x)?, self.picture(y)?);
        Ok((Geometry { window, groups, upsample, x, y }, y))
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
        let at = start_row * k;
        match self.table(node.inputs[1])? {
            Table::Stored(rows, start) => product::linear(x, rows, start + at, mkn, out, scratch),
            Table::Floats(w) => {
                let (m, k, n) = mkn;
                product::matmul(Matrix::rows(x, m, k, k), Matrix::rows(&w[at..], n, k, k).transposed(), out);
                Ok(())
            }
        }
    }

    /// Units are blocks of rows of the result's matrices.
    fn matmul(
        &self,
        id: NodeId,
        (transpose_a, transpose_b): (bool, bool),
        part: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let node = self.plan.graph.node(id);
        let (a, b) = (self.floats(node.inputs[0])?, self.floats(node.inputs[1])?);
        let (a_dims, b_dims, out_dims) = (self.dims(node.inputs[0]), self.dims(node.inputs[1]), self.dims(id));
        let ((batch, [m, n]), (a_batch, [a0, a1]), (b_batch, [b0, b1])) =
            (matrix(&out_dims), matrix(&a_dims), matrix(&b_dims));
        let k = if transpose_a { a0 } else { a1 };
        let rows = product::rows_per_unit(k, n).min(m.max(1));
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
            product::matmul(a, b, &mut out[(index * m + first) * n..][..a.height() * n]);
        }
        Ok(())
    }
}

/// The elements of units of `ELEMENTS`.
fn elements(units: &Range<usize>, len: usize) -> Range<usize> {
    units.start * ELEMENTS..len.min(units.end * ELEMENTS)
}

fn rows_of(rows: &Range<usize>, columns: usize) -> Range<usize> {
    rows.start * columns..rows.end * columns
}

/// The leading dimensions and the last two.
fn matrix(dims: &[usize]) -> (&[usize], [usize; 2]) {
    let (batch, last) = dims.split_at(dims.len().saturating_sub(2));
    (batch, [last[0], last[1]])
}
