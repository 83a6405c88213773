//! What runs a graph. `lantern-cpu` and `lantern-gpu` implement these traits; everything above is generic over them.
//!
//! Nothing here is `Send` but [`Cancel`]: in the page it all lives in one Worker, and the browser's handles cannot leave it.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::{Account, Bindings, Class, DType, Error, FrameSpec, Graph, Result, WeightSpec};

/// Shared "stop" flag. Executors look at it between slices of work, loops between tokens. Any thread may raise it: a signal
/// handler has one of its own.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    raised: AtomicBool,
    /// Who waits and wants to hear of it.
    wakers: Mutex<Vec<Waker>>,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it, and wakes whoever waits with it.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::SeqCst);
        let wakers = self.0.wakers.lock().map(|mut wakers| std::mem::take(&mut *wakers)).unwrap_or_default();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Wakes that task once `cancel` is called. Look at it after this, not before.
    pub fn wake(&self, waker: &Waker) {
        if let Ok(mut wakers) = self.0.wakers.lock()
            && !wakers.iter().any(|known| known.will_wake(waker))
        {
            wakers.push(waker.clone());
        }
    }

    /// # Errors
    /// `run.cancelled` once `cancel` was called.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }
}

/// A tensor's elements on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    F32(Vec<f32>),
    U32(Vec<u32>),
}

impl Value {
    pub fn dtype(&self) -> DType {
        match self {
            Value::F32(_) => DType::F32,
            Value::U32(_) => DType::U32,
        }
    }

    /// Of elements.
    pub fn len(&self) -> usize {
        match self {
            Value::F32(values) => values.len(),
            Value::U32(ids) => ids.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Errors
    /// `graph.dtype` when it holds ids.
    pub fn into_f32(self) -> Result<Vec<f32>> {
        match self {
            Value::F32(v) => Ok(v),
            Value::U32(_) => Err(Error::new("graph.dtype", "a u32 value was asked for as f32", "read it as u32")),
        }
    }

    /// # Errors
    /// `graph.dtype` when it holds floats.
    pub fn into_u32(self) -> Result<Vec<u32>> {
        match self {
            Value::U32(v) => Ok(v),
            Value::F32(_) => Err(Error::new("graph.dtype", "an f32 value was asked for as u32", "read it as f32")),
        }
    }
}

/// An output on its way to the host: see [`Session::feed`].
pub type Later = Pin<Box<dyn Future<Output = Result<Value>>>>;

/// Where the work runs, in words for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// `exact`, `fast`; `software`, `core`, `subgroups`, `dot`.
    pub tier: String,
    /// The adapter's or the processor path's name.
    pub adapter: String,
}

/// Rows that keep a processor busy, and a GPU that is one.
pub const FEW_ROWS: usize = 64;
/// Rows that keep a graphics card busy: at 64, weights are read eight times as often, and a product of 2,048 columns makes 64
/// workgroups where a card holds thousands.
pub const MANY_ROWS: usize = 512;

/// A device that can hold weights and make sessions over them.
#[allow(async_fn_in_trait, reason = "one thread per engine: nothing here is Send by design")]
pub trait Executor: 'static {
    /// Weights by name, in the executor's own layout; a set of none by default, for graphs without weights.
    type Weights: Default + 'static;
    type Session: Session<Weights = Self::Weights> + 'static;

    fn describe(&self) -> Description;

    /// What is not as it was asked for, so far; the work goes on all the same.
    fn notices(&self) -> Vec<Error> {
        Vec::new()
    }

    /// Storage for weights, as zeros: `[rows, …]` each, in the executor's own layout.
    ///
    /// # Errors
    /// `graph.weight` for a name that comes twice, a shape without elements, rows that are not whole blocks, and u32;
    /// `cpu.memory`, `gpu.too_large` when they cannot fit, with the numbers.
    fn allocate_weights(&self, specs: &[WeightSpec]) -> Result<Self::Weights>;

