//! The contract of executors, checked here once for all of them.
//!
//! An executor implements [`Runner`]: what it does with a graph, inputs and rows that are known to be right. [`Session`] follows
//! from that, with the checks, so none of them can be forgotten or told otherwise.
//!
//! | what | is refused with |
//! | --- | --- |
//! | a graph that reads a state past a write to it | `graph.state_order` |
//! | a node that reads a type it cannot read | `graph.dtype` |
//! | a weight that is missing, or of another shape or type; rows that are not whole or not inside | `graph.weight` |
//! | a state of one name with two shapes or storages, one that no plan has, rows that are not whole or not inside | `graph.state` |
//! | a plan of another session | `graph.plan` |
//! | symbols of another graph, or that lead a slice, a pad or a write out of what it cuts | `graph.binding` |
//! | an input that is unknown, missing though it is read, given twice, of another type or length | `graph.input` |
//! | an output that is not declared, or not there: see [`Session::read`] | `graph.output` |
//!
//! Whatever is refused changes nothing: what was there to read still is.
//!
//! Who writes an input where the plan reads it, such as a frame, asks [`find_input`] which it is, and tells the plan's [`Bond`].

mod check;
mod ledger;
mod weights;

use std::rc::Rc;

use crate::{
    Account, Bindings, Cancel, DType, Graph, Later, NodeId, Result, Session, StateSpec, Value, WeightSpec, bucket,
};

pub use ledger::{Bond, Ledger, Prepared, Stored};
pub use weights::WeightTable;

/// What an executor's session does behind the contract.
#[allow(async_fn_in_trait, reason = "one thread per engine: nothing here is Send by design")]
pub trait Runner: Sized {
    type Weights: 'static;
    /// Holds its [`Bond`] and its weights.
    type Plan: 'static;
    type State: Stored;
    /// What a plan takes of the temporaries that the session's plans share.
    type Needs;

    fn account(&self) -> &Account;
    fn ledger(&self) -> &Ledger<Self::State, Self::Needs>;
    fn ledger_mut(&mut self) -> &mut Ledger<Self::State, Self::Needs>;
    fn bond(plan: &Self::Plan) -> &Bond<Self::Needs>;

    /// Is the weight among those, as the graph wants it?
    ///
    /// # Errors
    /// `graph.weight`.
    fn find_weight(weights: &Self::Weights, wanted: &WeightSpec) -> Result<()>;

    /// The graph as this executor runs it, without dead nodes.
    fn rewrite(&self, graph: &Graph) -> Graph;

    /// Makes what a rewritten graph needs beside weights and memory, such as kernels.
    ///
    /// # Errors
    /// The executor's own; `run.cancelled`.
    async fn make_ready(&mut self, _graph: &Graph, _cancel: &Cancel) -> Result<()> {
        Ok(())
    }

    /// A state of zeros, with room for its first rows.
    ///
    /// # Errors
    /// When memory does not suffice, now or for all of its rows.
    fn make_state(&mut self, spec: &StateSpec) -> Result<Self::State>;

    /// Room for so many rows of a state; what is in it stays.
    ///
    /// # Errors
    /// When memory does not suffice.
    fn grow_state(&mut self, state: usize, rows: usize) -> Result<()>;

    /// Writes rows that there is room for, stored as the state is.
    ///
    /// # Errors
    /// The executor's own.
    fn write_rows(&mut self, state: usize, first_row: usize, values: &[f32]) -> Result<()>;

    /// The rows there is room for.
    ///
    /// # Errors
    /// The executor's own.
    async fn read_rows(&mut self, state: usize) -> Result<Vec<f32>>;

    /// A plan of a graph that is made ready, without the temporaries.
    ///
    /// # Errors
    /// What this executor cannot run; memory.
    fn record(&mut self, graph: Prepared, weights: &Rc<Self::Weights>) -> Result<Self::Plan>;

    /// Temporaries for the plans that are alive, no larger than they need. Where `keep` is set, what is in them stays, or they
    /// are left as they are: a run asks again.
    ///
    /// # Errors
    /// When memory does not suffice.
    fn fit(&mut self, keep: bool) -> Result<()>;

    /// Bytes that the temporaries would take with a plan of this graph beside those that are alive, and what is the plan's own.
    ///
    /// # Errors
    /// As `record`.
    fn measure(&mut self, graph: &Graph, weights: &Rc<Self::Weights>) -> Result<u64>;

