//! Nodes that go into one dispatch where there is one row: products of the same numbers with matrices that lie one behind the other
//! (`weights.rs`), and what is done with their results. Each alone would be over before a GPU is awake.
//!
//! The nodes stay what they are: where the matrices lie apart, each is done by itself.

use lantern_graph::{Graph, NodeId, Op};

use super::{in_halves, is_view};
use crate::kernel::{End, Kernel};
use crate::ops::weight_of;
use crate::weights::{GpuWeight, GpuWeights};

/// Nodes that one dispatch does.
pub(crate) struct Join {
    pub x: NodeId,
    /// The matrices, in the order in which they are to lie.
    pub weights: Vec<NodeId>,
    pub does: Does,
    /// All that is done, views between included, in the order of the graph. The dispatch stands where the last one does.
    pub members: Vec<NodeId>,
}

/// What is done with the products.
pub(crate) enum Does {
    /// `silu(first) · second`.
    Gate,
    /// The first turns to queries, the second turns and is written, the third is written.
    Attend { queries: NodeId, keys: NodeId, values: NodeId },
}

impl Join {
    pub fn kernel(&self, graph: &Graph) -> Kernel {
        let (format, _) = weight_of(graph, self.weights[0]);
        let end = match self.does {
            Does::Gate => End::Gate,
            Does::Attend { keys, .. } => End::Attend { halves: in_halves(graph, keys) },
        };
        Kernel::Pairs { format, end }
    }

    /// Where its dispatch stands.
    pub fn last(&self) -> Option<NodeId> {
        self.members.last().copied()
    }

    /// The matrices' storage, if they lie one behind the other.
    pub fn matrices<'w>(&self, graph: &Graph, weights: &'w GpuWeights) -> Option<Vec<&'w GpuWeight>> {
        let found = self.weights.iter().map(|id| match graph.node(*id).op {
            Op::Weight(w) => weights.get(&graph.weights[w.0 as usize]).ok(),
            _ => None,
        });
        let found: Vec<&GpuWeight> = found.collect::<Option<_>>()?;
        found.windows(2).all(|two| two[0].is_before(two[1])).then_some(found)
    }
}

/// All that a graph has. `unpacked`: nodes in states of halves that are read as floats.
pub(crate) fn joins(graph: &Graph, unpacked: &[bool]) -> Vec<Join> {
    let finder = Finder { graph, unpacked, users: users(graph) };
    let gates = graph.ids().filter_map(|id| finder.gate(id));
    let attends = graph.ids().filter_map(|id| finder.attend(id));
    gates.chain(attends).filter(|join| finder.may_be_late(join)).collect()
}

/// The live nodes that read each, once for each time they do; the host reads outputs.
fn users(graph: &Graph) -> Vec<Vec<Option<NodeId>>> {
    let live = graph.live();
    let mut users = vec![Vec::new(); graph.nodes.len()];
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        for input in &graph.node(id).inputs {
            users[input.0 as usize].push(Some(id));
        }
    }
    for (_, id) in &graph.outputs {
        users[id.0 as usize].push(None);
    }
    users
}

struct Finder<'g> {
    graph: &'g Graph,
    unpacked: &'g [bool],
    users: Vec<Vec<Option<NodeId>>>,
}

/// A product of one row that one other node reads.
struct Product {
    x: NodeId,
    weight: NodeId,
}

/// What becomes of a product.
enum Fate {
    Queries(NodeId),
    Keys { rope: NodeId, write: NodeId },
    Values(NodeId),
}

