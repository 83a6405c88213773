//! Sessions: states, arenas, and plans recorded once and replayed with new numbers.
//!
//! | file | what |
//! | --- | --- |
//! | `plan.rs` | a graph, lowered and recorded: everything a run needs but the arenas |
//! | `arenas.rs` | temporaries of whichever plan runs |
//! | `bind.rs` | which buffers a dispatch binds |
//! | `run.rs` | inputs and numbers up, dispatches out, in slices |
//! | `read.rs` | results back |
//! | `timing.rs` | how long each dispatch of a run takes |
//! | `work.rs` | what each dispatch has to do, whatever the adapter |

mod arenas;
mod bind;
mod plan;
mod read;
mod run;
mod timing;
mod work;

use std::cell::RefCell;
use std::rc::Rc;

use lantern_graph::contract::{self, Bond, Ledger, Prepared, Runner, Stored};
use lantern_graph::{
    Account, Bindings, Cancel, Class, Error, Graph, Later, NodeId, Result, StateSpec, Value, WeightSpec, fuse,
};

use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::lower;
use crate::memory::Buffer;
use crate::slices::Slices;
use crate::state::State;
use crate::weights::GpuWeights;
use arenas::Arenas;
pub use plan::Plan;
pub use timing::DispatchTimes;
use timing::Stamps;
pub use work::Work;

/// What kernels read and write and the host may read back or fill.
pub(crate) const DATA: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// States, plans, and the arenas that they share.
pub struct GpuSession {
    gpu: Gpu,
    slices: Slices,
    ledger: Ledger<State, Vec<u64>>,
    arenas: Arenas,
    /// Counts how often an arena or a state was made anew; bind groups of an older count are made again.
    generation: u64,
    /// Where results are copied to be read; kept, since a chat reads a few bytes per token.
    staging: Option<Buffer>,
    /// Where outputs go that are read while other runs begin; kept too.
    landing: Rc<RefCell<Vec<Buffer>>>,
    /// For timing single dispatches; made when first asked for.
    stamps: Option<Stamps>,
    /// The kernel that a plan is recorded for.
    only: Option<Kernel>,
}

impl GpuSession {
    pub(crate) fn new(gpu: &Gpu, class: Class) -> GpuSession {
        GpuSession {
            gpu: gpu.part(),
            slices: Slices::new(gpu.queue(), class),
            ledger: Ledger::default(),
            arenas: Arenas::default(),
            generation: 0,
            staging: None,
            landing: Rc::default(),
            stamps: None,
            only: None,
        }
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub fn class(&self) -> Class {
        self.slices.class()
    }

    /// Which of the plan's inputs that is, its shape, and where its values lie.
    ///
    /// # Errors
    /// `graph.plan`; `graph.input` where there is none of f32 with that name.
    pub(crate) fn input<'p>(&self, plan: &'p Plan, name: &str) -> Result<(usize, Vec<usize>, &'p wgpu::Buffer)> {
        let at = contract::find_input(self, plan, name)?;
        Ok((at, plan.graph.inputs[at].shape.bound(&plan.graph), &plan.inputs[at]))
    }

    /// Records a graph as it is, its kernels made ready: a self-test or a race asks for one kernel and must get that one, whatever
    /// the shapes would say.
    pub(crate) fn record_as_it_is(&mut self, graph: &Graph, weights: &Rc<GpuWeights>, only: Kernel) -> Result<Plan> {
        self.only = Some(only);
        let plan = contract::record(self, graph.clone(), weights);
        self.only = None;
        plan
    }
}

/// Compiles and tests the kernels of a fused graph.
pub(crate) async fn make_ready(gpu: &Gpu, graph: &Graph, cancel: &Cancel) -> Result<()> {
    for kernel in lower::kernels(graph, gpu.tier())? {
        cancel.check()?;
        match gpu.prepare(&[kernel]).await {
            Err(e) if !(e.code == "gpu.kernel" && kernel.is_spare()) => return Err(e),
            _ => (),
        }
    }
    Ok(())
}

fn check_size(what: &str, bytes: u64, limit: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(
        "gpu.too_large",
        format!("{what} takes {bytes} bytes, over this adapter's limit of {limit}"),
        "use a shorter context, a smaller picture, or the processor",
    ))
}