    /// Runs the plan in slices. `inputs` are in the graph's order; `None` are those that nothing reads, or that were written where
    /// the plan reads them.
    ///
    /// # Errors
    /// `run.cancelled`; the executor's own.
    async fn execute(
        &mut self,
        plan: &Self::Plan,
        bindings: &Bindings,
        inputs: &[Option<&Value>],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()>;

    /// An output of the run that came to its end last, with the symbols it was bound to.
    ///
    /// # Errors
    /// The executor's own.
    async fn fetch(&mut self, plan: &Self::Plan, output: NodeId, bindings: &Bindings) -> Result<Value>;

    /// Copies an output of the run that came to its end last into an input with room for it, and begins to bring it to the host.
    /// `None`, and nothing is copied, where outputs are on the host.
    ///
    /// # Errors
    /// The executor's own.
    fn hand_over(
        &mut self,
        _from: &Self::Plan,
        _output: NodeId,
        _bindings: &Bindings,
        _to: &Self::Plan,
        _input: usize,
    ) -> Result<Option<Later>> {
        Ok(None)
    }

    /// Dispatches or operations of one run.
    fn steps(plan: &Self::Plan) -> usize;
}

/// A plan of a graph that is rewritten and made ready.
///
/// # Errors
/// As `Session::compile`.
pub fn record<R: Runner>(runner: &mut R, graph: Graph, weights: &Rc<R::Weights>) -> Result<R::Plan> {
    check::weights(&graph, |wanted| R::find_weight(weights, wanted))?;
    let known = runner.ledger().states().len();
    let plan = open_states(runner, &graph).and_then(|states| {
        let prepared = Prepared::new(runner.ledger(), graph, states);
        runner.record(prepared, weights)
    });
    let recorded = plan.and_then(|plan| {
        runner.ledger_mut().add(R::bond(&plan));
        let keep = runner.ledger_mut().is_readable();
        runner.fit(keep).map(|()| plan)
    });
    if recorded.is_err() {
        // States that only the plan would have had.
        runner.ledger_mut().forget_states(known);
    }
    recorded
}

/// What every run begins with. Gives the inputs in the graph's order.
///
/// # Errors
/// As `Session::run`.
pub fn begin<'v, R: Runner>(
    runner: &mut R,
    plan: &R::Plan,
    bindings: &Bindings,
    inputs: &'v [(&str, Value)],
) -> Result<Vec<Option<&'v Value>>> {
    let bond = R::bond(plan);
    runner.ledger().own(bond)?;
    bindings.check(bond.graph())?;
    check::ranges(bond.graph(), bindings)?;
    let inputs = check::inputs(bond.graph(), bindings, inputs, &bond.written())?;
    // One after the other, since a state that moves is there twice.
    for touch in bond.touches() {
        make_room(runner, bond.states()[touch.state], touch.end(bindings))?;
    }
    runner.ledger_mut().begun();
    bond.replace_inputs(&inputs);
    runner.fit(false)?;
    Ok(inputs)
}

/// The run came to its end: there is something to read.
pub fn end<R: Runner>(runner: &mut R, plan: &R::Plan, bindings: &Bindings) {
    runner.ledger_mut().ended(R::bond(plan), bindings);
}

/// The input of a plan of this session that holds a picture, or other numbers that are written where the plan reads them.
///
/// # Errors
/// `graph.plan`; `graph.input` where there is none of that name, or it is not f32.
pub fn find_input<R: Runner>(runner: &R, plan: &R::Plan, name: &str) -> Result<usize> {
    let bond = R::bond(plan);
    runner.ledger().own(bond)?;
    check::float_input(bond.graph(), name)
}

/// An output there is to read, and what the plan was bound to.
///
/// # Errors
/// As `Session::read`.
pub fn find_output<R: Runner>(runner: &R, plan: &R::Plan, output: &str) -> Result<(NodeId, Bindings)> {
    let bond = R::bond(plan);
    runner.ledger().own(bond)?;
    let id = bond.graph().find_output(output)?;
    Ok((id, runner.ledger().last_run(bond, output)?))
}

/// The graph as the executor runs it, checked.
fn rewrite<R: Runner>(runner: &R, graph: &Graph) -> Result<Graph> {
    graph.check_state_order()?;
    let graph = runner.rewrite(graph);
    check::types(&graph)?;
    Ok(graph)
}

