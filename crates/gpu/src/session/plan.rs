//! A graph, recorded: a list of {pipeline, bind group, grid}, and the buffers that are the plan's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::contract::{Bond, Prepared};
use lantern_graph::{Bindings, Error, Graph, NodeId, Op, Result};

use super::bind::BindGroups;
use super::{DATA, check_size};
use crate::caps::Tier;
use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::lower::{self, Lowered};
use crate::memory::{self, ALIGNMENT, Buffer, Layout, Lifetime};
use crate::shader::Binding;
use crate::slices::{self, PlanPace};
use crate::step::{Param, Slot, Step};
use crate::weights::GpuWeights;

/// A uniform block, at the offset every adapter allows. No kernel has more than 64 numbers.
pub(super) const PARAMS_BYTES: usize = 256;

/// A graph, recorded over the session's arenas and one set of weights.
pub struct Plan {
    pub(crate) bond: Bond<Vec<u64>>,
    pub(super) graph: Rc<Graph>,
    pub(super) weights: Rc<GpuWeights>,
    pub(super) steps: Vec<Step>,
    /// Where temporaries lie, and their bytes.
    pub(super) layout: Layout,
    pub(super) temporaries: Vec<u64>,
    pub(super) bind_groups: RefCell<BindGroups>,
    pub(super) params: Params,
    pub(super) inputs: Vec<Buffer>,
    pub(super) constants: Constants,
    /// Where its states stand in the session.
    pub(super) states: Rc<[usize]>,
    outputs: HashMap<NodeId, Slot>,
    /// How fast it goes: other work has another rate.
    pub(super) pace: PlanPace,
}

/// Every dispatch's numbers, those that are alike once: layers are. The blocks that symbols change come first, so that a run
/// writes those alone.
pub(super) struct Params {
    pub buffer: Buffer,
    /// Which block is each step's.
    pub blocks: Vec<usize>,
    /// The words that symbols change, by their place in the buffer.
    changing: Vec<(usize, Param)>,
    written: RefCell<Written>,
}

/// What the buffer holds.
struct Written {
    bindings: Option<Bindings>,
    /// The blocks that symbols change.
    bytes: Vec<u8>,
}

/// One buffer for all constants.
pub(super) struct Constants {
    pub buffer: Buffer,
    /// Byte offset and size, by node.
    pub places: HashMap<usize, (u64, u64)>,
}

/// A graph lowered and placed, nothing allocated.
struct Draft {
    lowered: Lowered,
    layout: Layout,
}

impl Draft {
    /// Of a graph whose kernels are made ready.
    fn new(gpu: &Gpu, graph: &Graph, weights: &GpuWeights, only: Option<Kernel>) -> Result<Draft> {
        let lowered = lower::lower(gpu, graph, weights, only)?;
        for &bytes in &lowered.temporaries {
            check_size("an intermediate result", bytes, gpu.0.buffer_limit)?;
        }
        let layout = place(graph, &lowered, gpu.0.buffer_limit);
        Ok(Draft { lowered, layout })
    }
}

fn input_bytes(graph: &Graph) -> impl Iterator<Item = u64> {
    graph.inputs.iter().map(|input| input.shape.count().bound(graph) as u64 * 4)
}

/// Bytes of each arena that a plan of the graph needs, and of what would be its own but for constants.
pub(super) fn measure(gpu: &Gpu, graph: &Graph, weights: &GpuWeights) -> Result<(Vec<u64>, u64)> {
    let Draft { lowered, layout } = Draft::new(gpu, graph, weights, None)?;
    let params = (Params::unlike(&lowered.steps).0.len() * PARAMS_BYTES) as u64;
    Ok((layout.arenas, input_bytes(graph).sum::<u64>() + params))
}