impl Finder<'_> {
    /// The only node that reads a value.
    fn reader(&self, id: NodeId) -> Option<NodeId> {
        match self.users[id.0 as usize][..] {
            [reader] => reader,
            _ => None,
        }
    }

    fn product(&self, id: NodeId) -> Option<Product> {
        let node = self.graph.node(id);
        let (true, [x, weight]) = (node.op == Op::Linear { transposed: false }, &node.inputs[..]) else { return None };
        let is_weight = matches!(self.graph.node(*weight).op, Op::Weight(_));
        let (_, aligned) = weight_of(self.graph, *weight);
        let whole = aligned && is_weight && node.shape.0[0].is_one() && self.reader(id).is_some();
        whole.then_some(Product { x: *x, weight: *weight })
    }

    fn gate(&self, id: NodeId) -> Option<Join> {
        let node = self.graph.node(id);
        let (Op::SwiGlu, [gate, up]) = (&node.op, &node.inputs[..]) else { return None };
        let (first, second) = (self.product(*gate)?, self.product(*up)?);
        let of = |weight: NodeId| (&self.graph.node(weight).shape, self.graph.node(weight).dtype);
        // Whole groups, as int8 has them.
        let whole = node.shape.back(0).fixed().is_some_and(|n| n.is_multiple_of(32));
        let alike = first.x == second.x && of(first.weight) == of(second.weight) && gate != up && whole;
        let mut members = vec![*gate, *up, id];
        members.sort();
        alike.then(|| Join { x: first.x, weights: vec![first.weight, second.weight], does: Does::Gate, members })
    }

    /// Beginning at the queries' turn.
    fn attend(&self, id: NodeId) -> Option<Join> {
        let rope = self.graph.node(id);
        let Op::Rope { .. } = rope.op else { return None };
        let mut at = rope.inputs[0];
        while self.graph.node(at).op == Op::Reshape {
            at = self.graph.node(at).inputs[0];
        }
        let x = self.product(at)?.x;
        let mut members = Vec::new();
        let (mut queries, mut keys, mut values) = (None, None, None);
        for product in self.users[x.0 as usize].iter().copied().flatten() {
            let Some(Product { weight, .. }) = self.product(product).filter(|product| product.x == x) else { continue };
            let mut passed = vec![product];
            let Some(fate) = self.fate(product, &mut passed) else { continue };
            let (place, found) = match fate {
                Fate::Queries(rope) => (&mut queries, (weight, rope, rope)),
                Fate::Keys { rope, write } => (&mut keys, (weight, rope, write)),
                Fate::Values(write) => (&mut values, (weight, write, write)),
            };
            if place.replace(found).is_some() {
                return None;
            }
            members.extend(passed);
        }
        let ((q, query_rope, _), (k, key_rope, key_write), (v, _, value_write)) = (queries?, keys?, values?);
        let turn = |id: NodeId| (&self.graph.node(id).op, self.graph.node(id).inputs[1]);
        let dtype = |id: NodeId| self.graph.node(id).dtype;
        let states = [key_write, value_write].map(|write| self.graph.node(write).inputs[0]);
        let storage = |write: NodeId| in_halves(self.graph, write);
        let together = query_rope == id
            && turn(query_rope) == turn(key_rope)
            && dtype(q) == dtype(k)
            && dtype(k) == dtype(v)
            && self.graph.node(states[0]).op != self.graph.node(states[1]).op
            && storage(key_write) == storage(value_write)
            && self.graph.shape(v).0[0].fixed().is_some_and(|rows| rows.is_multiple_of(2));
        members.sort();
        let does = Does::Attend { queries: query_rope, keys: key_write, values: value_write };
        together.then_some(Join { x, weights: vec![q, k, v], does, members })
    }

    /// What becomes of a product; adds what is passed on the way.
    fn fate(&self, product: NodeId, passed: &mut Vec<NodeId>) -> Option<Fate> {
        let (at, next) = self.beyond_views(product, passed)?;
        passed.push(next);
        if self.writes(next, at) {
            return Some(Fate::Values(next));
        }
        let Op::Rope { .. } = self.graph.node(next).op else { return None };
        let mut more = Vec::new();
        let write = self.beyond_views(next, &mut more).filter(|(at, write)| self.writes(*write, *at));
        Some(match write {
            Some((_, write)) => {
                passed.extend(more);
                passed.push(write);
                Fate::Keys { rope: next, write }
            }
            None => Fate::Queries(next),
        })
    }

    /// The last of the views of a value that are read by one node alone, and what reads that.
    fn beyond_views(&self, mut at: NodeId, passed: &mut Vec<NodeId>) -> Option<(NodeId, NodeId)> {
        loop {
            let next = self.reader(at)?;
            if self.graph.node(next).op != Op::Reshape || !is_view(self.graph, next) {
                return Some((at, next));
            }
            passed.push(next);
            at = next;
        }
    }

    /// Is that node a write of the value?
    fn writes(&self, id: NodeId, value: NodeId) -> bool {
        let node = self.graph.node(id);
        matches!(node.op, Op::Write { .. }) && node.inputs[1] == value
    }

    /// Is everything that reads the results behind the last member, and does nothing before it write what the first ones read?
    fn may_be_late(&self, join: &Join) -> bool {
        let (Some(first), Some(last)) = (join.members.first(), join.last()) else { return false };
        let mut results = match join.does {
            Does::Gate => Vec::new(),
            Does::Attend { queries, keys, values } => vec![queries, keys, values],
        };
        if results.iter().any(|id| self.unpacked[id.0 as usize]) {
            return false;
        }
        for id in (first.0..last.0).map(NodeId).filter(|id| !join.members.contains(id)) {
            let node = self.graph.node(id);
            if matches!(node.op, Op::Write { .. }) {
                return false;
            }
            if node.inputs.iter().any(|input| results.contains(input)) {
                if !is_view(self.graph, id) || self.unpacked[id.0 as usize] {
                    return false;
                }
                results.push(id);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use lantern_graph::{DType, Index, StateOptions};

    use super::*;

    /// Queries, keys and values of one row on their way into states; `early` reads the keys' state before the values are written,
    /// `kept` the products. How many dispatches are found for several nodes.
    fn attends(early: bool, kept: bool) -> usize {
        let mut g = Graph::new();
        let x = g.input("x", [1usize, 32], DType::F32);
        let f = g.input("f", [4usize, 1], DType::F32);
        let mut heads = Vec::new();
        for name in ["q", "k", "v"] {
            let w = g.weight(name, &[16, 32], DType::Q8_0).unwrap();
            let y = g.linear(x, w).unwrap();
            if kept {
                g.output(name, y);
            }
            heads.push(g.reshape(y, [1usize, 2, 8]).unwrap());
        }
        let turn = Op::Rope { start: Index::Fixed(3) };
        let queries = g.fused(turn.clone(), &[heads[0], f]).unwrap();
        let keys = g.fused(turn, &[heads[1], f]).unwrap();
        let options = StateOptions { storage: DType::F32, growing: false };
        let [to_keys, to_values] = ["keys", "values"].map(|name| g.state_with(name, &[4, 2, 8], options).unwrap());
        let keys = g.write(to_keys, keys, Index::Fixed(3)).unwrap();
        if early {
            let read = g.affine(keys, 2.0, 0.0).unwrap();
            g.output("early", read);
        }
        let values = g.write(to_values, heads[2], Index::Fixed(3)).unwrap();
        for (name, node) in [("queries", queries), ("kept keys", keys), ("kept values", values)] {
            g.output(name, node);
        }
        let unpacked = vec![false; g.nodes.len()];
        joins(&g, &unpacked).len()
    }

    #[test]
    fn what_is_read_before_the_dispatch_stands_is_done_by_itself() {
        assert_eq!(attends(false, false), 1);
        assert_eq!(attends(true, false), 0, "the keys are read before the values are written");
        assert_eq!(attends(false, true), 0, "the products themselves are wanted");
    }
}