/// Where the graph's states stand in the session; those that are new are made.
fn open_states<R: Runner>(runner: &mut R, graph: &Graph) -> Result<Vec<usize>> {
    let mut states = Vec::with_capacity(graph.states.len());
    for spec in &graph.states {
        states.push(match runner.ledger().known_state(spec)? {
            Some(at) => at,
            None => {
                let state = runner.make_state(spec)?;
                runner.ledger_mut().push_state(state)
            }
        });
    }
    Ok(states)
}

fn make_room<R: Runner>(runner: &mut R, state: usize, needed: usize) -> Result<()> {
    let known = &runner.ledger().states()[state];
    let (have, rows) = (known.rows(), bucket(known.spec(), known.rows(), needed)?);
    if rows > have { runner.grow_state(state, rows) } else { Ok(()) }
}

/// Writes whole rows that are inside the state.
fn write<R: Runner>(runner: &mut R, state: usize, first_row: usize, values: &[f32]) -> Result<()> {
    let rows = values.len() / runner.ledger().states()[state].spec().row_elements().max(1);
    make_room(runner, state, first_row + rows)?;
    runner.write_rows(state, first_row, values)
}

impl<R: Runner> Session for R {
    type Weights = R::Weights;
    type Plan = R::Plan;

    fn account(&self) -> &Account {
        Runner::account(self)
    }

    async fn compile(&mut self, graph: &Graph, weights: &Rc<R::Weights>, cancel: &Cancel) -> Result<R::Plan> {
        cancel.check()?;
        let graph = rewrite(self, graph)?;
        check::weights(&graph, |wanted| R::find_weight(weights, wanted))?;
        self.make_ready(&graph, cancel).await?;
        record(self, graph, weights)
    }

    async fn run_reporting(
        &mut self,
        plan: &R::Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        cancel.check()?;
        let inputs = begin(self, plan, bindings, inputs)?;
        self.execute(plan, bindings, &inputs, cancel, progress).await?;
        end(self, plan, bindings);
        Ok(())
    }

    async fn peak_bytes(&mut self, graph: &Graph, weights: &Rc<R::Weights>, cancel: &Cancel) -> Result<u64> {
        cancel.check()?;
        let graph = rewrite(self, graph)?;
        check::weights(&graph, |wanted| R::find_weight(weights, wanted))?;
        self.make_ready(&graph, cancel).await?;
        self.measure(&graph, weights)
    }

    async fn read(&mut self, plan: &R::Plan, output: &str) -> Result<Value> {
        let (id, bindings) = find_output(self, plan, output)?;
        self.fetch(plan, id, &bindings).await
    }

    fn feed(&mut self, from: &R::Plan, output: &str, to: &R::Plan, input: &str) -> Result<Option<Later>> {
        let (id, bindings) = find_output(self, from, output)?;
        self.ledger().own(R::bond(to))?;
        let graph = R::bond(from).graph();
        let (dtype, elements) = (graph.node(id).dtype, graph.shape(id).count().eval(&bindings));
        let at = check::fed_input(R::bond(to).graph(), input, dtype, elements)?;
        let later = self.hand_over(from, id, &bindings, to, at)?;
        if later.is_some() {
            R::bond(to).input_stands(at, elements);
        }
        Ok(later)
    }

    async fn read_state(&mut self, name: &str) -> Result<Value> {
        let state = self.ledger().find_state(name)?;
        let mut values = self.read_rows(state).await?;
        // What was not touched yet is zeros.
        values.resize(self.ledger().states()[state].spec().elements(), 0.0);
        Ok(Value::F32(values))
    }

    fn write_state(&mut self, name: &str, value: &Value) -> Result<()> {
        let state = self.ledger().find_state(name)?;
        let values = check::state_value(self.ledger().states()[state].spec(), value)?;
        write(self, state, 0, values)
    }

    fn write_state_rows(&mut self, name: &str, first_row: usize, dtype: DType, bytes: &[u8]) -> Result<()> {
        let state = self.ledger().find_state(name)?;
        let values = check::state_rows(self.ledger().states()[state].spec(), first_row, dtype, bytes)?;
        write(self, state, first_row, &values)
    }

    fn dispatches(&self, plan: &R::Plan) -> usize {
        R::steps(plan)
    }
}