impl Runner for GpuSession {
    type Weights = GpuWeights;
    type Plan = Plan;
    type State = State;
    /// Bytes of each arena.
    type Needs = Vec<u64>;

    fn account(&self) -> &Account {
        &self.gpu.1
    }

    fn ledger(&self) -> &Ledger<State, Vec<u64>> {
        &self.ledger
    }

    fn ledger_mut(&mut self) -> &mut Ledger<State, Vec<u64>> {
        &mut self.ledger
    }

    fn bond(plan: &Plan) -> &Bond<Vec<u64>> {
        &plan.bond
    }

    fn find_weight(weights: &GpuWeights, wanted: &WeightSpec) -> Result<()> {
        weights.get(wanted).map(|_| ())
    }

    fn rewrite(&self, graph: &Graph) -> Graph {
        fuse(graph)
    }

    async fn make_ready(&mut self, graph: &Graph, cancel: &Cancel) -> Result<()> {
        make_ready(&self.gpu, graph, cancel).await
    }

    fn make_state(&mut self, spec: &StateSpec) -> Result<State> {
        // Also where it starts small: a conversation is not to break off in its middle.
        let limit = self.gpu.0.binding_limit.min(self.gpu.0.buffer_limit);
        check_size(&spec.name, spec.bytes(spec.rows()), limit)?;
        self.gpu.check_memory(&spec.name, spec.bytes(spec.first_rows()))?;
        Ok(State::new(&self.gpu, spec))
    }

    fn grow_state(&mut self, state: usize, rows: usize) -> Result<()> {
        let spec = self.ledger.states()[state].spec();
        // What is there stays until it has moved.
        self.gpu.check_memory(&spec.name, spec.bytes(rows))?;
        self.ledger.states_mut()[state].grow(&self.gpu, rows);
        self.generation += 1;
        self.gpu.check()
    }

    fn write_rows(&mut self, state: usize, first_row: usize, values: &[f32]) -> Result<()> {
        self.ledger.states()[state].write(&self.gpu, first_row, values);
        self.gpu.check()
    }

    async fn read_rows(&mut self, state: usize) -> Result<Vec<f32>> {
        let (buffer, bytes) = self.ledger.states()[state].stored();
        let data = self.read_buffer(&buffer, 0, bytes).await?;
        Ok(self.ledger.states()[state].values(&data))
    }

    fn record(&mut self, graph: Prepared, weights: &Rc<GpuWeights>) -> Result<Plan> {
        let plan = Plan::record(&self.gpu, graph, weights, self.only)?;
        self.gpu.check()?;
        Ok(plan)
    }

    fn fit(&mut self, keep: bool) -> Result<()> {
        let sizes = arenas::sizes(self.ledger.needs());
        if self.arenas.sizes() != sizes && !keep {
            let (have, wanted): (u64, u64) = (self.arenas.sizes().iter().sum(), sizes.iter().sum());
            self.gpu.check_memory("what is computed", wanted.saturating_sub(have))?;
            self.arenas.fit(&self.gpu, sizes);
            self.generation += 1;
        }
        self.gpu.check()
    }

    fn measure(&mut self, graph: &Graph, weights: &Rc<GpuWeights>) -> Result<u64> {
        let (arenas, own) = plan::measure(&self.gpu, graph, weights)?;
        let shared: u64 = arenas::sizes(self.ledger.needs().chain([Rc::new(arenas)])).iter().sum();
        Ok(shared + own)
    }

    async fn execute(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[Option<&Value>],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        self.start(plan, bindings, inputs)?;
        self.replay(plan, bindings, cancel, progress).await
    }

    async fn fetch(&mut self, plan: &Plan, output: NodeId, bindings: &Bindings) -> Result<Value> {
        let tells = self.slices.tells();
        let value = self.read_output(plan, output, bindings).await?;
        if tells {
            self.slices.finished();
        } else {
            self.slices.forget();
        }
        Ok(value)
    }

    fn hand_over(
        &mut self,
        from: &Plan,
        output: NodeId,
        bindings: &Bindings,
        to: &Plan,
        input: usize,
    ) -> Result<Option<Later>> {
        self.copy_over(from, output, bindings, to, input)
    }

    fn steps(plan: &Plan) -> usize {
        plan.steps.len()
    }
}
