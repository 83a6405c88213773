//! Rewrites of primitives to fused operations: one kernel where there would be a dozen, and no temporary between them.
//!
//! A pattern is matched backwards from its last node. What it matched may still be used elsewhere: then it stays as
//! well; what nothing needs any more is dropped.

use crate::{Activation, Binary, Epilogue, Graph, Index, Node, NodeId, Op, Reduction, ResizeMode, Unary};

/// The graph with fused operations, without dead nodes. Outputs and writes are kept.
///
/// A fused node reads at its pattern's end what the pattern read at its start. Where a state is written in between, that would be
/// too late: that pattern alone stays as it is.
pub fn fuse(graph: &Graph) -> Graph {
    let mut fused = graph.clone();
    let matcher = Matcher { graph, uses: uses(graph), written: first_writes(graph) };
    for id in graph.ids() {
        // Matched on the original, so that a pattern's inner nodes are still primitives; products last, since what ends
        // in them ends no other pattern.
        if let Some((op, inputs)) = matcher.pattern(id).filter(|(_, inputs)| !matcher.reads_late(id, inputs)) {
            let node = &mut fused.nodes[id.0 as usize];
            node.op = op;
            node.inputs = inputs;
        }
    }
    fused.without_dead_nodes().0
}

/// The first write to each state.
fn first_writes(graph: &Graph) -> Vec<Option<NodeId>> {
    let mut first = vec![None; graph.states.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        if matches!(node.op, Op::Write { .. })
            && let Op::State(state) = graph.node(node.inputs[0]).op
        {
            first[state.0 as usize].get_or_insert(id);
        }
    }
    first
}

/// How often each node is read by live ones; outputs are read by the host.
fn uses(graph: &Graph) -> Vec<usize> {
    let live = graph.live();
    let mut uses = vec![0; graph.nodes.len()];
    for id in graph.ids().filter(|id| live[id.0 as usize]) {
        for input in &graph.node(id).inputs {
            uses[input.0 as usize] += 1;
        }
    }
    for (_, id) in &graph.outputs {
        uses[id.0 as usize] += 1;
    }
    uses
}

struct Matcher<'g> {
    graph: &'g Graph,
    uses: Vec<usize>,
    /// By state.
    written: Vec<Option<NodeId>>,
}

