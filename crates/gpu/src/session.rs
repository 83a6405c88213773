//! Sessions: states, and plans recorded once and replayed with new numbers.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};

use lantern_graph::{
    Bindings, Cancel, Class, Error, Executor, Graph, Op, Result, Session, Shape, StateSpec, Touch, Value, WeightSpec,
    fuse,
};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::lower::{self, Lowered};
use crate::memory::{self, ALIGNMENT, Buffer, Lifetime};
use crate::shader::Binding;
use crate::slices::{self, PlanPace, Slices};
use crate::state::State;
use crate::step::{Part, Slot, Step, fold};
use crate::wait::{oneshot, yield_now};
use crate::weights::GpuWeights;

/// A uniform block per dispatch, at the offset every adapter allows. No kernel has more than 64 numbers.
const PARAMS_BYTES: usize = 256;

/// What kernels read and write and the host may read back or fill.
pub(crate) const DATA: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// States, plans, and the arenas that they share.
pub struct GpuSession {
    gpu: Gpu,
    slices: Slices,
    states: Vec<State>,
    /// What the plans that are alive need of each arena.
    needs: Vec<Weak<Vec<u64>>>,
    /// Temporaries of whichever plan runs: as large as the largest plan's.
    arenas: Vec<Buffer>,
    /// Counts how often `arenas` or a state was made anew; bind groups of an older count are made again.
    generation: u64,
    /// The needs of the plan that ran last: only its outputs are still there.
    latest: Option<Rc<Vec<u64>>>,
    /// Where results are copied to be read; kept, since a chat reads a few bytes per token.
    staging: Option<Buffer>,
    /// For timing single dispatches; made when first asked for.
    stamps: Option<(wgpu::QuerySet, Rc<Buffer>)>,
}

/// A graph, recorded: a list of {pipeline, bind group, grid} over the session's arenas.
pub struct Plan {
    graph: Graph,
    weights: Rc<GpuWeights>,
    steps: Vec<Step>,
    /// Where temporaries lie, and their bytes.
    layout: memory::Layout,
    temporaries: Vec<u64>,
    /// Bytes of each arena; its identity is the plan's.
    arenas: Rc<Vec<u64>>,
    bind_groups: RefCell<BindGroups>,
    params: Buffer,
    inputs: Vec<Buffer>,
    constants: Buffer,
    /// Byte offset and size of each constant, by node.
    constant_places: HashMap<usize, (u64, u64)>,
    /// Where its states stand in the session.
    states: Vec<usize>,
    /// Rows of growing states that a run touches.
    touches: Vec<Touch>,
    outputs: HashMap<String, Output>,
    last: RefCell<Option<Bindings>>,
    /// Inputs that frames were written to.
    written: RefCell<HashSet<String>>,
    /// How fast it goes: other work has another rate.
    pace: PlanPace,
}

/// One for each step, over the arenas of one generation.
#[derive(Default)]
struct BindGroups {
    generation: u64,
    groups: Vec<wgpu::BindGroup>,
}

/// A graph lowered and placed, nothing allocated.
struct Draft {
    lowered: Lowered,
    layout: memory::Layout,
    /// Of everything a plan of it will hold.
    bytes: u64,
}

struct Output {
    place: OutputPlace,
    shape: Shape,
    is_u32: bool,
}

enum OutputPlace {
    Arena(usize, u64),
    Input(usize),
    State(usize),
}

impl Executor for Gpu {
    type Weights = GpuWeights;
    type Session = GpuSession;

    fn describe(&self) -> lantern_graph::Description {
        Gpu::describe(self)
    }

    /// `gpu.step_down` for kernels that failed their self-test on this driver.
    fn notices(&self) -> Vec<Error> {
        let downs = self.step_downs();
        let named: Vec<String> = downs.iter().map(|s| format!("{} ({}: {})", s.kernel, s.tier, s.reason)).collect();
        let cause = format!(
            "kernels failed their check on this driver, and plainer ones took their places: {}",
            named.join("; ")
        );
        let notice = || Error::new("gpu.step_down", cause, "results are right but slower; update the graphics driver");
        if downs.is_empty() { Vec::new() } else { vec![notice()] }
    }

