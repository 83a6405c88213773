//! States, and runs over them in slices of bounded cost.

use std::collections::HashMap;
use std::rc::{Rc, Weak};

use lantern_graph::{Bindings, Cancel, Class, DType, Error, Graph, Result, StateSpec, Value, bucket};

use crate::arena::Arena;
use crate::f16;
use crate::frame::Tensor;
use crate::memory::{Account, Held, filled, reserve};
use crate::place::{Needs, place};
use crate::plan::{Plan, find_weights, prepare};
use crate::slices::Turns;
use crate::step::{Run, Scratch, check_ranges};
use crate::{Mode, Weights};

/// Values are f32 whatever the state is stored as, since they are read in place; those of a state of halves are rounded.
pub(crate) struct State {
    pub spec: StateSpec,
    /// Of the rows there is room for.
    pub values: Vec<f32>,
    held: Held,
}

impl State {
    fn rows(&self) -> usize {
        self.values.len() / self.spec.row_elements().max(1)
    }

    /// Makes room for so many rows, as zeros.
    fn grow(&mut self, rows: usize, memory: &Account) -> Result<()> {
        let len = rows * self.spec.row_elements();
        reserve(&self.spec.name, &mut self.values, len)?;
        self.values.resize(len.max(self.values.len()), 0.0);
        self.held = memory.hold(size_of_val(&self.values[..]) as u64);
        Ok(())
    }
}

pub struct Session {
    mode: Mode,
    turns: Turns,
    memory: Account,
    identity: Rc<()>,
    states: Vec<State>,
    arena: Arena,
    /// What the plans that are still there need of the arena.
    plans: Vec<Weak<Needs>>,
    /// The plan whose run came to its end last, and what it was bound to: its outputs are in the arena.
    ran: Option<(Weak<Needs>, Bindings)>,
    scratch: Scratch,
}

impl Session {
    pub(crate) fn new(mode: Mode, turns: Turns, memory: Account) -> Session {
        Session {
            mode,
            turns,
            arena: Arena::new(&memory),
            memory,
            identity: Rc::new(()),
            states: Vec::new(),
            plans: Vec::new(),
            ran: None,
            scratch: Scratch::default(),
        }
    }

    pub fn class(&self) -> Class {
        self.turns.class()
    }

    pub(crate) fn own(&self, plan: &Plan) -> Result<()> {
        if Rc::ptr_eq(&plan.session, &self.identity) {
            return Ok(());
        }
        Err(Error::new("cpu.plan", "the plan belongs to another session", "compile the graph in this session"))
    }

    /// The most that a plan which is still there needs.
    fn needs(&mut self) -> Needs {
        self.plans.retain(|plan| plan.strong_count() > 0);
        let plans = self.plans.iter().filter_map(Weak::upgrade);
        plans.fold(Needs::default(), |all, plan| all.either(*plan))
    }

    /// Where the graph's states stand here; those that are new are made, as zeros.
    fn find_states(&mut self, graph: &Graph) -> Result<Vec<usize>> {
        let mut found = Vec::with_capacity(graph.states.len());
        for spec in &graph.states {
            let index = match self.states.iter().position(|state| state.spec.name == spec.name) {
                Some(index) if self.states[index].spec == *spec => index,
                Some(index) => {
                    return Err(state_error(format!(
                        "{} is {:?} here, the graph wants {spec:?}",
                        spec.name, self.states[index].spec
                    )));
                }
                None => {
                    let values = filled(&spec.name, spec.first_rows() * spec.row_elements(), 0.0)?;
                    let held = self.memory.hold(size_of_val(&values[..]) as u64);
                    self.states.push(State { spec: spec.clone(), values, held });
                    self.states.len() - 1
                }
            };
            found.push(index);
        }
        Ok(found)
    }

    /// Room in the growing states for what a run touches: one after the other, since a state that moves is there twice.
    fn grow_states(&mut self, plan: &Plan, bindings: &Bindings) -> Result<()> {
        for touch in &plan.touches {
            let state = &mut self.states[plan.states[touch.state]];
            let have = state.rows();
            let rows = bucket(&state.spec, have, touch.end(bindings))?;
            if rows > have {
                state.grow(rows, &self.memory)?;
            }
        }
        Ok(())
    }

    fn state(&mut self, name: &str) -> Result<&mut State> {
        let missing = || state_error(format!("no compiled plan has a state {name}"));
        self.states.iter_mut().find(|state| state.spec.name == name).ok_or_else(missing)
    }
}

/// The values of a run's inputs in the graph's order. Those that nothing reads, or that a frame was written to, may be left out.
fn match_inputs<'v>(
    plan: &Plan,
    bindings: &Bindings,
    inputs: &'v [(&str, Value)],
    written: &'v HashMap<usize, Rc<Tensor>>,
) -> Result<Vec<Option<&'v Value>>> {
    let bad = |cause: String| Error::new("cpu.input", cause, "give every input of the graph once, in its shape");
    let specs = &plan.graph.inputs;
    if let Some((name, _)) = inputs.iter().find(|(name, _)| specs.iter().all(|spec| spec.name != *name)) {
        return Err(bad(format!("the graph has no input {name}")));
    }
    let mut found = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let mut given = inputs.iter().filter(|(name, _)| *name == spec.name).map(|(_, value)| value);
        let value = given.next();
        if given.next().is_some() {
            return Err(bad(format!("input {} is given twice", spec.name)));
        }
        let value = value.or_else(|| written.get(&i).map(|tensor| &tensor.value));
        let wanted = spec.shape.count().eval(bindings);
        match value {
            Some(Value::F32(v)) if spec.dtype == DType::F32 && v.len() == wanted => {}
            Some(Value::U32(v)) if spec.dtype == DType::U32 && v.len() == wanted => {}
            Some(value) => {
                let (dtype, len) = match value {
                    Value::F32(v) => (DType::F32, v.len()),
                    Value::U32(v) => (DType::U32, v.len()),
                };
                return Err(bad(format!(
                    "input {} takes {wanted} of {}, {len} of {} were given",
                    spec.name,
                    spec.dtype.name(),
                    dtype.name()
                )));
            }
            None if plan.graph.nodes.iter().any(|node| node.op == lantern_graph::Op::Input(i)) => {
                return Err(bad(format!("input {} is not given", spec.name)));
            }
            None => {}
        }
        found.push(value);
    }
    Ok(found)
}

