//! Runs a graph on the processor: for visitors without a GPU, and as the reference every kernel is held to.
//!
//! Two modes of one executor. `Exact` keeps weights as f32, runs the graph as it is written and sums in f64 where that is
//! cheap: it is the oracle. `Fast` keeps weights as the file has them, fuses, and multiplies quantized weights by
//! activations rounded to int8 (`kernels::quantized`); it carries that error.
//!
//! What must stay true: states are written in place and slices of their leading rows are read in place; nothing is
//! allocated per token in proportion to the model; a run gives way between slices of bounded cost, so that a
//! synchronous Worker hears "stop"; no input panics.

mod arena;
mod crew;
mod frame;
mod kernels;
mod memory;
mod place;
mod plan;
mod session;
mod slices;
mod state;
mod step;
mod weights;

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use lantern_graph::{
    Account, Bindings, Cancel, Class, Clock, Description, Error, Executor, FrameSpec, Graph, Oracle, Queue, Result,
    Session as _, Value, WeightSpec,
};

use crew::Crew;
use slices::Turns;

pub use crew::{Helper, Order, Team};
pub use frame::{Frame, Surface};
pub use plan::Plan;
pub use session::Session;
pub use weights::Weights;

/// Lets the event loop run: the web edge posts itself a message and waits for it.
pub type Yield = Rc<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// f32 throughout, nothing fused: the oracle.
    Exact,
    /// Quantized weights times int8 activations, fused.
    Fast,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Exact => "exact",
            Mode::Fast => "fast",
        }
    }
}

/// The executor. Clones share one account of memory and one queue.
#[derive(Clone)]
pub struct Cpu {
    mode: Mode,
    queue: Queue,
    yields: Option<Yield>,
    slice_flops: u64,
    crew: Option<Rc<Crew>>,
    memory: Account,
    /// All sets of weights, a part of that.
    weights: Account,
}

impl Cpu {
    pub fn new(mode: Mode) -> Self {
        let memory = Account::default();
        Self {
            mode,
            queue: Queue::with_default_clock(),
            yields: None,
            slice_flops: slices::GUESS_FLOPS,
            crew: None,
            weights: memory.part(),
            memory,
        }
    }

    /// Most bytes of weights that are held at a time.
    pub fn with_weight_limit(self, bytes: u64) -> Self {
        self.weights.limit_to(Some(bytes));
        self
    }

    /// Shares products with a stored weight out over these threads. Only `Fast` does.
    pub fn with_team(mut self, team: Rc<dyn Team>) -> Self {
        self.crew = Some(Rc::new(Crew::new(team))).filter(|_| self.mode == Mode::Fast);
        self
    }

    /// Tells the time from now on. In a page it stands still without.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.queue = Queue::new(clock);
        self
    }

    /// A slice has so many floating-point operations until its plan was timed.
    pub fn with_slice(mut self, flops: u64) -> Self {
        self.slice_flops = flops;
        self
    }

    /// Awaits `yields` between slices of some 20 ms, so that whoever shares the thread is heard.
    pub fn with_yield(mut self, yields: Yield) -> Self {
        self.yields = Some(yields);
        self
    }

    /// Whose slice is next: one for all sessions of this executor.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl Executor for Cpu {
    type Weights = Weights;
    type Session = Session;

    fn describe(&self) -> Description {
        let threads = match &self.crew {
            Some(crew) => crew.threads(),
            None if cfg!(target_arch = "wasm32") => 1,
            None => candle_core::utils::barrier_pool().n_workers() + 1,
        };
        let simd = if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) { " simd128" } else { "" };
        Description {
            device: "cpu",
            tier: self.mode.name().into(),
            adapter: format!("{}{simd}, threads: {threads}", std::env::consts::ARCH),
        }
    }

    fn allocate_weights(&self, specs: &[WeightSpec]) -> Result<Weights> {
        Weights::allocate(specs, self.mode, &self.weights, self.crew.clone())
    }

    async fn write_rows(&self, weights: &Weights, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        weights.write_rows(name, first_row, bytes)
    }

    fn session(&self, class: Class) -> Session {
        Session::new(
            self.mode,
            Turns::new(&self.queue, class, self.yields.clone(), self.slice_flops),
            self.memory.part(),
            self.crew.clone(),
        )
    }

    fn account(&self) -> &Account {
        &self.memory
    }

    fn weights_account<'w>(&self, weights: &'w Weights) -> &'w Account {
        weights.account()
    }

    fn check_weights(&self, bytes: u64) -> Result<()> {
        weights::check(&self.weights, bytes)
    }
}

/// Always exact, whatever mode the executor it is asked of has.
impl Oracle for Cpu {
    fn evaluate(
        &self,
        graph: &Graph,
        bindings: &Bindings,
        weights: &[(&str, Vec<u8>)],
        inputs: &[(&str, Value)],
    ) -> Result<Vec<Value>> {
        let cpu = Cpu::new(Mode::Exact);
        let store = Rc::new(cpu.allocate_weights(&graph.weights)?);
        for (name, bytes) in weights {
            store.write_rows(name, 0, bytes)?;
        }
        at_once(async {
            let cancel = Cancel::new();
            let mut session = cpu.session(Class::Picture);
            let plan = session.compile(graph, &store, &cancel).await?;
            session.run(&plan, bindings, inputs, &cancel).await?;
            let mut outputs = Vec::with_capacity(graph.outputs.len());
            for (name, _) in &graph.outputs {
                outputs.push(session.read(&plan, name).await?);
            }
            Ok(outputs)
        })
    }

    fn picture_to_tensor(&self, spec: &FrameSpec, rgba: &[u8]) -> Result<Vec<f32>> {
        frame::picture_to_tensor(spec, rgba)
    }

    fn tensor_to_picture(&self, spec: &FrameSpec, channels: usize, values: &[f32]) -> Result<Vec<u8>> {
        frame::tensor_to_picture(spec, channels, values)
    }
}

/// The result of a future that never waits: without a yield hook nothing here does.
fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::new("cpu.pending", "a run that has nothing to wait for waits", "report this")),
    }
}
