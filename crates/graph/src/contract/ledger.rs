//! What a session knows of its states and plans, and what a plan knows of its session.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use crate::{Bindings, Error, Graph, Result, StateSpec, Touch, Value};

/// A state as an executor stores it.
pub trait Stored {
    fn spec(&self) -> &StateSpec;

    /// Rows there is room for.
    fn rows(&self) -> usize;
}

/// The states and plans of one session.
pub struct Ledger<S, N> {
    session: Rc<()>,
    states: Vec<S>,
    /// What the plans that are alive need of the temporaries; its address is the plan's identity.
    plans: Vec<Weak<N>>,
    /// The plan whose run came to its end last, and what it was bound to: its outputs are there.
    ran: Option<(Weak<N>, Bindings)>,
}

impl<S, N> Default for Ledger<S, N> {
    fn default() -> Self {
        Self { session: Rc::default(), states: Vec::new(), plans: Vec::new(), ran: None }
    }
}

impl<S, N> Ledger<S, N> {
    /// In the order in which plans name them.
    pub fn states(&self) -> &[S] {
        &self.states
    }

    pub fn states_mut(&mut self) -> &mut [S] {
        &mut self.states
    }

    /// What each plan that is alive needs.
    pub fn needs(&mut self) -> impl Iterator<Item = Rc<N>> {
        self.plans.retain(|plan| plan.strong_count() > 0);
        self.plans.iter().filter_map(Weak::upgrade)
    }

    /// Is there an output that may still be read?
    pub(super) fn is_readable(&mut self) -> bool {
        self.ran.take_if(|(plan, _)| plan.strong_count() == 0);
        self.ran.is_some()
    }

    pub(super) fn add(&mut self, bond: &Bond<N>) {
        self.plans.push(Rc::downgrade(&bond.needs));
    }

    pub(super) fn push_state(&mut self, state: S) -> usize {
        self.states.push(state);
        self.states.len() - 1
    }

    pub(super) fn forget_states(&mut self, from: usize) {
        self.states.truncate(from);
    }

    /// From here on the temporaries are another plan's.
    pub(super) fn begun(&mut self) {
        self.ran = None;
    }

    pub(super) fn ended(&mut self, bond: &Bond<N>, bindings: &Bindings) {
        self.ran = Some((Rc::downgrade(&bond.needs), bindings.clone()));
    }

    pub(super) fn own(&self, bond: &Bond<N>) -> Result<()> {
        if Rc::ptr_eq(&bond.session, &self.session) {
            return Ok(());
        }
        Err(Error::new("graph.plan", "the plan belongs to another session", "compile the graph in this session"))
    }

    /// What the plan was bound to, if it ran last.
    pub(super) fn last_run(&self, bond: &Bond<N>, output: &str) -> Result<Bindings> {
        let absent = |cause: &str, remedy: &str| Error::new("graph.output", format!("{output} {cause}"), remedy);
        match &self.ran {
            None => Err(absent("is not there: no run came to its end", "run the plan to its end")),
            Some((plan, _)) if !std::ptr::eq(plan.as_ptr(), Rc::as_ptr(&bond.needs)) => Err(absent(
                "is not there: another plan of the session ran last, and they share their memory",
                "run this plan, and read its outputs before the next",
            )),
            Some((_, bindings)) => Ok(bindings.clone()),
        }
    }
}

impl<S: Stored, N> Ledger<S, N> {
    pub(super) fn find_state(&self, name: &str) -> Result<usize> {
        self.states.iter().position(|state| state.spec().name == name).ok_or_else(|| {
            let cause = format!("no compiled plan has a state {name}");
            Error::new("graph.state", cause, "compile the plan that declares it first")
        })
    }

    /// Where the state stands, if there is one of its name.
    pub(super) fn known_state(&self, spec: &StateSpec) -> Result<Option<usize>> {
        let Some(at) = self.states.iter().position(|state| state.spec().name == spec.name) else { return Ok(None) };
        let known = self.states[at].spec();
        if known == spec {
            return Ok(Some(at));
        }
        Err(Error::new(
            "graph.state",
            format!("the state {} is {known:?} here, the graph wants {spec:?}", spec.name),
            "give a state one shape and storage in all plans of a session",
        ))
    }
}

/// A graph as an executor runs it, checked, and where its states stand: what a plan is recorded from.
pub struct Prepared {
    pub graph: Rc<Graph>,
    /// Index into the ledger's states for each of the graph's.
    pub states: Rc<[usize]>,
    session: Rc<()>,
}

impl Prepared {
    pub(super) fn new<S, N>(ledger: &Ledger<S, N>, graph: Graph, states: Vec<usize>) -> Self {
        Self { graph: Rc::new(graph), states: states.into(), session: ledger.session.clone() }
    }

    /// Binds the plan that is recorded from this to the session.
    pub fn bind<N>(self, needs: N) -> Bond<N> {
        let Prepared { graph, states, session } = self;
        let touches = graph.touches();
        Bond { session, graph, states, touches, needs: Rc::new(needs), written: RefCell::default() }
    }
}

/// Between a plan and its session. Only the contract makes one, so no plan can lack it.
pub struct Bond<N> {
    session: Rc<()>,
    graph: Rc<Graph>,
    states: Rc<[usize]>,
    /// Rows of growing states that a run touches.
    touches: Vec<Touch>,
    needs: Rc<N>,
    /// Elements of the inputs that were written where the plan reads them, by their place in the graph.
    written: RefCell<HashMap<usize, usize>>,
}

impl<N> Bond<N> {
    /// An input is about to be written: until then it has no value.
    pub fn input_is_written(&self, input: usize) {
        self.written.borrow_mut().remove(&input);
    }

    /// An input was written with so many elements: they stand for its value until a run is given one.
    pub fn input_stands(&self, input: usize, elements: usize) {
        self.written.borrow_mut().insert(input, elements);
    }

    pub(super) fn written(&self) -> HashMap<usize, usize> {
        self.written.borrow().clone()
    }

    /// What a run was given is what it reads.
    pub(super) fn replace_inputs(&self, given: &[Option<&Value>]) {
        self.written.borrow_mut().retain(|input, _| given[*input].is_none());
    }

    /// As the executor runs it.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) fn states(&self) -> &[usize] {
        &self.states
    }

    pub(super) fn touches(&self) -> &[Touch] {
        &self.touches
    }
}