    /// Fills whole rows of one weight, from `first_row` on, with a file's bytes of its type, repacking them. Called in chunks of at
    /// most 8 MiB, in any order; rows that were filled may be filled again, and plans see that in their next run.
    ///
    /// # Errors
    /// `graph.weight` when there is none of that name, or the bytes are not whole rows inside it; `gpu.weight` for blocks whose
    /// scale no half holds; `gpu.lost`.
    async fn write_rows(&self, weights: &Self::Weights, name: &str, first_row: usize, bytes: &[u8]) -> Result<()>;

    /// Makes what `graph` needs beside its weights, such as kernels, while those may still be on their way: `compile` finds it
    /// done. Nothing, where an executor makes nothing that takes its time.
    ///
    /// # Errors
    /// As `compile`, which fails in the same way.
    async fn warm(&self, _graph: &Graph, _cancel: &Cancel) -> Result<()> {
        Ok(())
    }

    /// A session without any state or plan yet. Dropping it frees what it has come to by then.
    fn session(&self, class: Class) -> Self::Session;

    /// Bytes of device memory held now by everything this executor made.
    fn memory_bytes(&self) -> u64 {
        self.account().bytes()
    }

    /// All that this executor made: sessions and weights are parts of it. Its limit is the budget: what would go over it is
    /// refused before it is had, with `gpu.memory` or `cpu.memory`.
    fn account(&self) -> &Account;

    /// What a set of weights holds.
    fn weights_account<'w>(&self, weights: &'w Self::Weights) -> &'w Account;

    /// Rows of a product that keep it busy: as many as a language model's prompt runs in at once.
    fn rows_at_once(&self) -> usize {
        FEW_ROWS
    }

    /// Whether weights of so many bytes more may be had beside all that are there: asked before they are fetched.
    ///
    /// # Errors
    /// As `allocate_weights`.
    fn check_weights(&self, bytes: u64) -> Result<()>;
}

/// States, plans that read and write them, and one set of temporaries for all of its plans.
///
/// A plan holds the weights it was compiled with. So a session serves several sets, and each goes as soon as whoever loaded it
/// and all plans over it are gone: a text encoder's before the network runs that its result is for.
///
/// An executor implements [`Runner`](crate::contract::Runner), and is a session by that.
#[allow(async_fn_in_trait, reason = "one thread per engine: nothing here is Send by design")]
pub trait Session {
    type Weights: 'static;
    type Plan: 'static;

    /// What it holds of its own: states, temporaries, what its plans need beside weights.
    fn account(&self) -> &Account;

    /// Makes a graph ready to run. States are found by name: two plans of one session share them. What there is to read stays.
    ///
    /// # Errors
    /// `graph.weight` when one is missing or of another shape or type; `graph.state` when the session has one of a state's name in
    /// another shape or storage; `graph.state_order`; `graph.dtype`; `gpu.graph` for what has no kernel; `gpu.too_large`,
    /// `cpu.memory`; `gpu.lost`; `run.cancelled`.
    async fn compile(&mut self, graph: &Graph, weights: &Rc<Self::Weights>, cancel: &Cancel) -> Result<Self::Plan>;

    /// Runs the plan, in slices of bounded cost with `cancel` heard between them. Every input that the graph reads is given
    /// once, of its type, with as many elements as its shape has with these symbols. A run that is refused changes nothing; one
    /// that ends early, by `cancel` or an error, may have written some of its states.
    ///
    /// # Errors
    /// `graph.plan` for a plan of another session; `graph.input`; `graph.binding` for symbols of another graph, or that lead a
    /// slice, a pad or a write out of what it cuts; `run.cancelled`; `cpu.memory`; `gpu.lost`.
    async fn run(
        &mut self,
        plan: &Self::Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
    ) -> Result<()> {
        self.run_reporting(plan, bindings, inputs, cancel, &mut |_, _| {}).await
    }