    fn allocate_weights(&self, specs: &[WeightSpec]) -> Result<GpuWeights> {
        GpuWeights::allocate(self, specs)
    }

    async fn write_rows(&self, weights: &GpuWeights, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        weights.write_rows(self, name, first_row, bytes)
    }

    async fn warm(&self, graph: &Graph, cancel: &Cancel) -> Result<()> {
        prepare(self, &fuse(graph), cancel).await
    }

    fn session(&self, class: Class) -> GpuSession {
        GpuSession {
            gpu: self.clone(),
            slices: Slices::new(&self.0.slices, class),
            states: Vec::new(),
            needs: Vec::new(),
            arenas: Vec::new(),
            generation: 0,
            latest: None,
            staging: None,
            stamps: None,
        }
    }

    fn memory_bytes(&self) -> u64 {
        self.0.memory.get()
    }
}

impl GpuSession {
    pub fn class(&self) -> Class {
        self.slices.class()
    }

    fn state(&mut self, spec: &StateSpec) -> Result<usize> {
        if let Some(at) = self.states.iter().position(|state| state.spec.name == spec.name) {
            let known = &self.states[at].spec;
            if known == spec {
                return Ok(at);
            }
            let cause = format!("the state {} is {known:?} and also {spec:?}", spec.name);
            return Err(Error::new("gpu.state", cause, "use one session per model"));
        }
        // Also where it starts small: a conversation is not to break off in its middle.
        let limit = self.gpu.0.binding_limit.min(self.gpu.0.buffer_limit);
        self.check_size(&spec.name, spec.bytes(spec.rows()), limit)?;
        self.states.push(State::new(&self.gpu, spec));
        Ok(self.states.len() - 1)
    }

    fn find_state(&self, name: &str) -> Result<usize> {
        self.states.iter().position(|state| state.spec.name == name).ok_or_else(|| {
            let cause = format!("no compiled plan has a state {name}");
            Error::new("gpu.state", cause, "compile the plan that declares it first")
        })
    }

    /// Room in the growing states for what a run touches: one after the other, since a state that moves is there twice.
    fn grow_states(&mut self, plan: &Plan, bindings: &Bindings) -> Result<()> {
        for touch in &plan.touches {
            let grew = self.states[plan.states[touch.state]].fit(&self.gpu, touch.end(bindings))?;
            self.generation += u64::from(grew);
        }
        Ok(())
    }

