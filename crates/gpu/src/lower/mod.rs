//! From a fused graph to steps: which kernel does each node, on which slots, with which numbers. Products are in
//! `product.rs`, other operations on pictures in `picture.rs`.

mod attention;
mod bands;
mod picture;
mod product;
mod top_k;

use std::rc::Rc;

use lantern_graph::{Count, DType, Dim, Error, Graph, Index, NodeId, Op, Result, Shape};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::kernel::{Format, Kernel};
use crate::pipeline::Pipeline;
use crate::step::{Param, Part, Slot, Step, strides};
use crate::weights::GpuWeights;

/// The work of a graph, before memory is placed.
pub struct Lowered {
    pub steps: Vec<Step>,
    /// Bytes of each temporary, with symbols at their bounds.
    pub temporaries: Vec<u64>,
    /// Where each node's value lies; `None` for nodes that nothing needs.
    pub slots: Vec<Option<Slot>>,
}

/// The kernels a graph needs at this tier.
pub fn kernels(graph: &Graph, tier: Tier) -> Result<Vec<Kernel>> {
    let live = graph.live();
    let unpacked = unpacked(graph);
    let mut kernels = Vec::new();
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        kernels.extend(unpacked[id.0 as usize].then_some(Kernel::Unpack));
        for kernel in node_kernels(graph, id)? {
            let quantizes = tier == Tier::Dot
                && matches!(kernel, Kernel::Linear { format, many: false, .. } if format.is_quantized());
            kernels.extend(quantizes.then_some(Kernel::Quantize));
            kernels.push(kernel);
        }
    }
    let mut seen = std::collections::HashSet::new();
    kernels.retain(|k| seen.insert(*k));
    Ok(kernels)
}

/// Eight columns are read at a time where rows are a whole number of them.
fn aligned(columns: Dim) -> bool {
    columns.fixed().is_some_and(|n| n.is_multiple_of(8))
}

/// Whether a node is its input under another shape: no work, the same slot. A view of a state that is still read after the
/// state was written must be a copy, taken before: states are written in place.
fn is_view(graph: &Graph, id: NodeId) -> bool {
    let same_elements =
        |id: NodeId| matches!(graph.node(id).op, Op::Reshape | Op::Slice { axis: 0, start: Index::Fixed(0) });
    if !same_elements(id) {
        return false;
    }
    let mut root = id;
    while same_elements(root) {
        root = graph.node(root).inputs[0];
    }
    let Op::State(state) = graph.node(root).op else { return true };
    let writes = |other: NodeId| {
        let node = graph.node(other);
        matches!(node.op, Op::Write { .. }) && graph.node(node.inputs[0]).op == Op::State(state)
    };
    let Some(write) = graph.ids().skip(id.0 as usize + 1).find(|other| writes(*other)) else { return true };
    !graph.ids().skip(write.0 as usize + 1).any(|later| graph.node(later).inputs.contains(&id))
}

/// Does a node's value lie in a state of halves?
fn in_halves(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match node.op {
        Op::State(state) => graph.states[state.0 as usize].dtype == DType::F16,
        Op::Write { .. } => in_halves(graph, node.inputs[0]),
        _ => is_view(graph, id) && in_halves(graph, node.inputs[0]),
    }
}

/// The nodes that lie in a state of halves and are read as floats: by the host, or by anything but attention, a write or a
/// view.
fn unpacked(graph: &Graph) -> Vec<bool> {
    let mut unpacked = vec![false; graph.nodes.len()];
    if graph.states.iter().all(|state| state.dtype != DType::F16) {
        return unpacked;
    }
    let live = graph.live();
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        for (i, input) in graph.node(id).inputs.iter().enumerate() {
            let as_they_are = match graph.node(id).op {
                Op::Write { .. } => i == 0,
                Op::Attention(_) => i > 0 && attention::attends_halves(graph, id),
                _ => is_view(graph, id),
            };
            unpacked[input.0 as usize] |= !as_they_are && in_halves(graph, *input);
        }
    }
    for (_, id) in &graph.outputs {
        unpacked[id.0 as usize] |= in_halves(graph, *id);
    }
    unpacked
}