    /// `run`, telling after each slice how many of how many floating-point operations are done.
    ///
    /// # Errors
    /// As `run`.
    async fn run_reporting(
        &mut self,
        plan: &Self::Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()>;

    /// Bytes of device memory that this session's temporaries would take with a plan of this graph, known before any of
    /// it is allocated. Plans of one session share them: the peak counts, not the sum.
    ///
    /// # Errors
    /// As `compile`.
    async fn peak_bytes(&mut self, graph: &Graph, weights: &Rc<Self::Weights>, cancel: &Cancel) -> Result<u64>;

    /// An output of the plan's last run, trimmed to the symbols' values then; one that is a state or a weight shows it as it is
    /// now. It is there once the run came to its end, and until another run of the session begins: they share their temporaries.
    ///
    /// # Errors
    /// `graph.plan` for a plan of another session; `graph.output` when it is not declared or not there; `gpu.lost`.
    async fn read(&mut self, plan: &Self::Plan, output: &str) -> Result<Value>;

    /// Makes an output that is there to read what `to`'s next run takes for an input, where the device keeps it: that run may begin
    /// before the output has come to the host, which it does meanwhile. What is given back tells its value, whatever else runs.
    /// `None` where the executor computes on the host anyway: read it, and give it.
    ///
    /// # Errors
    /// As `read`; `graph.input` when `to` has no such input, or one of another type or with less room; `gpu.lost`.
    fn feed(&mut self, _from: &Self::Plan, _output: &str, _to: &Self::Plan, _input: &str) -> Result<Option<Later>> {
        Ok(None)
    }

    /// All elements of a state as f32, `[rows, …]`: zeros where nothing was written.
    ///
    /// # Errors
    /// `graph.state` when no plan compiled so far has one of that name; `gpu.lost`.
    async fn read_state(&mut self, name: &str) -> Result<Value>;

    /// Writes all elements of a state, `[rows, …]` of f32, rounded to what it is stored as.
    ///
    /// # Errors
    /// `graph.state` when no plan compiled so far has one of that name, or it has more or fewer elements; `cpu.memory`;
    /// `gpu.lost`.
    fn write_state(&mut self, name: &str, value: &Value) -> Result<()>;

    /// Writes whole rows of a state, from `first_row` on, out of a file's bytes: f32, f16 or bf16, rounded to what the state is
    /// stored as. Called in chunks of at most 8 MiB.
    ///
    /// # Errors
    /// `graph.dtype` for other types; `graph.state` when no plan compiled so far has one of that name, or the bytes are not whole
    /// rows inside it; `cpu.memory`; `gpu.lost`.
    fn write_state_rows(&mut self, name: &str, first_row: usize, dtype: DType, bytes: &[u8]) -> Result<()>;

    /// Dispatches (GPU) or operations (CPU) one run takes.
    fn dispatches(&self, plan: &Self::Plan) -> usize;
}

/// Evaluates a graph on the host at once: what a kernel's self-test is held to. `lantern-cpu`'s `exact` mode is the only one.
pub trait Oracle {
    /// Inputs by name; the weights as file bytes by name; the outputs in the graph's order.
    ///
    /// # Errors
    /// When the inputs do not fit the graph.
    fn evaluate(
        &self,
        graph: &Graph,
        bindings: &Bindings,
        weights: &[(&str, Vec<u8>)],
        inputs: &[(&str, Value)],
    ) -> Result<Vec<Value>>;

    /// The tensor that a picture of bytes becomes, `[1, height, width, channels]`: `spec`'s definition.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit` for another number of bytes.
    fn picture_to_tensor(&self, spec: &FrameSpec, rgba: &[u8]) -> Result<Vec<f32>>;

    /// The bytes, `[height, width, 4]`, that a tensor of so many channels becomes: `spec`'s definition.
    ///
    /// # Errors
    /// `frame.spec`; `frame.unfit` for another number of values.
    fn tensor_to_picture(&self, spec: &FrameSpec, channels: usize, values: &[f32]) -> Result<Vec<u8>>;
}
