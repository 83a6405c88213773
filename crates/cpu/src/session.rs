//! Sessions: plans, their states, and runs in slices of bounded cost.

use std::rc::Rc;

use lantern_graph::contract::{Bond, Ledger, Prepared, Runner};
use lantern_graph::{Bindings, Cancel, Class, DType, Error, Graph, NodeId, Result, StateSpec, Value, WeightSpec, fuse};

use crate::arena::Arena;
use crate::crew::Crew;
use crate::memory::Account;
use crate::place::{Needs, place};
use crate::plan::Plan;
use crate::slices::Turns;
use crate::state::State;
use crate::step::{Run, Scratch};
use crate::{Mode, Weights};

pub struct Session {
    mode: Mode,
    turns: Turns,
    memory: Account,
    crew: Option<Rc<Crew>>,
    ledger: Ledger<State, Needs>,
    arena: Arena,
    scratch: Scratch,
}

impl Session {
    pub(crate) fn new(mode: Mode, turns: Turns, memory: Account, crew: Option<Rc<Crew>>) -> Session {
        Session {
            mode,
            turns,
            crew,
            arena: Arena::new(&memory),
            memory,
            ledger: Ledger::default(),
            scratch: Scratch::default(),
        }
    }

    pub fn class(&self) -> Class {
        self.turns.class()
    }

    /// The most that a plan which is still there needs.
    fn needs(&mut self) -> Needs {
        self.ledger.needs().fold(Needs::default(), |all, plan| all.either(*plan))
    }
}

impl Runner for Session {
    type Weights = Weights;
    type Plan = Plan;
    type State = State;
    type Needs = Needs;

    fn account(&self) -> &Account {
        &self.memory
    }

    fn ledger(&self) -> &Ledger<State, Needs> {
        &self.ledger
    }

    fn ledger_mut(&mut self) -> &mut Ledger<State, Needs> {
        &mut self.ledger
    }

    fn bond(plan: &Plan) -> &Bond<Needs> {
        &plan.bond
    }

    fn find_weight(weights: &Weights, wanted: &WeightSpec) -> Result<()> {
        weights.find(wanted).map(|_| ())
    }

    fn rewrite(&self, graph: &Graph) -> Graph {
        match self.mode {
            Mode::Exact => graph.without_dead_nodes().0,
            Mode::Fast => fuse(graph),
        }
    }

    fn make_state(&mut self, spec: &StateSpec) -> Result<State> {
        State::new(spec, &self.memory)
    }

    fn grow_state(&mut self, state: usize, rows: usize) -> Result<()> {
        self.ledger.states_mut()[state].grow(rows, &self.memory)
    }

    fn write_rows(&mut self, state: usize, first_row: usize, values: &[f32]) -> Result<()> {
        self.ledger.states_mut()[state].write(first_row, values);
        Ok(())
    }

    async fn read_rows(&mut self, state: usize) -> Result<Vec<f32>> {
        Ok(self.ledger.states()[state].values.clone())
    }

    fn record(&mut self, graph: Prepared, weights: &Rc<Weights>) -> Result<Plan> {
        Plan::new(graph, self.mode, weights, self.turns.pace())
    }

    fn fit(&mut self, keep: bool) -> Result<()> {
        let needs = self.needs();
        self.arena.fit(needs, keep)
    }

    fn measure(&mut self, graph: &Graph, _: &Rc<Weights>) -> Result<u64> {
        Ok(self.needs().either(place(graph).needs).bytes())
    }

    async fn execute(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[Option<&Value>],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let weights = plan.rows();
        let written = plan.written.beside(inputs);
        let inputs = &written.fill(inputs);
        let (states, arena) = (self.ledger.states_mut(), &mut self.arena);
        let crew = self.crew.as_deref();
        let mut run = Run { plan, bindings, inputs, weights: &weights, states, arena, crew };
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
        Ok(())
    }

    async fn fetch(&mut self, plan: &Plan, output: NodeId, bindings: &Bindings) -> Result<Value> {
        let weights = plan.rows();
        let (states, arena) = (self.ledger.states_mut(), &mut self.arena);
        let run = Run { plan, bindings, inputs: &[], weights: &weights, states, arena, crew: None };
        let env = run.env();
        match plan.graph.node(output).dtype {
            DType::U32 => Ok(Value::U32(env.ids(output)?.to_vec())),
            _ => Ok(Value::F32(env.floats(output)?.to_vec())),
        }
    }

    fn steps(plan: &Plan) -> usize {
        plan.steps.len()
    }
}