impl lantern_graph::Session for Session {
    type Weights = Weights;
    type Plan = Plan;

    async fn compile(&mut self, graph: &Graph, weights: &Rc<Weights>, cancel: &Cancel) -> Result<Plan> {
        cancel.check()?;
        let graph = prepare(graph, self.mode)?;
        let states = self.find_states(&graph)?;
        let plan = Plan::new(graph, self.mode, weights, states, &self.identity, self.turns.pace())?;
        self.plans.push(Rc::downgrade(&plan.needs));
        let needs = self.needs();
        self.arena.fit(needs, self.ran.is_some())?;
        Ok(plan)
    }

    async fn run_reporting(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        self.own(plan)?;
        bindings.check(&plan.graph)?;
        check_ranges(plan, bindings)?;
        let written = plan.written.beside(&plan.graph.inputs, inputs);
        let inputs = match_inputs(plan, bindings, inputs, &written)?;
        self.grow_states(plan, bindings)?;
        self.ran = None;
        // A plan that could not be had may have left less.
        let needs = self.needs();
        self.arena.fit(needs, false)?;
        let weights = plan.rows();
        let mut run = Run {
            plan,
            bindings,
            inputs: &inputs,
            weights: &weights,
            states: &mut self.states,
            arena: &mut self.arena,
        };
        let total = plan
            .steps
            .iter()
            .try_fold(0u64, |sum, id| Ok::<_, Error>(sum.saturating_add(run.env().cost(*id)?.total())))?;
        let mut finished = 0u64;
        let mut slices = self.turns.slices(&plan.pace);
        for id in &plan.steps {
            let cost = run.env().cost(*id)?;
            let mut done = 0;
            while done < cost.units {
                let left = slices.left(cancel, || progress(finished, total)).await? / cost.flops_per_unit.max(1);
                let until = cost.units.min(done.saturating_add(cost.round(left as usize)));
                run.step(*id, done..until, &mut self.scratch)?;
                let flops = (until - done) as u64 * cost.flops_per_unit;
                slices.done(flops);
                finished = finished.saturating_add(flops);
                done = until;
            }
        }
        drop(slices);
        progress(total, total);
        self.ran = Some((Rc::downgrade(&plan.needs), bindings.clone()));
        Ok(())
    }

    async fn peak_bytes(&mut self, graph: &Graph, weights: &Rc<Weights>, cancel: &Cancel) -> Result<u64> {
        cancel.check()?;
        let graph = prepare(graph, self.mode)?;
        find_weights(&graph, weights)?;
        let needs = place(&graph).needs;
        Ok(self.needs().either(needs).bytes())
    }

    async fn read(&mut self, plan: &Plan, output: &str) -> Result<Value> {
        self.own(plan)?;
        let id = plan.graph.find_output(output)?;
        let unread = |cause: &str, remedy: &str| Error::new("graph.output", format!("{output} {cause}"), remedy);
        let (last, bindings) =
            self.ran.clone().ok_or_else(|| unread("is read before a run", "run the plan to its end"))?;
        if !std::ptr::eq(last.as_ptr(), Rc::as_ptr(&plan.needs)) {
            return Err(unread(
                "is not there: another plan of the session ran last, and they share their memory",
                "run this plan, and read its outputs before the next",
            ));
        }
        let weights = plan.rows();
        let run = Run {
            plan,
            bindings: &bindings,
            inputs: &[],
            weights: &weights,
            states: &mut self.states,
            arena: &mut self.arena,
        };
        let env = run.env();
        match plan.graph.node(id).dtype {
            DType::U32 => Ok(Value::U32(env.ids(id)?.to_vec())),
            _ => Ok(Value::F32(env.floats(id)?.to_vec())),
        }
    }

    async fn read_state(&mut self, name: &str) -> Result<Value> {
        let state = self.state(name)?;
        let mut values = state.values.clone();
        // What was not touched yet is zeros.
        values.resize(state.spec.rows() * state.spec.row_elements(), 0.0);
        Ok(Value::F32(values))
    }

    fn write_state(&mut self, name: &str, value: &Value) -> Result<()> {
        let memory = self.memory.clone();
        let state = self.state(name)?;
        let whole = state.spec.rows() * state.spec.row_elements();
        match value {
            Value::F32(values) if values.len() == whole => {
                state.grow(state.spec.rows(), &memory)?;
                state.values.copy_from_slice(values);
                if state.spec.dtype == DType::F16 {
                    f16::round(&mut state.values);
                }
                Ok(())
            }
            Value::F32(values) => {
                Err(state_error(format!("{} values for the state {name}, which has {whole}", values.len())))
            }
            Value::U32(_) => Err(state_error(format!("u32 values for the state {name}, which has f32"))),
        }
    }

    fn dispatches(&self, plan: &Plan) -> usize {
        plan.steps.len()
    }
}

fn state_error(cause: String) -> Error {
    Error::new("graph.state", cause, "states have one name, shape and storage in all plans of a session")
}