fn node_kernels(graph: &Graph, id: NodeId) -> Result<Vec<Kernel>> {
    let node = graph.node(id);
    let weight = |i: usize| {
        let node = graph.node(node.inputs[i]);
        (Format::of(node.dtype), aligned(node.shape.back(0)))
    };
    Ok(match &node.op {
        Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) => vec![],
        _ if is_view(graph, id) => vec![],
        Op::Range { .. } => vec![Kernel::Range],
        Op::Unary(op) => vec![Kernel::Unary(*op)],
        Op::Affine { .. } => vec![Kernel::Affine],
        Op::Binary(op) => vec![Kernel::Binary(*op)],
        Op::Reduce { op, .. } => vec![Kernel::Reduce(*op)],
        Op::MatMul { .. } => vec![Kernel::MatMul],
        Op::Linear { transposed: true } => {
            let (format, aligned) = weight(1);
            vec![Kernel::LinearTransposed { format, aligned }]
        }
        Op::Linear { transposed: false } | Op::FusedLinear { .. } => {
            let (format, aligned) = weight(1);
            let many = !node.shape.0[0].is_one();
            vec![Kernel::Linear { format, many, adds: product::adds(&node.op), aligned }]
        }
        Op::Conv2d { .. } | Op::FusedConv2d { .. } | Op::Conv2dTransposed { .. }
            if !Format::PICTURES.contains(&weight(1).0) && !product::is_linear(&node.op) =>
        {
            let dtype = graph.node(node.inputs[1]).dtype.name();
            return Err(unsupported(format!("a convolution with a filter of {dtype}")));
        }
        Op::Conv2d { groups, .. } | Op::FusedConv2d { groups, .. } => {
            let (adds, (format, aligned)) = (product::adds(&node.op), weight(1));
            let channels = fixed(graph.shape(node.inputs[0]).back(0), "a convolution's channels")?;
            vec![match *groups {
                1 if product::is_linear(&node.op) => Kernel::Linear { format, many: true, adds, aligned },
                1 if channels.is_multiple_of(8) => Kernel::Conv { format, adds },
                _ if *groups == channels
                    && node.shape.back(0) == Dim::Fixed(channels)
                    && channels.is_multiple_of(4)
                    && format == Format::F32 =>
                {
                    Kernel::Depthwise { adds }
                }
                _ => Kernel::ConvDirect { format, adds },
            }]
        }
        Op::Conv2dTransposed { .. } => vec![Kernel::ConvTransposed { format: weight(1).0 }],
        Op::Conv2dFilter { .. } => vec![Kernel::ConvFilter],
        Op::MaxPool { .. } => vec![Kernel::MaxPool],
        Op::Resize { mode } => vec![Kernel::Resize(*mode)],
        Op::GroupNorm { .. } => vec![Kernel::GroupNormParts, Kernel::GroupNormFold, Kernel::GroupNormApply],
        Op::Write { .. } if in_halves(graph, id) => vec![Kernel::Pack],
        Op::Reshape | Op::Broadcast | Op::Permute(_) | Op::Slice { .. } | Op::Concat { .. } | Op::Write { .. } => {
            vec![Kernel::Copy]
        }
        Op::Pad { .. } => vec![Kernel::Range, Kernel::Copy],
        Op::Gather => {
            let (format, aligned) = weight(0);
            vec![Kernel::Gather { format, aligned }]
        }
        Op::ScatterAdd => vec![Kernel::ScatterAdd],
        Op::Argmax => vec![Kernel::Argmax],
        Op::TopK { .. } => vec![Kernel::TopK],
        Op::RmsNorm { .. } => vec![Kernel::RmsNorm],
        Op::Softmax => vec![Kernel::Softmax],
        Op::Rope { .. } => vec![Kernel::Rope],
        Op::Attention(_) => vec![attention::kernel(graph, id)?],
        Op::SwiGlu => vec![Kernel::SwiGlu],
    })
}

fn fixed(dim: Dim, what: &str) -> Result<usize> {
    dim.fixed().ok_or_else(|| unsupported(format!("{what} must be a number, not a symbol")))
}

fn unsupported(cause: String) -> Error {
    Error::new("gpu.graph", cause, "build the graph in another way, or run it on the processor")
}

/// Lowers a graph whose kernels are prepared.
pub fn lower(gpu: &Gpu, graph: &Graph, weights: &GpuWeights) -> Result<Lowered> {
    let live = graph.live();
    let unpacked = unpacked(graph);
    let slots = vec![None; graph.nodes.len()];
    let out = Lowered { steps: Vec::new(), temporaries: Vec::new(), slots: slots.clone() };
    let mut lowering = Lowering { gpu, graph, weights, stored: slots, out };
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        let first = lowering.out.steps.len();
        let slot = lowering.node(id)?;
        lowering.stored[id.0 as usize] = Some(slot);
        let slot = if unpacked[id.0 as usize] { lowering.unpack(id, slot)? } else { slot };
        lowering.out.slots[id.0 as usize] = Some(slot);
        // A node's work is shared out over its dispatches: shards and bands are about equal.
        let steps = &mut lowering.out.steps[first..];
        let share = graph.flops(id) / steps.len().max(1) as u64;
        steps.iter_mut().for_each(|step| step.flops = share);
    }
    Ok(lowering.out)
}