impl Plan {
    pub(super) fn record(
        gpu: &Gpu,
        prepared: Prepared,
        weights: &Rc<GpuWeights>,
        only: Option<Kernel>,
    ) -> Result<Plan> {
        let (graph, states) = (prepared.graph.clone(), prepared.states.clone());
        let Draft { lowered, layout } = Draft::new(gpu, &graph, weights, only)?;
        let plan = Plan {
            bond: prepared.bind(layout.arenas.clone()),
            outputs: outputs(&graph, &lowered)?,
            inputs: graph.inputs.iter().zip(input_bytes(&graph)).map(|(i, n)| gpu.buffer(&i.name, n, DATA)).collect(),
            constants: Constants::new(gpu, &graph),
            params: Params::new(gpu, &lowered.steps),
            steps: lowered.steps,
            layout,
            temporaries: lowered.temporaries,
            bind_groups: RefCell::default(),
            graph,
            weights: weights.clone(),
            states,
            pace: slices::pace(gpu),
        };
        plan.check_bindings(gpu)?;
        Ok(plan)
    }

    /// What is bound of temporaries, inputs and constants is within the adapter's limit; states and weights always are.
    fn check_bindings(&self, gpu: &Gpu) -> Result<()> {
        for step in &self.steps {
            for part in &step.storage {
                let whole = match part.slot {
                    Slot::Temporary(t) => self.temporary_bytes(t),
                    Slot::Input(i) => self.inputs[i].size(),
                    Slot::Constant(node) => self.constants.places[&node].1,
                    Slot::State(_) | Slot::Words(..) | Slot::Scales(..) => continue,
                };
                let what = format!("an operand of {}", step.pipeline.kernel.name());
                check_size(&what, part.bytes(whole).1, gpu.0.binding_limit)?;
            }
        }
        Ok(())
    }

    pub(super) fn temporary_bytes(&self, temporary: usize) -> u64 {
        self.temporaries[temporary].next_multiple_of(16).max(16)
    }

    /// Where an output lies.
    pub(super) fn output(&self, id: NodeId) -> Result<Slot> {
        let unkept = || Error::new("gpu.graph", format!("node {} is not kept", id.0), "report this with the graph");
        self.outputs.get(&id).copied().ok_or_else(unkept)
    }

    /// Kernels with the tier each runs at, in order.
    pub fn kernels(&self) -> Vec<(String, Tier)> {
        self.steps.iter().map(|step| (step.pipeline.kernel.name(), step.pipeline.choice.tier)).collect()
    }

    /// The scope and operation of each dispatch: what `profile`'s times belong to.
    pub fn labels(&self) -> Vec<String> {
        let label = |step: &Step| {
            let node = self.graph.node(step.node);
            format!("{} {}", node.scope, node.op.name()).trim_start().to_owned()
        };
        self.steps.iter().map(label).collect()
    }
}

impl Params {
    /// Steps whose numbers are unlike, those that symbols change first; how many these are; and which of them each step is like.
    fn unlike(steps: &[Step]) -> (Vec<&Step>, usize, Vec<usize>) {
        let changes = |step: &Step| !step.params.iter().all(|param| param.fixed_bits().is_some());
        let (mut unlike, mut blocks): (Vec<&Step>, Vec<usize>) = (Vec::new(), vec![0; steps.len()]);
        let mut changing = 0;
        for symbols_change in [true, false] {
            for (step, block) in steps.iter().zip(&mut blocks).filter(|(step, _)| changes(step) == symbols_change) {
                let known = unlike.iter().position(|other| other.params == step.params);
                *block = known.unwrap_or(unlike.len());
                unlike.extend(known.is_none().then_some(step));
            }
            if symbols_change {
                changing = unlike.len();
            }
        }
        (unlike, changing, blocks)
    }