impl Matcher<'_> {
    fn pattern(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        self.rms_norm(id)
            .or_else(|| self.softmax(id).map(|x| (Op::Softmax, vec![x])))
            .or_else(|| self.swiglu(id))
            .or_else(|| self.rope(id))
            .or_else(|| self.norm_and_activation(id))
            .or_else(|| self.product(id))
    }

    /// Would node `id` read a state that was written before it?
    fn reads_late(&self, id: NodeId, inputs: &[NodeId]) -> bool {
        inputs.iter().any(|input| match self.node(*input).op {
            Op::State(state) => self.written[state.0 as usize].is_some_and(|write| write < id),
            _ => false,
        })
    }

    fn node(&self, id: NodeId) -> &Node {
        self.graph.node(id)
    }

    fn binary(&self, id: NodeId, op: Binary) -> Option<(NodeId, NodeId)> {
        let node = self.node(id);
        (node.op == Op::Binary(op)).then(|| (node.inputs[0], node.inputs[1]))
    }

    fn unary(&self, id: NodeId, op: Unary) -> Option<NodeId> {
        let node = self.node(id);
        (node.op == Op::Unary(op)).then(|| node.inputs[0])
    }

    fn affine(&self, id: NodeId) -> Option<(NodeId, f32, f32)> {
        match self.node(id).op {
            Op::Affine { mul, add } => Some((self.node(id).inputs[0], mul, add)),
            _ => None,
        }
    }

    fn reduce_last(&self, id: NodeId, op: Reduction) -> Option<NodeId> {
        let node = self.node(id);
        let last = node.shape.rank().checked_sub(1)?;
        (node.op == Op::Reduce { op, axis: last }).then(|| node.inputs[0])
    }

    fn reshape(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        (node.op == Op::Reshape).then(|| node.inputs[0])
    }

    /// Through a reshape that only adds or drops dimensions of 1.
    fn squeeze(&self, id: NodeId) -> Option<NodeId> {
        let from = self.reshape(id)?;
        let dims = |id: NodeId| -> Vec<_> { self.node(id).shape.0.iter().copied().filter(|d| !d.is_one()).collect() };
        (dims(from) == dims(id)).then_some(from)
    }

    /// `x · rsqrt(mean(x²) + eps) · weight`, weight `[columns]`.
    fn rms_norm(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let (normed, weight) = self.binary(id, Binary::Mul)?;
        let (x, scale) = self.binary(normed, Binary::Mul)?;
        let (sum, mul, eps) = self.affine(self.unary(scale, Unary::Rsqrt)?)?;
        let (a, b) = self.binary(self.reduce_last(sum, Reduction::Sum)?, Binary::Mul)?;
        let columns = self.node(x).shape.back(0).fixed()?;
        let weight_is_a_row =
            self.node(weight).shape.rank() == 1 && self.node(weight).shape.back(0) == self.node(x).shape.back(0);
        (a == x && b == x && weight_is_a_row && mul == 1.0 / columns as f32)
            .then(|| (Op::RmsNorm { eps }, vec![x, weight]))
    }

    /// `exp(x − max) / sum`; gives x.
    fn softmax(&self, id: NodeId) -> Option<NodeId> {
        let (exp, sum) = self.binary(id, Binary::Div)?;
        if self.reduce_last(sum, Reduction::Sum)? != exp {
            return None;
        }
        let (x, max) = self.binary(self.unary(exp, Unary::Exp)?, Binary::Sub)?;
        (self.reduce_last(max, Reduction::Max)? == x).then_some(x)
    }

    /// `gate · sigmoid(gate) · up`.
    fn swiglu(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let (silu, up) = self.binary(id, Binary::Mul)?;
        let (gate, sigmoid) = self.binary(silu, Binary::Mul)?;
        let same_shape = self.node(gate).shape == self.node(up).shape;
        (self.unary(sigmoid, Unary::Sigmoid)? == gate && same_shape).then(|| (Op::SwiGlu, vec![gate, up]))
    }

    /// Adjacent pairs turned by position · frequency: the reshape after the concat of both turned halves.
    fn rope(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let joined = self.reshape(id)?;
        let node = self.node(joined);
        if node.op != (Op::Concat { axis: 3 }) || node.inputs.len() != 2 {
            return None;
        }
        let (even_cos, odd_sin) = self.binary(node.inputs[0], Binary::Sub)?;
        let (even_sin, odd_cos) = self.binary(node.inputs[1], Binary::Add)?;
        let ((even, cos), (odd, sin)) = (self.binary(even_cos, Binary::Mul)?, self.binary(odd_sin, Binary::Mul)?);
        if self.binary(even_sin, Binary::Mul)? != (even, sin) || self.binary(odd_cos, Binary::Mul)? != (odd, cos) {
            return None;
        }
        let half = |id: NodeId, start: usize| {
            let node = self.node(id);
            (node.op == Op::Slice { axis: 3, start: Index::Fixed(start) } && node.shape.back(0).is_one())
                .then(|| node.inputs[0])
        };
        let pairs = half(even, 0)?;
        let angle = self.unary(cos, Unary::Cos)?;
        if half(odd, 1)? != pairs || self.unary(sin, Unary::Sin)? != angle {
            return None;
        }
        let x = self.reshape(pairs)?;
        let (positions, frequencies) = self.binary(angle, Binary::Mul)?;
        let Op::Range { start } = self.node(self.squeeze(positions)?).op else { return None };
        // positions [rows, 1, 1, 1]; x [rows, heads, head_dim], the same shape as the result.
        let one_per_row = self.node(positions).shape.0[0] == self.node(x).shape.0[0];
        (one_per_row && self.node(id).shape == self.node(x).shape && self.node(x).shape.rank() == 3)
            .then(|| (Op::Rope { start }, vec![x, frequencies]))
    }

    /// `w · ((x − mean) · rsqrt(var + eps)) + b` over groups of channels, as `lantern_models::nn::group_norm` builds it.
    fn group_norm(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let (scaled, bias) = self.binary(id, Binary::Add)?;
        let (normed, weight) = self.binary(scaled, Binary::Mul)?;
        let (centred, scale) = self.binary(self.reshape(normed)?, Binary::Mul)?;
        let (grouped, mean) = self.binary(centred, Binary::Sub)?;
        let x = self.reshape(grouped)?;
        let [_, pixels, groups, per_group] = self.node(grouped).shape.0[..] else { return None };
        let count = pixels.fixed()? * per_group.fixed()?;
        let over_group = |sum: NodeId, of: NodeId| {
            let outer = self.node(sum);
            let inner = self.node(*outer.inputs.first()?);
            let sums = |axis| Op::Reduce { op: Reduction::Sum, axis };
            (outer.op == sums(1) && inner.op == sums(3) && inner.inputs[0] == of).then_some(())
        };
        let (total, mul, zero) = self.affine(mean)?;
        over_group(total, grouped)?;
        let (squares_total, square_mul, eps) = self.affine(self.unary(scale, Unary::Rsqrt)?)?;
        let squares = self.node(*self.node(squares_total).inputs.first()?).inputs.first().copied()?;
        over_group(squares_total, squares)?;
        let share = 1.0 / count as f32;
        let row = |id: NodeId| {
            let shape = &self.node(id).shape;
            shape.rank() == 1 && shape.back(0) == self.node(x).shape.back(0)
        };
        (self.binary(squares, Binary::Mul)? == (centred, centred)
            && (mul, zero, square_mul) == (share, 0.0, share)
            && self.node(x).shape == self.node(id).shape
            && self.node(x).shape.rank() == 4
            && row(weight)
            && row(bias))
        .then(|| (Op::GroupNorm { groups: groups.fixed().unwrap_or(1), eps, silu: false }, vec![x, weight, bias]))
    }

    /// What an activation is applied to, and how often the activation itself reads it.
    fn activation(&self, id: NodeId) -> Option<(NodeId, Activation, usize)> {
        let one = |op, activation| self.unary(id, op).map(|x| (x, activation, 1));
        let silu = || {
            let (x, gate) = self.binary(id, Binary::Mul)?;
            let only_here = self.uses[gate.0 as usize] == 1;
            (self.unary(gate, Unary::Sigmoid)? == x && only_here).then_some((x, Activation::Silu, 2))
        };
        one(Unary::Relu, Activation::Relu)
            .or_else(|| one(Unary::Tanh, Activation::Tanh))
            .or_else(|| one(Unary::Sigmoid, Activation::Sigmoid))
            .or_else(silu)
    }

    /// A group norm, with the SiLU after it where nothing else reads what is between.
    fn norm_and_activation(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let Some((x, Activation::Silu, reads)) = self.activation(id) else { return self.group_norm(id) };
        if self.uses[x.0 as usize] != reads {
            return None;
        }
        match self.group_norm(x)? {
            (Op::GroupNorm { groups, eps, .. }, inputs) => Some((Op::GroupNorm { groups, eps, silu: true }, inputs)),
            _ => None,
        }
    }

    /// A product with what is done to its result: `activation(product + bias + residual)`, the additions in any order and
    /// each optional. Only where nothing else reads what lies between, since the product would be computed again.
    fn product(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let (mut at, activation) = match self.activation(id) {
            Some((x, activation, reads)) if self.uses[x.0 as usize] == reads => (x, Some(activation)),
            _ => (id, None),
        };
        let (mut bias, mut residual) = (None, None);
        let product = loop {
            if matches!(self.node(at).op, Op::Linear { transposed: false } | Op::Conv2d { .. }) {
                break at;
            }
            let (a, b) = self.binary(at, Binary::Add)?;
            let step = [(a, b), (b, a)].into_iter().find_map(|(inner, other)| {
                self.leads_to_product(inner).then_some(())?;
                let (shape, added) = (&self.node(inner).shape, &self.node(other).shape);
                let is_bias = added.rank() == 1 && added.back(0) == shape.back(0) && shape.rank() > 1;
                (is_bias && bias.is_none() || added == shape && residual.is_none()).then_some((inner, other, is_bias))
            });
            let (inner, other, is_bias) = step?;
            *(if is_bias { &mut bias } else { &mut residual }) = Some(other);
            at = inner;
        };
        let node = self.node(product);
        let epilogue = Epilogue { bias: bias.is_some(), residual: residual.is_some(), activation };
        let (mut x, w) = (node.inputs[0], node.inputs[1]);
        let op = match node.op {
            Op::Conv2d { window, groups } => {
                let upsample = self.enlarged(x);
                x = upsample.map_or(x, |(from, _)| from);
                Op::FusedConv2d { window, groups, upsample: upsample.map_or(1, |(_, times)| times), epilogue }
            }
            _ => Op::FusedLinear { epilogue },
        };
        let plain = epilogue == Epilogue::default() && !matches!(op, Op::FusedConv2d { upsample: 2.., .. });
        let inputs = [Some(x), Some(w), bias, residual].into_iter().flatten().collect();
        (!plain).then_some((op, inputs))
    }

    /// Does a product stand at the end of additions here, each read once?
    fn leads_to_product(&self, id: NodeId) -> bool {
        self.uses[id.0 as usize] == 1
            && match &self.node(id).op {
                Op::Linear { transposed: false } | Op::Conv2d { .. } => true,
                Op::Binary(Binary::Add) => self.node(id).inputs.iter().any(|input| self.leads_to_product(*input)),
                _ => false,
            }
    }

    /// A picture that was enlarged a whole number of times, and only for the one who asks.
    fn enlarged(&self, id: NodeId) -> Option<(NodeId, usize)> {
        let node = self.node(id);
        if node.op != (Op::Resize { mode: ResizeMode::Nearest }) || self.uses[id.0 as usize] != 1 {
            return None;
        }
        let side = |node: &Node, axis: usize| node.shape.0[axis].fixed();
        let from = self.node(node.inputs[0]);
        let (h, w, oh, ow) = (side(from, 1)?, side(from, 2)?, side(node, 1)?, side(node, 2)?);
        let times = oh / h;
        (times > 1 && oh == h * times && ow == w * times).then_some((node.inputs[0], times))
    }
}
