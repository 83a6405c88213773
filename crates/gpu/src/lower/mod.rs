//! From a fused graph to steps: the slots of its nodes, and what their steps have in common. How each operation is done is in
//! `ops/`; `bands.rs` says where work is cut.

pub(crate) mod bands;
pub(crate) mod joins;

use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Count, DType, Dim, Error, Graph, Index, NodeId, Op, Result, Shape};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::ops;
use crate::ops::attention::attends_halves;
use crate::pipeline::Pipeline;
use crate::step::{Param, Part, Slot, Step, Times, strides};
use crate::weights::GpuWeights;
use joins::{Join, joins};

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
        kernels.extend(ops::kernels(graph, id, tier)?);
    }
    // Beside those of the single nodes: how their weights will lie is not known yet.
    kernels.extend(joins(graph, &unpacked).iter().flat_map(|join| join.kernels(graph, tier)));
    let mut seen = std::collections::HashSet::new();
    kernels.retain(|k| seen.insert(*k));
    Ok(kernels)
}

/// Whether a node is its input under another shape: no work, the same slot. A view of a state that is still read after the
/// state was written must be a copy, taken before: states are written in place.
pub(crate) fn is_view(graph: &Graph, id: NodeId) -> bool {
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
pub(crate) fn in_halves(graph: &Graph, id: NodeId) -> bool {
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
                Op::Attention(_) => i > 0 && attends_halves(graph, id),
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

pub(crate) fn fixed(dim: Dim, what: &str) -> Result<usize> {
    dim.fixed().ok_or_else(|| unsupported(format!("{what} must be a number, not a symbol")))
}

pub(crate) fn unsupported(cause: String) -> Error {
    Error::new("gpu.graph", cause, "build the graph in another way, or run it on the processor")
}

/// Lowers a graph whose kernels are prepared. `only`: the kernel it is lowered for, where a test or a race is about one.
pub fn lower(gpu: &Gpu, graph: &Graph, weights: &GpuWeights, only: Option<Kernel>) -> Result<Lowered> {
    let live = graph.live();
    let unpacked = unpacked(graph);
    let slots = vec![None; graph.nodes.len()];
    let out = Lowered { steps: Vec::new(), temporaries: Vec::new(), slots: slots.clone() };
    let mut lowering = Lowering { gpu, graph, weights, only, stored: slots, quantized: HashMap::new(), out };
    let can = |join: &Join| join.matrices(graph, weights).is_some() && gpu.chosen(join.kernel(graph)).is_ok();
    let joins = joins(graph, &unpacked).into_iter().filter(can);
    let joins: Vec<Join> = joins.collect();
    let joined = |id: NodeId| joins.iter().find(|join| join.members.contains(&id));
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        let first = lowering.out.steps.len();
        if let Some(join) = joined(id) {
            lowering.member(id, join)?;
            continue;
        }
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

pub(crate) struct Lowering<'a> {
    pub gpu: &'a Gpu,
    pub graph: &'a Graph,
    pub weights: &'a GpuWeights,
    pub only: Option<Kernel>,
    /// As `out.slots`, but where a node lies in a state of halves, that state.
    stored: Vec<Option<Slot>>,
    /// Where activations lie as int8.
    pub quantized: HashMap<Slot, [Slot; 2]>,
    out: Lowered,
}

impl<'a> Lowering<'a> {
    pub fn shape(&self, id: NodeId) -> &'a Shape {
        &self.graph.node(id).shape
    }

    pub fn slot(&self, id: NodeId) -> Result<Slot> {
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
    pub fn stored(&self, id: NodeId) -> Result<Slot> {
        match self.stored[id.0 as usize] {
            Some(slot @ Slot::State(_)) => Ok(slot),
            _ => self.slot(id),
        }
    }

    pub fn temporary(&mut self, elements: usize) -> Slot {
        self.out.temporaries.push(elements as u64 * 4);
        Slot::Temporary(self.out.temporaries.len() - 1)
    }

    pub fn result(&mut self, id: NodeId) -> Slot {
        let elements = self.shape(id).count().bound(self.graph);
        self.temporary(elements)
    }

    pub fn step(
        &mut self,
        node: NodeId,
        pipeline: Rc<Pipeline>,
        storage: Vec<Part>,
        params: Vec<Param>,
        grid: Vec<Count>,
    ) {
        self.out.steps.push(Step { pipeline, storage, params, grid, times: Times::Once, node, flops: 0 });
    }

    /// A node that goes into a dispatch with others: at the last of them, that dispatch.
    fn member(&mut self, id: NodeId, join: &Join) -> Result<()> {
        if let Some(slot) = self.join_result(id, join)? {
            self.stored[id.0 as usize] = Some(slot);
            self.out.slots[id.0 as usize] = Some(slot);
        }
        if join.last() == Some(id) {
            let first = self.out.steps.len();
            self.join(join)?;
            let flops: u64 = join.members.iter().map(|member| self.graph.flops(*member)).sum();
            let steps = &mut self.out.steps[first..];
            let share = flops / steps.len().max(1) as u64;
            steps.iter_mut().for_each(|step| step.flops = share);
        }
        Ok(())
    }

    /// The step that was added last is taken so often.
    pub fn repeat(&mut self, times: Times) {
        if let Some(step) = self.out.steps.last_mut() {
            step.times = times;
        }
    }

    /// A step of one kernel whose grid is the number of results.
    pub fn simple(
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
    pub fn dims4(&self, shape: &Shape) -> Result<Vec<Param>> {
        if shape.rank() > 4 {
            return Err(unsupported(format!("{shape} has more than four dimensions")));
        }
        Ok((0..4).rev().map(|i| shape.back(i).into()).collect())
    }

    /// Strides to walk a contiguous tensor of `from` in the shape it is stretched to: 0 where it is stretched.
    pub fn strides4(&self, from: &Shape, to: &Shape) -> Vec<Param> {
        let own = strides(from);
        (0..4)
            .rev()
            .map(|back| match from.rank().checked_sub(back + 1) {
                Some(axis) if from.0[axis] == to.back(back) => own[axis].clone().into(),
                _ => 0.into(),
            })
            .collect()
    }

    /// A step of one kernel that binds the node's inputs, then its result.
    pub fn plain(&mut self, id: NodeId, kernel: Kernel, params: Vec<Param>, grid: Count) -> Result<Slot> {
        let graph = self.graph;
        let out = self.result(id);
        let mut storage = graph.node(id).inputs.iter().map(|i| self.slot(*i)).collect::<Result<Vec<_>>>()?;
        storage.push(out);
        self.simple(id, kernel, storage, params, grid)?;
        Ok(out)
    }

    /// The slot of a weight that is there.
    pub fn weight(&self, index: usize) -> Result<Slot> {
        self.weights.get(&self.graph.weights[index])?;
        Ok(Slot::Words(index, 0))
    }
}

/// Whether a node's elements are ids.
pub fn is_u32(graph: &Graph, id: NodeId) -> bool {
    graph.node(id).dtype == DType::U32
}