    fn new(gpu: &Gpu, steps: &[Step]) -> Params {
        let (unlike, blocks_that_change, blocks) = Params::unlike(steps);
        let words = |block: usize| (0..).map(move |word| block * PARAMS_BYTES + 4 * word);
        let mut bytes = vec![0; unlike.len() * PARAMS_BYTES];
        let mut changing = Vec::new();
        for (block, step) in unlike.iter().enumerate() {
            for (at, param) in words(block).zip(&step.params) {
                match param.fixed_bits() {
                    Some(bits) => bytes[at..at + 4].copy_from_slice(&bits.to_le_bytes()),
                    None => changing.push((at, param.clone())),
                }
            }
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("params", bytes.len() as u64, usage);
        if !bytes.is_empty() {
            gpu.0.queue.write_buffer(&buffer, 0, &bytes);
        }
        bytes.truncate(blocks_that_change * PARAMS_BYTES);
        Params { buffer, blocks, changing, written: RefCell::new(Written { bindings: None, bytes }) }
    }

    /// Brings the buffer to these symbols.
    pub fn write(&self, queue: &wgpu::Queue, bindings: &Bindings) {
        let written = &mut *self.written.borrow_mut();
        if written.bindings.as_ref() == Some(bindings) || self.changing.is_empty() {
            return;
        }
        // From the first word that is another to the last.
        let (mut from, mut to) = (usize::MAX, 0);
        for (at, param) in &self.changing {
            let bits = param.bits(bindings).to_le_bytes();
            if written.bytes[*at..at + 4] != bits {
                written.bytes[*at..at + 4].copy_from_slice(&bits);
                (from, to) = (from.min(*at), to.max(at + 4));
            }
        }
        if from < to {
            queue.write_buffer(&self.buffer, from as u64, &written.bytes[from..to]);
        }
        written.bindings = Some(bindings.clone());
    }
}

impl Constants {
    fn new(gpu: &Gpu, graph: &Graph) -> Constants {
        let mut bytes: Vec<u8> = Vec::new();
        let mut places = HashMap::new();
        for id in graph.ids() {
            if let Op::Constant(values) = &graph.node(id).op {
                bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
                let offset = bytes.len() as u64;
                bytes.extend_from_slice(bytemuck::cast_slice(values));
                bytes.resize(bytes.len().next_multiple_of(16), 0);
                places.insert(id.0 as usize, (offset, bytes.len() as u64 - offset));
            }
        }
        let buffer = gpu.buffer("constants", bytes.len() as u64, DATA);
        if !bytes.is_empty() {
            gpu.0.queue.write_buffer(&buffer, 0, &bytes);
        }
        Constants { buffer, places }
    }
}

fn outputs(graph: &Graph, lowered: &Lowered) -> Result<HashMap<NodeId, Slot>> {
    let place = |(name, id): &(String, NodeId)| {
        let unmade = || Error::new("gpu.graph", format!("the output {name} is not made"), "report this with the graph");
        Ok((*id, lowered.slots[id.0 as usize].ok_or_else(unmade)?))
    };
    graph.outputs.iter().map(place).collect()
}

/// Lifetimes of temporaries in steps, and their places. Outputs live to the end.
fn place(graph: &Graph, lowered: &Lowered, largest: u64) -> Layout {
    let end = lowered.steps.len().saturating_sub(1);
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; lowered.temporaries.len()];
    let mut dispatches = Vec::with_capacity(lowered.steps.len());
    for (number, step) in lowered.steps.iter().enumerate() {
        let kinds = step.pipeline.shader.bindings.iter().filter(|b| **b != Binding::Uniform);
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for (slot, kind) in step.storage.iter().zip(kinds) {
            if let Slot::Temporary(t) = slot.slot {
                (if *kind == Binding::Read { &mut reads } else { &mut writes }).push(t);
                let bytes = lowered.temporaries[t];
                let life = lifetimes[t].get_or_insert(Lifetime { first: number, last: number, bytes });
                life.last = number;
            }
        }
        dispatches.push((reads, writes));
    }
    for (_, id) in &graph.outputs {
        if let Some(Slot::Temporary(t)) = lowered.slots[id.0 as usize]
            && let Some(life) = &mut lifetimes[t]
        {
            life.last = end;
        }
    }
    let lifetimes: Vec<Lifetime> =
        lifetimes.into_iter().map(|l| l.unwrap_or(Lifetime { first: 0, last: 0, bytes: 0 })).collect();
    if lowered.steps.is_empty() {
        return Layout::default();
    }
    memory::place(&lifetimes, &dispatches, largest)
}
