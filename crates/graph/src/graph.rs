//! The graph: nodes in the order in which they may run, and the tables they refer to.

use std::rc::Rc;

use crate::shape::{Dim, Shape, Symbol};
use crate::{DType, Error, Op, Result, StateSpec};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId(pub u32);

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    pub shape: Shape,
    pub dtype: DType,
    /// The part of the model it belongs to, `blk.0.attention`: for profiles and `lantern diff`.
    pub scope: Rc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolSpec {
    pub name: String,
    /// The largest value it may be bound to.
    pub max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    pub name: String,
    pub shape: Shape,
    pub dtype: DType,
}

/// A slot for constant parameters, filled at load and swappable without compiling again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightSpec {
    pub name: String,
    /// Its first dimension counts rows: `[out, in]`, `[out, kh, kw, in / groups]`; `[columns]` is one row. A row is whole
    /// blocks of the dtype.
    pub shape: Vec<usize>,
    pub dtype: DType,
}

impl WeightSpec {
    pub fn rows(&self) -> usize {
        if let [rows, _, ..] = self.shape[..] { rows } else { 1 }
    }

    pub fn columns(&self) -> usize {
        let of_a_row = if self.shape.len() > 1 { &self.shape[1..] } else { &self.shape[..] };
        of_a_row.iter().product()
    }

    /// Bytes of one row as files store it.
    pub fn row_bytes(&self) -> usize {
        let (elements, bytes) = self.dtype.block();
        self.columns() / elements * bytes
    }
}

/// A description of the work. Build it with the methods named after the operations (see `ops/`).
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Inputs stand before the nodes that use them, so the order is one in which they can run.
    pub nodes: Vec<Node>,
    pub symbols: Vec<SymbolSpec>,
    pub inputs: Vec<InputSpec>,
    pub weights: Vec<WeightSpec>,
    pub states: Vec<StateSpec>,
    pub outputs: Vec<(String, NodeId)>,
    scope: Option<Rc<str>>,
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a symbol; its value is bound at each run and never exceeds `max`.
    pub fn symbol(&mut self, name: &str, max: usize) -> Symbol {
        self.symbols.push(SymbolSpec { name: name.into(), max });
        Symbol((self.symbols.len() - 1) as u16)
    }

    /// Names the part of the model that the nodes built from here on belong to.
    pub fn scope(&mut self, name: &str) {
        self.scope = Some(name.into());
    }

    /// Keeps a node's value to be read after a run.
    pub fn output(&mut self, name: &str, node: NodeId) {
        self.outputs.push((name.into(), node));
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub fn shape(&self, id: NodeId) -> &Shape {
        &self.node(id).shape
    }

    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The named output.
    ///
    /// # Errors
    /// `graph.output` when there is none of that name.
    pub fn find_output(&self, name: &str) -> Result<NodeId> {
        self.outputs.iter().find(|(n, _)| n == name).map(|(_, id)| *id).ok_or_else(|| {
            Error::new("graph.output", format!("the graph has no output {name}"), "ask for one that was declared")
        })
    }

    pub(crate) fn push(&mut self, op: Op, inputs: &[NodeId], shape: Shape, dtype: DType) -> NodeId {
        let scope = self.scope.get_or_insert_with(|| "".into()).clone();
        self.nodes.push(Node { op, inputs: inputs.to_vec(), shape, dtype, scope });
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// Which nodes the outputs and the writes need; the others need not run.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for (_, id) in &self.outputs {
            live[id.0 as usize] = true;
        }
        for id in self.ids().rev() {
            let node = self.node(id);
            let i = id.0 as usize;
            live[i] |= matches!(node.op, Op::Write { .. });
            if live[i] {
                for input in &node.inputs {
                    live[input.0 as usize] = true;
                }
            }
        }
        live
    }

    /// The graph without the nodes that nothing needs, and where each node went.
    pub fn without_dead_nodes(&self) -> (Graph, Vec<Option<NodeId>>) {
        let live = self.live();
        let mut moved = vec![None; self.nodes.len()];
        let mut kept = Graph { nodes: Vec::new(), ..self.clone() };
        for id in self.ids().filter(|id| live[id.0 as usize]) {
            let mut node = self.node(id).clone();
            for input in &mut node.inputs {
                *input = moved[input.0 as usize].expect("a live node's inputs are live and come first");
            }
            kept.nodes.push(node);
            moved[id.0 as usize] = Some(NodeId((kept.nodes.len() - 1) as u32));
        }
        for (_, id) in &mut kept.outputs {
            *id = moved[id.0 as usize].expect("outputs are live");
        }
        (kept, moved)
    }

    /// Every node that computes something as an output named `n<index>`: how `lantern diff` finds where two executors part.
    pub fn with_every_node_kept(&self) -> Graph {
        let mut graph = self.clone();
        let live = self.live();
        graph.outputs = self
            .ids()
            .filter(|id| live[id.0 as usize])
            .filter(|id| !self.node(*id).op.is_leaf() && !matches!(self.node(*id).op, Op::Write { .. }))
            .map(|id| (format!("n{}", id.0), id))
            .collect();
        graph
    }

    /// A state must not be read past a write to it: executors that write in place and executors that copy would differ.
    ///
    /// # Errors
    /// `graph.state_order` naming the state and the node.
    pub fn check_state_order(&self) -> Result<()> {
        // By state, not by node: the same state may have been asked for twice.
        let mut written = vec![false; self.states.len()];
        for id in self.ids() {
            let node = self.node(id);
            for input in &node.inputs {
                if let Op::State(state) = self.node(*input).op
                    && written[state.0 as usize]
                {
                    return Err(Error::new(
                        "graph.state_order",
                        format!("node {} ({}) reads a state that was written before it", id.0, node.op.name()),
                        "read the result of the write instead",
                    ));
                }
            }
            if matches!(node.op, Op::Write { .. })
                && let Op::State(state) = self.node(node.inputs[0]).op
            {
                written[state.0 as usize] = true;
            }
        }
        Ok(())
    }

    pub(crate) fn dims(shape: &[usize]) -> Shape {
        Shape(shape.iter().map(|&n| Dim::Fixed(n)).collect())
    }
}
