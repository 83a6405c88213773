//! One node at a time: what it reads, what it costs, and the call of its kernel. The tables here have a line for each operation: a
//! new one does not compile before it has its place in them. What is more than a line stands beside the arithmetic in `kernels/`.

use std::ops::Range;
use std::rc::Rc;

use lantern_graph::{Bindings, Epilogue, Error, Graph, Index, Node, NodeId, Op, Result, Value};

use crate::Mode;
use crate::arena::{Arena, Rest};
use crate::crew::{Crew, Stored};
use crate::kernels::attention::{self, rope};
use crate::kernels::parallel::threads;
use crate::kernels::picture::{GroupNorm, GroupNormSize};
use crate::kernels::{conv, elementwise, layout, product, reduce};
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
    attention: Vec<attention::Space>,
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
    pub crew: Option<&'r Crew>,
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
            crew: self.crew,
        }
    }

    /// Computes units `part` of a node. The units of one node come in order.
    pub fn step(&mut self, id: NodeId, part: Range<usize>, scratch: &mut Scratch) -> Result<()> {
        let home = self.plan.views[id.0 as usize].home;
        let len = self.plan.graph.shape(id).count().eval(self.bindings);
        let Run { plan, bindings, inputs, weights, states, arena, crew } = self;
        let (plan, bindings, inputs, weights, crew) = (*plan, *bindings, *inputs, *weights, *crew);
        let missing = || unreadable(id);
        match home {
            Home::Floats(at) => {
                let (floats, out) = Rest::split(&mut arena.floats, at..at + len).ok_or_else(missing)?;
                let ids = Rest::whole(&arena.ids);
                Env { plan, bindings, inputs, weights, states, floats, ids, crew }.compute(id, part, out, scratch)
            }
            Home::Ids(at) => {
                let (ids, out) = Rest::split(&mut arena.ids, at..at + len).ok_or_else(missing)?;
                let floats = Rest::whole(&arena.floats);
                Env { plan, bindings, inputs, weights, states, floats, ids, crew }.compute_ids(id, out)
            }
            Home::State(state) => {
                let state = plan.states[state];
                let mut values = std::mem::take(&mut states[state].values);
                let (floats, ids) = (Rest::whole(&arena.floats[..]), Rest::whole(&arena.ids[..]));
                let result = Env { plan, bindings, inputs, weights, states, floats, ids, crew }.write(id, &mut values);
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
    pub crew: Option<&'r Crew>,
}

/// What a node can be cut into.
pub(crate) struct Cost {
    pub units: usize,
    pub flops_per_unit: u64,
    /// Units are taken in multiples of this, except the last ones.
    pub grain: usize,
}

impl Cost {
    /// `units` of as many multiplications and additions as `flops` multiply to, taken in multiples of `grain`.
    pub fn new(units: usize, flops: &[usize], grain: usize) -> Cost {
        let flops_per_unit = flops.iter().fold(2, |product: u64, n| product.saturating_mul(*n as u64));
        Cost { units, flops_per_unit, grain }
    }

    /// All at once: so many elements on their way through memory.
    pub fn elements(count: usize) -> Cost {
        Cost { units: 1, flops_per_unit: count as u64 * ELEMENT_FLOPS, grain: 1 }
    }

    /// Of what `gemm` does: so much faster than the products that flops are counted by, and on all cores.
    pub fn fast(self) -> Cost {
        Cost { flops_per_unit: self.flops_per_unit / (GEMM_SPEED * threads() as u64), ..self }
    }

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

pub(crate) fn unreadable(id: NodeId) -> Error {
    Error::new("cpu.value", format!("node {} has no value to read", id.0), "report this with the graph")
}

impl Env<'_> {
    pub fn dims(&self, id: NodeId) -> Vec<usize> {
        self.plan.graph.shape(id).eval(self.bindings)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        self.plan.graph.node(id)
    }

    pub fn graph(&self) -> &Graph {
        &self.plan.graph
    }

    pub fn mode(&self) -> Mode {
        self.plan.mode
    }

    pub fn index(&self, index: Index) -> usize {
        index.eval(self.bindings)
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
    pub fn table(&self, id: NodeId) -> Result<Table<'_>> {
        let (home, span) = self.span(id);
        match home {
            Home::Weight(weight) => {
                Ok(Table::Stored(self.weights[weight].as_deref().ok_or_else(|| unreadable(id))?, span.start))
            }
            _ => Ok(Table::Floats(self.floats(id)?)),
        }
    }

    /// A weight, where the node is one and not a part of one.
    pub fn stored(&self, id: NodeId) -> Option<Stored<'_>> {
        let (Home::Weight(weight), Op::Weight(_)) = (self.span(id).0, &self.node(id).op) else { return None };
        let rows = self.weights[weight].as_ref()?;
        let [count, columns] = self.dims(id)[..] else { return None };
        Some(Stored { rows, dtype: self.graph().node(id).dtype, count, columns })
    }

    pub fn picture(&self, id: NodeId) -> Result<[usize; 4]> {
        self.dims(id).try_into().map_err(|_| unreadable(id))
    }

    /// What a node can be cut into, and what a piece costs.
    pub fn cost(&self, id: NodeId) -> Result<Cost> {
        let node = self.plan.graph.node(id);
        let count = |id: NodeId| self.dims(id).iter().product::<usize>();
        let (out, of) = (count(id), |i: usize| count(node.inputs[i]));
        // All at once, by whatever is largest of what is read and written.
        let moved = || Cost::elements((0..node.inputs.len()).map(of).max().unwrap_or(0).max(out));
        Ok(match &node.op {
            Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) | Op::Range { .. } => moved(),
            Op::Unary(_) | Op::Affine { .. } => {
                Cost::new(out.div_ceil(ELEMENTS), &[ELEMENTS.min(out), ELEMENT_FLOPS as usize / 2], 1)
            }
            Op::Binary(_) | Op::SwiGlu => moved(),
            Op::Reduce { .. } | Op::Argmax | Op::TopK { .. } | Op::Softmax | Op::RmsNorm { .. } => moved(),
            Op::Reshape | Op::Broadcast | Op::Permute(_) | Op::Slice { .. } | Op::Pad { .. } | Op::Concat { .. } => {
                moved()
            }
            Op::Gather => Cost::elements(out.max(of(1))),
            Op::ScatterAdd => moved(),
            Op::Write { .. } => Cost::elements(of(1)),
            Op::MatMul { transpose_a, .. } => self.matmul_cost(id, *transpose_a),
            Op::Linear { transposed: false } | Op::FusedLinear { .. } => self.linear_cost(id),
            Op::Linear { transposed: true } => self.linear_transposed_cost(id),
            Op::Conv2d { window, groups } => self.convolution_cost(&self.conv2d(id, *window, *groups, 1)?),
            Op::FusedConv2d { window, groups, upsample, .. } => {
                self.convolution_cost(&self.conv2d(id, *window, *groups, *upsample)?)
            }
            Op::Conv2dTransposed { window, groups } => {
                self.convolution_cost(&self.conv2d_transposed(id, *window, *groups)?)
            }
            Op::Conv2dFilter { window, groups } => self.convolution_cost(&self.conv2d_filter(id, *window, *groups)?),
            Op::MaxPool { window } => self.picture_cost(id, window.taps())?,
            Op::Resize { .. } => self.picture_cost(id, 4)?,
            Op::GroupNorm { silu, .. } => self.group_norm_cost(id, *silu)?,
            Op::Rope { .. } => moved(),
            Op::Attention(attention) => self.attention_cost(id, attention),
        })
    }

    /// A node of u32.
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

    /// Units `part` of a node of f32.
    fn compute(&self, id: NodeId, part: Range<usize>, out: &mut [f32], scratch: &mut Scratch) -> Result<()> {
        let node = self.plan.graph.node(id);
        let x = |i: usize| self.floats(node.inputs[i]);
        let dims = |i: usize| self.dims(node.inputs[i]);
        let columns = || dims(0).last().copied().unwrap_or(0);
        match &node.op {
            // Leaves that must be kept beyond what they show.
            Op::Input(at) => match self.inputs.get(*at) {
                Some(Some(Value::F32(values))) => out.copy_from_slice(values),
                _ => return Err(unreadable(id)),
            },
            Op::State(state) => {
                out.copy_from_slice(&self.states[self.plan.states[state.0 as usize]].values);
            }
            Op::Range { start } => elementwise::range(self.index(*start), out),
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
            Op::TopK { k } => reduce::top_k(x(0)?, columns(), *k, out),
            Op::Softmax => reduce::softmax(x(0)?, columns(), out),
            Op::RmsNorm { eps } => reduce::rms_norm(x(0)?, x(1)?, *eps, out),

            Op::MatMul { transpose_a, transpose_b } => self.matmul(id, (*transpose_a, *transpose_b), part, out)?,
            Op::Linear { transposed: false } => self.linear(id, part, out, &mut scratch.product)?,
            Op::Linear { transposed: true } => self.linear_transposed(id, part, out, &mut scratch.product)?,
            Op::FusedLinear { epilogue } => self.fused_linear(id, epilogue, part, out, &mut scratch.product)?,

            Op::Conv2d { window, groups } => {
                let geometry = self.conv2d(id, *window, *groups, 1)?;
                self.convolve(id, &geometry, &Epilogue::default(), part, out, &mut scratch.conv)?;
            }
            Op::FusedConv2d { window, groups, upsample, epilogue } => {
                let geometry = self.conv2d(id, *window, *groups, *upsample)?;
                self.convolve(id, &geometry, epilogue, part, out, &mut scratch.conv)?;
            }
            Op::Conv2dTransposed { window, groups } => {
                let geometry = self.conv2d_transposed(id, *window, *groups)?;
                zero_first(&part, out);
                geometry.transposed(x(0)?, &self.table(node.inputs[1])?, part, out, &mut scratch.conv);
            }
            Op::Conv2dFilter { window, groups } => {
                let geometry = self.conv2d_filter(id, *window, *groups)?;
                zero_first(&part, out);
                geometry.filter(x(0)?, x(1)?, part, out, &mut scratch.conv);
            }
            Op::MaxPool { window } => self.max_pool(id, *window, part, out)?,
            Op::Resize { mode } => self.resize(id, *mode, part, out)?,
            Op::GroupNorm { groups, eps, silu } => {
                let size = GroupNormSize { x: self.picture(id)?, groups: *groups, eps: *eps, silu: *silu };
                scratch.group_norm.run(&size, x(0)?, (x(1)?, x(2)?), part, out);
            }

            Op::Reshape => out.copy_from_slice(x(0)?),
            Op::Broadcast => layout::broadcast(x(0)?, &dims(0), &self.dims(id), out),
            Op::Permute(order) => layout::permute(x(0)?, &dims(0), order, out),
            Op::Slice { axis, start } => {
                let (from, start, len) = (dims(0), self.index(*start), self.dims(id)[*axis]);
                layout::slice(x(0)?, &from, *axis, start, len, out);
            }
            Op::Pad { axis, start } => {
                let (to, start, len) = (self.dims(id), self.index(*start), dims(0)[*axis]);
                out.fill(0.0);
                layout::place(x(0)?, len, &to, *axis, start, out);
            }
            Op::Concat { axis } => self.concat(id, *axis, out)?,
            Op::Gather => self.gather(id, out)?,
            Op::ScatterAdd => layout::scatter_add(self.ids(node.inputs[0])?, x(1)?, self.dims(id)[1], out),

            Op::Rope { start } => rope(x(0)?, x(1)?, dims(0)[1], self.index(*start), out),
            Op::Attention(attention) => self.attention(id, attention, part, out, &mut scratch.attention)?,
            Op::Weight(_) | Op::Constant(_) | Op::Write { .. } | Op::Argmax => return Err(unreadable(id)),
        }
        Ok(())
    }
}

/// The elements of units of `ELEMENTS`.
fn elements(units: &Range<usize>, len: usize) -> Range<usize> {
    units.start * ELEMENTS..len.min(units.end * ELEMENTS)
}

/// The rows of `columns` that units of rows are.
pub(crate) fn rows_of(rows: &Range<usize>, columns: usize) -> Range<usize> {
    rows.start * columns..rows.end * columns
}

/// Before its first unit, where units add to what is there.
pub(crate) fn zero_first(part: &Range<usize>, out: &mut [f32]) {
    if part.start == 0 {
        out.fill(0.0);
    }
}
