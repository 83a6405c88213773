//! A graph made ready: checked, fused in `Fast`, its values placed in the session's arena.

use std::cell::RefCell;
use std::rc::Rc;

use lantern_graph::{DType, Error, Graph, NodeId, Op, Pace, Result, Touch, WeightId, fuse};

use crate::frame::Written;
use crate::place::{Needs, Placement, View, place};
use crate::weights::Rows;
use crate::{Mode, Weights};

/// Made by `Session::compile`, for that session.
pub struct Plan {
    pub(crate) mode: Mode,
    pub(crate) graph: Graph,
    pub(crate) views: Vec<View>,
    pub(crate) steps: Vec<NodeId>,
    /// What it was compiled with, and where the graph's weights stand in there.
    store: Rc<Weights>,
    weights: Vec<Option<usize>>,
    /// Where the graph's states stand in the session.
    pub(crate) states: Vec<usize>,
    /// Rows of growing states that a run touches.
    pub(crate) touches: Vec<Touch>,
    /// What it takes of the session's arena; the session holds that much while a plan does.
    pub(crate) needs: Rc<Needs>,
    pub(crate) session: Rc<()>,
    /// Inputs that frames were written to.
    pub(crate) written: Written,
    /// How fast it goes: other work has another rate.
    pub(crate) pace: RefCell<Pace>,
}

/// What this mode runs for a graph, checked.
pub(crate) fn prepare(graph: &Graph, mode: Mode) -> Result<Graph> {
    graph.check_state_order()?;
    let graph = match mode {
        Mode::Exact => graph.without_dead_nodes().0,
        Mode::Fast => fuse(graph),
    };
    for id in graph.ids() {
        check_types(&graph, id)?;
    }
    for (name, id) in &graph.outputs {
        let dtype = graph.node(*id).dtype;
        if !matches!(dtype, DType::F32 | DType::U32) {
            return Err(dtype_error(format!("output {name} is a weight of {}", dtype.name())));
        }
    }
    Ok(graph)
}

/// Weights that are not f32 are read by `linear` and `gather`, rows of whole blocks.
fn check_types(graph: &Graph, id: NodeId) -> Result<()> {
    let node = graph.node(id);
    for (i, input) in node.inputs.iter().enumerate() {
        let from = graph.node(*input);
        let fits = match (&node.op, i) {
            (
                Op::Linear { .. }
                | Op::FusedLinear { .. }
                | Op::Conv2d { .. }
                | Op::Conv2dTransposed { .. }
                | Op::FusedConv2d { .. },
                1,
            )
            | (Op::Gather, 0) => {
                let (block, _) = from.dtype.block();
                from.dtype != DType::U32 && row_len(graph, *input).is_multiple_of(block)
            }
            (Op::Gather, 1) | (Op::ScatterAdd, 0) => from.dtype == DType::U32,
            (Op::Reshape, _) => true,
            _ => from.dtype == DType::F32,
        };
        if !fits {
            return Err(dtype_error(format!(
                "node {} ({}) cannot read {} {} as input {i}",
                id.0,
                node.op.name(),
                from.dtype.name(),
                from.shape
            )));
        }
    }
    Ok(())
}

/// Elements of a row of a weight: of everything behind its first dimension.
fn row_len(graph: &Graph, id: NodeId) -> usize {
    graph.shape(id).bound(graph).iter().skip(1).product()
}

fn dtype_error(cause: String) -> Error {
    Error::new(
        "graph.dtype",
        cause,
        "gather, linear and convolutions read other types than f32, in rows of whole blocks",
    )
}

/// Where the weights that a graph uses stand among those.
pub(crate) fn find_weights(graph: &Graph, weights: &Weights) -> Result<Vec<Option<usize>>> {
    let is_used = |i: usize| graph.nodes.iter().any(|node| node.op == Op::Weight(WeightId(i as u32)));
    let specs = graph.weights.iter().enumerate();
    specs.map(|(i, spec)| is_used(i).then(|| weights.find(spec)).transpose()).collect()
}

impl Plan {
    /// `graph` as `prepare` gave it; `states` says where its states stand in the session.
    pub(crate) fn new(
        graph: Graph,
        mode: Mode,
        store: &Rc<Weights>,
        states: Vec<usize>,
        session: &Rc<()>,
        pace: RefCell<Pace>,
    ) -> Result<Plan> {
        let weights = find_weights(&graph, store)?;
        let Placement { views, steps, needs } = place(&graph);
        let touches = graph.touches();
        let (store, session, needs, written) = (store.clone(), session.clone(), Rc::new(needs), Written::default());
        Ok(Plan { mode, graph, views, steps, store, weights, states, touches, needs, session, written, pace })
    }

    /// Of the graph's weights, as they are now.
    pub(crate) fn rows(&self) -> Vec<Option<Rc<Rows>>> {
        self.store.of(&self.weights)
    }
}