    fn check_size(&self, what: &str, bytes: u64, limit: u64) -> Result<()> {
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::new(
            "gpu.too_large",
            format!("{what} takes {bytes} bytes, over this adapter's limit of {limit}"),
            "use a shorter context, a smaller picture, or the processor",
        ))
    }

    /// Compiles a graph as it is, without fusing it first: self-tests and `lantern diff` name its nodes.
    pub async fn compile_unfused(&mut self, graph: &Graph, weights: &Rc<GpuWeights>, cancel: &Cancel) -> Result<Plan> {
        graph.check_state_order()?;
        prepare(&self.gpu, graph, cancel).await?;
        self.record(graph, weights)
    }

    /// Lowers and places a graph whose kernels are prepared.
    fn draft(&self, graph: &Graph, weights: &GpuWeights) -> Result<Draft> {
        let lowered = lower::lower(&self.gpu, graph, weights)?;
        for &bytes in &lowered.temporaries {
            self.check_size("an intermediate result", bytes, self.gpu.0.buffer_limit)?;
        }
        let layout = place(graph, &lowered, self.gpu.0.buffer_limit);
        let inputs: u64 = graph.inputs.iter().map(|input| input.shape.count().bound(graph) as u64 * 4).sum();
        let params = (lowered.steps.len() * PARAMS_BYTES) as u64;
        let bytes = layout.arenas.iter().sum::<u64>() + inputs + params;
        Ok(Draft { lowered, layout, bytes })
    }

    /// Records a graph whose kernels are prepared.
    pub(crate) fn record(&mut self, graph: &Graph, weights: &Rc<GpuWeights>) -> Result<Plan> {
        let Draft { lowered, layout, .. } = self.draft(graph, weights)?;
        let states = graph.states.iter().map(|s| self.state(s)).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Buffer> = graph
            .inputs
            .iter()
            .map(|input| self.gpu.buffer(&input.name, input.shape.count().bound(graph) as u64 * 4, DATA))
            .collect();
        let (constants, constant_places) = self.constants(graph);
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self.gpu.buffer("params", (lowered.steps.len() * PARAMS_BYTES) as u64, uniform);
        let outputs = outputs(graph, &lowered, &layout, &states)?;
        let plan = Plan {
            graph: graph.clone(),
            weights: weights.clone(),
            steps: lowered.steps,
            temporaries: lowered.temporaries,
            arenas: Rc::new(layout.arenas.clone()),
            layout,
            bind_groups: RefCell::default(),
            params,
            inputs,
            constants,
            constant_places,
            states,
            touches: graph.touches(),
            outputs,
            last: None.into(),
            written: RefCell::default(),
            pace: slices::pace(&self.gpu),
        };
        self.needs.push(Rc::downgrade(&plan.arenas));
        self.fit_arenas();
        self.bind(&plan)?;
        self.gpu.check()?;
        Ok(plan)
    }

    /// Arenas as large as the largest living plan needs each, no larger.
    fn fit_arenas(&mut self) {
        self.needs.retain(|needs| needs.strong_count() > 0);
        let mut sizes: Vec<u64> = Vec::new();
        for needs in self.needs.iter().filter_map(Weak::upgrade) {
            sizes.resize(sizes.len().max(needs.len()), 0);
            sizes.iter_mut().zip(needs.iter()).for_each(|(size, need)| *size = (*size).max(*need));
        }
        let have: Vec<u64> = self.arenas.iter().map(|arena| arena.size()).collect();
        if have == sizes {
            return;
        }
        // First all that goes, then all that comes: the peak counts.
        let mut kept: Vec<Option<Buffer>> = self.arenas.drain(..).map(Some).collect();
        kept.resize_with(sizes.len(), || None);
        for (arena, size) in kept.iter_mut().zip(&sizes) {
            arena.take_if(|arena| arena.size() != *size);
        }
        let new = |size: u64| self.gpu.buffer("arena", size, DATA);
        self.arenas = kept.into_iter().zip(sizes).map(|(arena, size)| arena.unwrap_or_else(|| new(size))).collect();
        self.generation += 1;
        // What lay in them is gone.
        self.latest = None;
    }

    /// Makes a plan's bind groups, unless those it has are over the present arenas.
    fn bind(&self, plan: &Plan) -> Result<()> {
        let mut bound = plan.bind_groups.borrow_mut();
        if bound.generation == self.generation && bound.groups.len() == plan.steps.len() {
            return Ok(());
        }
        bound.groups.clear();
        for (number, step) in plan.steps.iter().enumerate() {
            let mut storage = step.storage.iter();
            let mut entries = Vec::new();
            for (binding, kind) in step.pipeline.shader.bindings.iter().enumerate() {
                let (buffer, offset, size) = match kind {
                    Binding::Uniform => (&*plan.params, (number * PARAMS_BYTES) as u64, PARAMS_BYTES as u64),
                    Binding::Read | Binding::ReadWrite => match storage.next() {
                        Some(part) => self.range(plan, part)?,
                        None => return Err(miscounted(step)),
                    },
                };
                if *kind != Binding::Uniform {
                    let what = format!("an operand of {}", step.pipeline.kernel.name());
                    self.check_size(&what, size, self.gpu.0.binding_limit)?;
                }
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: wgpu::BufferSize::new(size),
                });
                entries.push(wgpu::BindGroupEntry { binding: binding as u32, resource });
            }
            if storage.next().is_some() {
                return Err(miscounted(step));
            }
            bound.groups.push(self.gpu.0.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &step.pipeline.layout,
                entries: &entries,
            }));
        }
        bound.generation = self.generation;
        Ok(())
    }

    /// The buffer a part lies in, its offset there and its size.
    fn range<'p>(&'p self, plan: &'p Plan, part: &Part) -> Result<(&'p wgpu::Buffer, u64, u64)> {
        let (buffer, offset, bytes): (&Buffer, u64, u64) = match part.slot {
            Slot::Temporary(t) => {
                let place = plan.layout.places[t];
                (&self.arenas[place.arena], place.offset, plan.temporaries[t].next_multiple_of(16).max(16))
            }
            Slot::Input(i) => (&plan.inputs[i], 0, plan.inputs[i].size()),
            Slot::State(s) => {
                let buffer = &self.states[plan.states[s]].buffer;
                (buffer, 0, buffer.size())
            }
            Slot::Constant(node) => {
                let (offset, bytes) = plan.constant_places[&node];
                (&plan.constants, offset, bytes)
            }
            Slot::Words(w, s) => {
                let words = &plan.weights.get(&plan.graph.weights[w])?.shards[s].words;
                (words, 0, words.size())
            }
            Slot::Scales(w, s) => {
                let shard = &plan.weights.get(&plan.graph.weights[w])?.shards[s];
                let scales = shard.scales.as_ref().unwrap_or(&shard.words);
                (scales, 0, scales.size())
            }
        };
        let (first, size) = part.bytes(bytes);
        Ok((buffer, offset + first, size))
    }

    /// One buffer for all constants, and each one's offset and bytes by node.
    fn constants(&self, graph: &Graph) -> (Buffer, HashMap<usize, (u64, u64)>) {
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
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let buffer = self.gpu.buffer("constants", bytes.len() as u64, usage);
        if !bytes.is_empty() {
            self.gpu.0.queue.write_buffer(&buffer, 0, &bytes);
        }
        (buffer, places)
    }

    async fn read_buffer(&mut self, from: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        self.gpu.read_buffer(&mut self.staging, from, offset, bytes).await
    }

    /// The shape of an output, and where it lies after the plan's run.
    ///
    /// # Errors
    /// `graph.output` as for `read`.
    pub(crate) fn output(&self, plan: &Plan, output: &str) -> Result<(Vec<usize>, wgpu::Buffer, u64)> {
        let (found, bindings, buffer, offset) = self.find_output(plan, output)?;
        Ok((found.shape.0.iter().map(|dim| dim.eval(&bindings)).collect(), buffer, offset))
    }

    fn find_output<'p>(&self, plan: &'p Plan, output: &str) -> Result<(&'p Output, Bindings, wgpu::Buffer, u64)> {
        let missing =
            |cause: String| Error::new("graph.output", cause, "run the plan, then read an output it declares");
        let found = plan.outputs.get(output).ok_or_else(|| missing(format!("the graph has no output {output}")))?;
        let bindings = plan.last.borrow().clone().ok_or_else(|| missing(format!("{output} was read before a run")))?;
        let is_latest = self.latest.as_ref().is_some_and(|latest| Rc::ptr_eq(latest, &plan.arenas));
        let (buffer, offset): (wgpu::Buffer, u64) = match &found.place {
            OutputPlace::Arena(..) if !is_latest => {
                return Err(missing(format!("another plan ran over {output}: plans share their temporaries")));
            }
            OutputPlace::Arena(arena, offset) => ((*self.arenas[*arena]).clone(), *offset),
            OutputPlace::Input(input) => ((*plan.inputs[*input]).clone(), 0),
            OutputPlace::State(state) => ((*self.states[*state].buffer).clone(), 0),
        };
        Ok((found, bindings, buffer, offset))
    }
}

