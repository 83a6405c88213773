//! A graph made ready: its weights found, its values placed in the session's arena.

use std::cell::RefCell;
use std::rc::Rc;

use lantern_graph::contract::{Bond, Prepared};
use lantern_graph::{Graph, NodeId, Op, Pace, Result, WeightId};

use crate::frame::Written;
use crate::place::{Needs, Placement, View, place};
use crate::weights::Rows;
use crate::{Mode, Weights};

/// Made by `Session::compile`, for that session.
pub struct Plan {
    /// The session holds as much of its arena as this says while the plan is there.
    pub(crate) bond: Bond<Needs>,
    pub(crate) mode: Mode,
    pub(crate) graph: Rc<Graph>,
    pub(crate) views: Vec<View>,
    pub(crate) steps: Vec<NodeId>,
    /// What it was compiled with, and where the graph's weights stand in there.
    store: Rc<Weights>,
    weights: Vec<Option<usize>>,
    /// Where the graph's states stand in the session.
    pub(crate) states: Rc<[usize]>,
    /// Inputs that frames were written to.
    pub(crate) written: Written,
    /// How fast it goes: other work has another rate.
    pub(crate) pace: RefCell<Pace>,
}

impl Plan {
    pub(crate) fn new(prepared: Prepared, mode: Mode, store: &Rc<Weights>, pace: RefCell<Pace>) -> Result<Plan> {
        let (graph, states) = (prepared.graph.clone(), prepared.states.clone());
        let is_used = |i: usize| graph.nodes.iter().any(|node| node.op == Op::Weight(WeightId(i as u32)));
        let specs = graph.weights.iter().enumerate();
        let weights = specs.map(|(i, spec)| is_used(i).then(|| store.find(spec)).transpose()).collect::<Result<_>>()?;
        let Placement { views, steps, needs } = place(&graph);
        Ok(Plan {
            bond: prepared.bind(needs),
            mode,
            graph,
            views,
            steps,
            store: store.clone(),
            weights,
            states,
            written: Written::default(),
            pace,
        })
    }

    /// Of the graph's weights, as they are now.
    pub(crate) fn rows(&self) -> Vec<Option<Rc<Rows>>> {
        self.store.of(&self.weights)
    }
}
