//! What each dispatch of a plan has to do, whatever the adapter: what its time is held against.

use lantern_graph::{Bindings, Graph, NodeId, Op};

use super::plan::Plan;
use crate::kernel::Choice;
use crate::shader::Binding;
use crate::step::{Part, Slot, Step};

/// A dispatch of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Where in the network it stands, and which operation it belongs to.
    pub scope: String,
    pub operation: &'static str,
    /// Of the operation's result.
    pub shape: Vec<usize>,
    pub kernel: String,
    /// Which of the kernel's variants.
    pub variant: Choice,
    /// None: nothing is dispatched with these symbols.
    pub workgroups: usize,
    /// What it reads and writes, each once: weights as they are kept here, of tables and caches the rows that are used.
    pub bytes: u64,
    /// An operation's are shared out over its dispatches as the bytes are: what only prepares an operand moves little.
    pub flops: u64,
}

impl Plan {
    /// Of each dispatch, in order, with these symbols.
    pub fn work(&self, bindings: &Bindings) -> Vec<Work> {
        let mut all: Vec<Work> = self.steps.iter().map(|step| self.work_of(step, bindings)).collect();
        let mut first = 0;
        while first < all.len() {
            let node = self.steps[first].node;
            let end = first + self.steps[first..].iter().take_while(|step| step.node == node).count();
            let of_node = &mut all[first..end];
            let (flops, bytes) = of_node.iter().fold((0, 0), |(f, b), work| (f + work.flops, b + work.bytes));
            if bytes > 0 {
                let share = |work: &Work| (flops as f64 * work.bytes as f64 / bytes as f64) as u64;
                of_node.iter_mut().for_each(|work| work.flops = share(work));
            }
            first = end;
        }
        all
    }

    fn work_of(&self, step: &Step, bindings: &Bindings) -> Work {
        let node = self.graph.node(step.node);
        // Numbers of operations are counted at the symbols' bounds.
        let mut used = used(&self.graph, step.node, bindings);
        if let Op::Attention(_) = node.op {
            let keys = self.graph.shape(node.inputs[1]).0[0];
            used *= keys.eval(bindings) as f64 / keys.bound(&self.graph).max(1) as f64;
        }
        let kinds = step.pipeline.shader.bindings.iter().filter(|kind| **kind != Binding::Uniform);
        let parts = step.storage.iter().zip(kinds);
        let workgroups = step.workgroups(bindings);
        let bytes = if workgroups == 0 { 0 } else { parts.map(|(p, kind)| self.bytes(step, p, *kind, bindings)).sum() };
        Work {
            scope: node.scope.to_string(),
            operation: node.op.name(),
            shape: node.shape.eval(bindings),
            kernel: step.pipeline.kernel.name(),
            variant: step.pipeline.choice,
            workgroups,
            bytes,
            flops: (step.flops as f64 * used) as u64,
        }
    }

    /// Of one operand.
    fn bytes(&self, step: &Step, part: &Part, kind: Binding, bindings: &Bindings) -> u64 {
        let graph = &*self.graph;
        let node = graph.node(step.node);
        // What lies in a temporary grows as the result does.
        let of_result = |bytes: u64| (bytes as f64 * used(graph, step.node, bindings)) as u64;
        match part.slot {
            Slot::Temporary(t) => of_result(part.bytes(self.temporary_bytes(t)).1),
            Slot::Input(i) => of_result(part.bytes(self.inputs[i].size()).1),
            Slot::Constant(at) => part.bytes(self.constants.places[&at].1).1,
            Slot::Words(w, shard) | Slot::Scales(w, shard) => {
                let Ok(weight) = self.weights.get(&graph.weights[w]) else { return 0 };
                let shard = &weight.shards[shard];
                let whole = match (part.slot, &shard.scales) {
                    (Slot::Words(..), _) => shard.words.size,
                    (_, Some(scales)) => scales.size,
                    (_, None) => return 0,
                };
                let Op::Gather = node.op else { return part.bytes(whole).1 };
                let columns = node.shape.back(0).eval(bindings).max(1);
                let rows = node.shape.count().eval(bindings) / columns;
                whole * rows.min(shard.rows) as u64 / shard.rows.max(1) as u64
            }
            Slot::State(state) => {
                let spec = &graph.states[state];
                let is_of = |id: NodeId| state_of(graph, id) == Some(state);
                let whole = spec.bytes(spec.rows());
                let inputs = node.inputs.iter().copied();
                let elements: usize = match kind {
                    // Rows of it are written: as many as are given.
                    Binding::ReadWrite => {
                        let given = inputs.filter(|id| state_of(graph, *id).is_none());
                        given.map(|id| graph.shape(id).count().eval(bindings)).sum()
                    }
                    _ => {
                        let seen = inputs.filter(|id| is_of(*id));
                        seen.map(|id| graph.shape(id).count().eval(bindings)).max().unwrap_or(usize::MAX)
                    }
                };
                let row = spec.row_elements().max(1);
                (elements as u64).saturating_mul(spec.bytes(1)).div_euclid(row as u64).min(whole)
            }
        }
    }
}

/// How much of a node's result there is with these symbols, of what there is at their bounds.
fn used(graph: &Graph, id: NodeId, bindings: &Bindings) -> f64 {
    let count = graph.shape(id).count();
    count.eval(bindings) as f64 / count.bound(graph).max(1) as f64
}

/// The state that a node is, or a view or a new version of.
fn state_of(graph: &Graph, mut id: NodeId) -> Option<usize> {
    loop {
        let node = graph.node(id);
        match node.op {
            Op::State(state) => return Some(state.0 as usize),
            Op::Write { .. } | Op::Reshape | Op::Slice { .. } => id = *node.inputs.first()?,
            _ => return None,
        }
    }
}