impl Gpu {
    /// Copies a buffer to the host. What it is copied to first is kept in `staging`, for those who read often.
    pub(crate) async fn read_buffer(
        &self,
        staging: &mut Option<Buffer>,
        from: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        if staging.as_ref().is_none_or(|s| s.size() < bytes) {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            *staging = Some(self.buffer("staging", bytes, usage));
        }
        let Some(staging) = staging else { return Ok(Vec::new()) };
        let inner = &self.0;
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, offset, staging, 0, bytes);
        inner.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot();
        let slice = staging.slice(0..bytes);
        slice.map_async(wgpu::MapMode::Read, move |result| sender.send(result.is_ok()));
        let mapped = receiver.receive(&inner.device).await == Some(true);
        self.check()?;
        let unread = || {
            Error::new(
                "gpu.lost",
                "the graphics device gave no answer",
                "start again; if it is lost again, use the processor",
            )
        };
        if !mapped {
            return Err(unread());
        }
        let data = slice.get_mapped_range().map_err(|_| unread())?.to_vec();
        staging.unmap();
        Ok(data)
    }
}

fn miscounted(step: &Step) -> Error {
    Error::new(
        "gpu.graph",
        format!("{} binds {} buffers, not what its shader has", step.pipeline.kernel.name(), step.storage.len()),
        "this is a mistake; please report it",
    )
}