struct Lowering<'a> {
    gpu: &'a Gpu,
    graph: &'a Graph,
    weights: &'a GpuWeights,
    /// As `out.slots`, but where a node lies in a state of halves, that state.
    stored: Vec<Option<Slot>>,
    out: Lowered,
}

impl<'a> Lowering<'a> {
    fn shape(&self, id: NodeId) -> &'a Shape {
        &self.graph.node(id).shape
    }

    fn slot(&self, id: NodeId) -> Result<Slot> {
        let slot = self.out.slots[id.0 as usize]
            .ok_or_else(|| unsupported(format!("node {} is used before it is made", id.0)))?;
        if let Slot::Words(weight, _) = slot
            && self.weights.get(&self.graph.weights[weight])?.shards.len() > 1
        {
            let name = &self.graph.weights[weight].name;
            return Err(unsupported(format!("{name} is over the binding limit and not read by rows")));
        }
        Ok(slot)
    }

    /// Where a node lies, halves or not.
    fn stored(&self, id: NodeId) -> Result<Slot> {
        match self.stored[id.0 as usize] {
            Some(slot @ Slot::State(_)) => Ok(slot),
            _ => self.slot(id),
        }
    }

    fn unpack(&mut self, id: NodeId, halves: Slot) -> Result<Slot> {
        let floats = self.result(id);
        let pairs = halved(self.shape(id).count());
        self.simple(id, Kernel::Unpack, vec![halves, floats], vec![pairs.clone().into()], pairs)?;
        Ok(floats)
    }

    fn temporary(&mut self, elements: usize) -> Slot {
        self.out.temporaries.push(elements as u64 * 4);
        Slot::Temporary(self.out.temporaries.len() - 1)
    }

    fn result(&mut self, id: NodeId) -> Slot {
        let elements = self.shape(id).count().bound(self.graph);
        self.temporary(elements)
    }

    fn step(&mut self, node: NodeId, pipeline: Rc<Pipeline>, storage: Vec<Part>, params: Vec<Param>, grid: Vec<Count>) {
        self.out.steps.push(Step { pipeline, storage, params, grid, node, flops: 0 });
    }

    /// A step of one kernel whose grid is the number of results.
    fn simple(
        &mut self,
        id: NodeId,
        kernel: Kernel,
        storage: Vec<Slot>,
        params: Vec<Param>,
        grid: Count,
    ) -> Result<()> {
        let pipeline = self.gpu.chosen(kernel)?;
        self.step(id, pipeline, storage.into_iter().map(Part::from).collect(), params, vec![grid]);
        Ok(())
    }

    /// Four dimensions, missing leading ones as 1.
    fn dims4(&self, shape: &Shape) -> Result<Vec<Param>> {
        if shape.rank() > 4 {
            return Err(unsupported(format!("{shape} has more than four dimensions")));
        }
        Ok((0..4).rev().map(|i| shape.back(i).into()).collect())
    }

    /// Strides to walk a contiguous tensor of `from` in the shape it is stretched to: 0 where it is stretched.
    fn strides4(&self, from: &Shape, to: &Shape) -> Vec<Param> {
        let own = strides(from);
        (0..4)
            .rev()
            .map(|back| match from.rank().checked_sub(back + 1) {
                Some(axis) if from.0[axis] == to.back(back) => own[axis].clone().into(),
                _ => 0.into(),
            })
            .collect()
    }

    fn node(&mut self, id: NodeId) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let inputs = &node.inputs;
        let shape = &node.shape;
        let count = shape.count();
        let kernel = node_kernels(graph, id)?.first().copied();
        match (&node.op, kernel) {
            (Op::Input(i), _) => Ok(Slot::Input(*i)),
            (Op::Weight(w), _) => {
                self.weights.get(&graph.weights[w.0 as usize])?;
                Ok(Slot::Words(w.0 as usize, 0))
            }
            (Op::State(s), _) => Ok(Slot::State(s.0 as usize)),
            (Op::Constant(_), _) => Ok(Slot::Constant(id.0 as usize)),
            (Op::Reshape | Op::Slice { .. }, None) => self.stored(inputs[0]),
            (Op::Reshape, Some(_)) => {
                let out = self.result(id);
                self.copy(
                    id,
                    inputs[0],
                    out,
                    shape,
                    strides(shape),
                    (Index::Fixed(0), 0),
                    (shape, 0, Index::Fixed(0)),
                )?;
                Ok(out)
            }
            (Op::Write { start }, Some(Kernel::Pack)) => {
                let (state, value) = (self.stored(inputs[0])?, self.slot(inputs[1])?);
                let pairs = halved(self.shape(inputs[1]).count());
                let row = halved(Count::product(&shape.0[1..]));
                let params = vec![pairs.clone().into(), Param::Offset(*start, row)];
                self.simple(id, Kernel::Pack, vec![value, state], params, pairs)?;
                Ok(state)
            }
            (Op::Write { start }, _) => {
                let (state, value) = (self.slot(inputs[0])?, self.slot(inputs[1])?);
                let n = self.shape(inputs[1]).count();
                let flat = Shape(vec![Dim::Fixed(1)]);
                let mut params: Vec<Param> = vec![1.into(), 1.into(), 1.into(), n.clone().into()];
                let one = [0usize.into(), 0usize.into(), 0usize.into(), 1usize.into()];
                params.extend(one.clone());
                params.extend(one);
                let row = strides(shape).first().cloned().unwrap_or_else(|| flat.count());
                params.extend([n.clone().into(), 0.into(), Param::Offset(*start, row)]);
                self.simple(id, Kernel::Copy, vec![value, state], params, n)?;
                Ok(state)
            }
            (Op::Concat { axis }, _) => {
                let out = self.result(id);
                let mut start = 0;
                for &part in inputs {
                    let from = self.shape(part).clone();
                    self.copy(
                        id,
                        part,
                        out,
                        &from,
                        strides(&from),
                        (Index::Fixed(0), 0),
                        (shape, *axis, Index::Fixed(start)),
                    )?;
                    start += fixed(from.0[*axis], "a concatenated axis")?;
                }
                Ok(out)
            }
            (Op::Pad { axis, start }, _) => {
                let out = self.result(id);
                let zeros = vec![count.clone().into(), 0.into(), 0.into()];
                self.simple(id, Kernel::Range, vec![out], zeros, count)?;
                let from = self.shape(inputs[0]).clone();
                self.copy(id, inputs[0], out, &from, strides(&from), (Index::Fixed(0), 0), (shape, *axis, *start))?;
                Ok(out)
            }
            (Op::Slice { axis, start }, _) => {
                let out = self.result(id);
                let whole = strides(self.shape(inputs[0]));
                self.copy(id, inputs[0], out, shape, whole, (*start, *axis), (shape, 0, Index::Fixed(0)))?;
                Ok(out)
            }
            (Op::Permute(order), _) => {
                let out = self.result(id);
                let own = strides(self.shape(inputs[0]));
                let from = order.iter().map(|&i| own[i].clone()).collect();
                self.copy(id, inputs[0], out, shape, from, (Index::Fixed(0), 0), (shape, 0, Index::Fixed(0)))?;
                Ok(out)
            }
            (Op::Linear { transposed: true } | Op::Gather, Some(kernel)) => self.by_rows(id, kernel),
            (Op::Linear { .. } | Op::FusedLinear { .. }, Some(kernel)) => self.linear(id, kernel),
            (Op::Conv2d { .. } | Op::FusedConv2d { .. }, Some(kernel)) => self.conv2d(id, kernel),
            (Op::Conv2dTransposed { .. }, Some(kernel)) => self.conv2d_transposed(id, kernel),
            (Op::GroupNorm { groups, eps, silu }, _) => self.group_norm(id, *groups, *eps, *silu),
            (Op::Unary(_) | Op::Affine { .. } | Op::SwiGlu, Some(kernel)) => self.elements(id, kernel),
            (Op::Binary(_), Some(kernel)) => self.binary(id, kernel),
            (Op::Attention(attention), Some(kernel)) => self.attention(id, kernel, attention),
            (Op::TopK { k }, Some(kernel)) => self.top_k(id, kernel, *k),
            (_, Some(kernel)) => {
                let out = self.result(id);
                let mut storage = inputs.iter().map(|i| self.slot(*i)).collect::<Result<Vec<_>>>()?;
                storage.push(out);
                let (params, grid) = self.numbers(id)?;
                self.simple(id, kernel, storage, params, grid)?;
                Ok(out)
            }
            (op, None) => Err(unsupported(format!("{} has no kernel", op.name()))),
        }
    }

    /// Copies a block of shape `block` from node `from` (walked by `strides`, from `start` on `axis`) into a tensor of shape
    /// `to.0`, from `to.2` on axis `to.1`.
    #[allow(clippy::too_many_arguments, reason = "two places, each with a shape, strides and a start")]
    fn copy(
        &mut self,
        id: NodeId,
        from: NodeId,
        out: Slot,
        block: &Shape,
        from_strides: Vec<Count>,
        (start, axis): (Index, usize),
        (to, to_axis, to_start): (&Shape, usize, Index),
    ) -> Result<()> {
        let pad = |strides: &[Count]| -> Vec<Param> {
            let mut four: Vec<Param> = vec![0.into(); 4 - strides.len()];
            four.extend(strides.iter().cloned().map(Param::from));
            four
        };
        let mut params = self.dims4(block)?;
        let to_strides = strides(to);
        params.extend(pad(&from_strides));
        params.extend(pad(&to_strides));
        let one = Count { factor: 1, symbols: Vec::new() };
        let offset =
            |index, strides: &[Count], axis: usize| Param::Offset(index, strides.get(axis).unwrap_or(&one).clone());
        params.push(block.count().into());
        params.push(offset(start, &from_strides, axis));
        params.push(offset(to_start, &to_strides, to_axis));
        let source = self.slot(from)?;
        self.simple(id, Kernel::Copy, vec![source, out], params, block.count())
    }

    /// Uniforms and grid of the kernels that bind their inputs, then their result.
    fn numbers(&self, id: NodeId) -> Result<(Vec<Param>, Count)> {
        let node = self.graph.node(id);
        let shape = &node.shape;
        let count = shape.count();
        let input = |i: usize| self.shape(node.inputs[i]);
        // Rows and columns of the first input.
        let rows = || Count::product(&input(0).0[..input(0).rank().saturating_sub(1)]);
        Ok(match &node.op {
            Op::Range { start } => (vec![count.clone().into(), Param::Index(*start), 1.into()], count),
            Op::Broadcast => {
                let mut params = self.dims4(shape)?;
                params.extend(self.strides4(input(0), shape));
                params.extend(self.strides4(shape, shape));
                params.extend([count.clone().into(), 0.into(), 0.into()]);
                (params, count)
            }
            Op::Reduce { axis, .. } => {
                let inner = Count::product(&input(0).0[axis + 1..]);
                (vec![count.clone().into(), input(0).0[*axis].into(), inner.into()], count)
            }
            Op::MatMul { transpose_a, transpose_b } => {
                let (a, b) = (input(0), input(1));
                let mut params = self.dims4(shape)?;
                let (m, n) = (shape.back(1), shape.back(0));
                let k = a.back(usize::from(*transpose_a));
                for (operand, transposed, rows, columns) in [(a, transpose_a, m, k), (b, transpose_b, k, n)] {
                    // The operand as the product sees it, broadcast over the batch; its own strides, swapped if transposed.
                    let mut seen = Shape(shape.0[..shape.rank() - 2].to_vec());
                    seen.0.extend(if *transposed { [columns, rows] } else { [rows, columns] });
                    let mut four = self.strides4(operand, &seen);
                    // A dimension of 1 that is not stretched has stride 0 here, which reads the same element.
                    if *transposed {
                        four.swap(2, 3);
                    }
                    params.extend(four);
                }
                params.extend([count.clone().into(), k.into()]);
                (params, count)
            }
            Op::Argmax | Op::Softmax => (vec![rows().into(), input(0).back(0).into()], rows()),
            Op::RmsNorm { eps } => (vec![rows().into(), input(0).back(0).into(), Param::F32(*eps)], rows()),
            Op::ScatterAdd => {
                let columns = Count::product(&[shape.0[1]]);
                (vec![columns.clone().into(), input(0).0[0].into(), shape.0[0].into()], columns)
            }
            Op::Rope { start } => {
                let pairs = Count { factor: count.factor / 2, ..count };
                let half = fixed(shape.back(0), "head_dim")? / 2;
                (vec![pairs.clone().into(), shape.0[1].into(), half.into(), Param::Index(*start)], pairs)
            }
            Op::Conv2dTransposed { .. } | Op::Conv2dFilter { .. } | Op::MaxPool { .. } | Op::Resize { .. } => {
                self.picture_numbers(id)?
            }
            op => return Err(unsupported(format!("{} has no kernel", op.name()))),
        })
    }
}

/// Half as many: rows of halves are whole words.
fn halved(count: Count) -> Count {
    Count { factor: count.factor / 2, ..count }
}

/// Whether a node's elements are ids.
pub fn is_u32(graph: &Graph, id: NodeId) -> bool {
    graph.node(id).dtype == DType::U32
}