fn outputs(
    graph: &Graph,
    lowered: &Lowered,
    layout: &memory::Layout,
    states: &[usize],
) -> Result<HashMap<String, Output>> {
    let mut outputs = HashMap::new();
    for (name, id) in &graph.outputs {
        let place = match lowered.slots[id.0 as usize] {
            Some(Slot::Temporary(t)) => OutputPlace::Arena(layout.places[t].arena, layout.places[t].offset),
            Some(Slot::Input(i)) => OutputPlace::Input(i),
            Some(Slot::State(s)) => OutputPlace::State(states[s]),
            _ => {
                return Err(Error::new(
                    "gpu.graph",
                    format!("the output {name} is a weight or a constant"),
                    "read an output that the plan computes: this one needs no run",
                ));
            }
        };
        let node = graph.node(*id);
        let output = Output { place, shape: node.shape.clone(), is_u32: lower::is_u32(graph, *id) };
        outputs.insert(name.clone(), output);
    }
    Ok(outputs)
}

/// Lifetimes of temporaries in steps, and their places. Outputs live to the end.
fn place(graph: &Graph, lowered: &Lowered, largest: u64) -> memory::Layout {
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
        return memory::Layout::default();
    }
    memory::place(&lifetimes, &dispatches, largest)
}

impl Plan {
    /// The shape of an input, and where its values lie.
    ///
    /// # Errors
    /// `graph.input` where there is none of that name.
    pub(crate) fn input(&self, name: &str) -> Result<(Vec<usize>, &wgpu::Buffer)> {
        let at = self.graph.inputs.iter().position(|input| input.name == name).ok_or_else(|| {
            let cause = format!("the graph has no input {name}");
            Error::new("graph.input", cause, "name an input that the graph declares")
        })?;
        Ok((self.graph.inputs[at].shape.bound(&self.graph), &self.inputs[at]))
    }

    /// A frame stands for this input until a run is given its value.
    pub(crate) fn mark_written(&self, input: &str) {
        self.written.borrow_mut().insert(input.to_owned());
    }

    /// Uniforms of every dispatch for these symbols.
    fn numbers(&self, bindings: &Bindings) -> Vec<u8> {
        let mut bytes = vec![0u8; self.steps.len() * PARAMS_BYTES];
        for (step, block) in self.steps.iter().zip(bytes.chunks_exact_mut(PARAMS_BYTES)) {
            for (param, word) in step.params.iter().zip(block.chunks_exact_mut(4)) {
                word.copy_from_slice(&param.bits(bindings).to_le_bytes());
            }
        }
        bytes
    }

    /// Kernels with the tier each runs at, in order.
    pub fn kernels(&self) -> Vec<(String, Tier)> {
        self.steps.iter().map(|step| (step.pipeline.kernel.name(), step.pipeline.tier)).collect()
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

impl GpuSession {
    /// What every run begins with.
    fn start(&mut self, plan: &Plan, bindings: &Bindings, inputs: &[(&str, Value)]) -> Result<()> {
        bindings.check(&plan.graph)?;
        self.grow_states(plan, bindings)?;
        self.bind(plan)?;
        self.latest = Some(plan.arenas.clone());
        self.upload(plan, bindings, inputs)
    }

    fn upload(&self, plan: &Plan, bindings: &Bindings, inputs: &[(&str, Value)]) -> Result<()> {
        let queue = &self.gpu.0.queue;
        for (spec, buffer) in plan.graph.inputs.iter().zip(&plan.inputs) {
            let bad = |cause: String| Error::new("graph.input", cause, "give every input once, in its shape");
            let Some((_, value)) = inputs.iter().find(|(name, _)| *name == spec.name) else {
                if plan.written.borrow().contains(&spec.name) {
                    continue;
                }
                return Err(bad(format!("the input {} is missing", spec.name)));
            };
            plan.written.borrow_mut().remove(&spec.name);
            let bytes: &[u8] = match value {
                Value::F32(v) => bytemuck::cast_slice(v),
                Value::U32(v) => bytemuck::cast_slice(v),
            };
            let wanted = spec.shape.count().eval(bindings) * 4;
            if bytes.len() != wanted {
                return Err(bad(format!(
                    "the input {} has {} elements, not {}",
                    spec.name,
                    bytes.len() / 4,
                    wanted / 4
                )));
            }
            queue.write_buffer(buffer, 0, bytes);
        }
        let mut last = plan.last.borrow_mut();
        if last.as_ref() != Some(bindings) {
            if !plan.steps.is_empty() {
                queue.write_buffer(&plan.params, 0, &plan.numbers(bindings));
            }
            *last = Some(bindings.clone());
        }
        Ok(())
    }

    /// Encodes dispatches `from..` until a slice of so many operations is full, submits them, and gives the next one.
    fn submit(&self, plan: &Plan, bindings: &Bindings, from: usize, budget: u64) -> usize {
        let inner = &self.gpu.0;
        let bound = plan.bind_groups.borrow();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut spent = 0;
        let mut next = from;
        while next < plan.steps.len() && (next == from || spent < budget) {
            let (step, bind_group) = (&plan.steps[next], &bound.groups[next]);
            let [x, y] = fold(step.workgroups(bindings), inner.workgroups_limit);
            if x > 0 {
                pass.set_pipeline(&step.pipeline.pipeline);
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
            spent += step.flops;
            next += 1;
        }
        drop(pass);
        inner.queue.submit([encoder.finish()]);
        next
    }

    async fn finish(&mut self) -> Result<()> {
        let (sender, receiver) = oneshot();
        self.gpu.0.queue.on_submitted_work_done(move || sender.send(()));
        receiver.receive(&self.gpu.0.device).await;
        self.slices.finished();
        self.gpu.check()
    }

    /// Time of every dispatch in milliseconds, each submitted and awaited alone: with timestamps where the adapter has
    /// them, else by the host's clock (`now_ms`), which counts the round trip too.
    ///
    /// # Errors
    /// As `run`.
    pub async fn profile(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        now_ms: &dyn Fn() -> f64,
    ) -> Result<Vec<f64>> {
        self.start(plan, bindings, inputs)?;
        self.finish().await?;
        let groups = plan.bind_groups.borrow().groups.clone();
        let mut times = Vec::with_capacity(plan.steps.len());
        for (step, bind_group) in plan.steps.iter().zip(&groups) {
            let workgroups = step.workgroups(bindings);
            times.push(self.time_dispatch(&step.pipeline.pipeline, bind_group, workgroups, now_ms).await?);
        }
        Ok(times)
    }

    /// Milliseconds of one dispatch, submitted and awaited alone.
    pub(crate) async fn time_dispatch(
        &mut self,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
        workgroups: usize,
        now_ms: &dyn Fn() -> f64,
    ) -> Result<f64> {
        let inner = self.gpu.0.clone();
        if self.stamps.is_none() && inner.caps.timestamps {
            let query_set = inner.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            self.stamps = Some((query_set, Rc::new(self.gpu.buffer("timestamps", 16, usage))));
        }
        let stamps = self.stamps.as_ref().map(|(query_set, resolved)| (query_set.clone(), resolved.clone()));
        let start = now_ms();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let timestamp_writes = stamps.as_ref().map(|(query_set, _)| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
        let [x, y] = fold(workgroups, inner.workgroups_limit);
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        drop(pass);
        if let Some((query_set, resolved)) = &stamps {
            encoder.resolve_query_set(query_set, 0..2, resolved, 0);
        }
        inner.queue.submit([encoder.finish()]);
        let Some((_, resolved)) = stamps else {
            self.finish().await?;
            return Ok(now_ms() - start);
        };
        let bytes = self.read_buffer(&resolved, 0, 16).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let period_ns = f64::from(inner.queue.get_timestamp_period());
        Ok(ticks[1].saturating_sub(ticks[0]) as f64 * period_ns / 1e6)
    }
}

/// Compiles and tests the kernels of a fused graph.
async fn prepare(gpu: &Gpu, graph: &Graph, cancel: &Cancel) -> Result<()> {
    for kernel in lower::kernels(graph, gpu.tier())? {
        cancel.check()?;
        gpu.prepare(&[kernel]).await?;
    }
    Ok(())
}

impl Session for GpuSession {
    type Weights = GpuWeights;
    type Plan = Plan;

    async fn compile(&mut self, graph: &Graph, weights: &Rc<GpuWeights>, cancel: &Cancel) -> Result<Plan> {
        self.compile_unfused(&fuse(graph), weights, cancel).await
    }

    async fn run_reporting(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        cancel.check()?;
        self.gpu.check()?;
        self.start(plan, bindings, inputs)?;
        let total: u64 = plan.steps.iter().map(|step| step.flops).sum();
        let (mut next, mut done) = (0, 0);
        let mut pause = None;
        while next < plan.steps.len() {
            let turn = self.slices.queue.clone().turn(self.slices.class(), cancel).await?;
            drop(pause.take());
            let budget = self.slices.budget(&plan.pace);
            if self.slices.is_full(budget.min(total - done), budget) {
                self.finish().await?;
            }
            let first = next;
            next = self.submit(plan, bindings, first, budget);
            let flops = plan.steps[first..next].iter().map(|step| step.flops).sum();
            self.slices.submitted(&plan.pace, flops);
            done += flops;
            if next < plan.steps.len() {
                self.finish().await?;
                pause = Some(turn.pause());
                // Where waiting for the device blocks the thread, those who share it are heard here.
                yield_now().await;
                cancel.check()?;
            }
            progress(done, total);
        }
        self.gpu.check()
    }

    async fn peak_bytes(&mut self, graph: &Graph, weights: &Rc<GpuWeights>, cancel: &Cancel) -> Result<u64> {
        let graph = fuse(graph);
        prepare(&self.gpu, &graph, cancel).await?;
        Ok(self.draft(&graph, weights)?.bytes)
    }

    async fn read(&mut self, plan: &Plan, output: &str) -> Result<Value> {
        let (found, bindings, buffer, offset) = self.find_output(plan, output)?;
        let bytes = found.shape.count().eval(&bindings) as u64 * 4;
        let tells = self.slices.tells();
        let data = self.read_buffer(&buffer, offset, bytes).await?;
        if tells {
            self.slices.finished()
        } else {
            self.slices.forget()
        }
        Ok(if found.is_u32 {
            Value::U32(bytemuck::pod_collect_to_vec(&data))
        } else {
            Value::F32(bytemuck::pod_collect_to_vec(&data))
        })
    }

    async fn read_state(&mut self, name: &str) -> Result<Value> {
        let at = self.find_state(name)?;
        let (buffer, bytes) = ((*self.states[at].buffer).clone(), self.states[at].bytes());
        let data = self.read_buffer(&buffer, 0, bytes).await?;
        Ok(self.states[at].values(&data))
    }

    fn write_state(&mut self, name: &str, value: &Value) -> Result<()> {
        let at = self.find_state(name)?;
        let state = &mut self.states[at];
        let bytes = state.stored(value)?;
        let rows = state.spec.rows();
        self.generation += u64::from(state.fit(&self.gpu, rows)?);
        self.gpu.0.queue.write_buffer(&self.states[at].buffer, 0, &bytes);
        self.gpu.check()
    }

    fn dispatches(&self, plan: &Plan) -> usize {
        plan.steps.len()
    }
}
