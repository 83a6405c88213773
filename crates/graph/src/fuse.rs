//! Rewrites of primitives to fused operations: one kernel where there would be a dozen, and no temporary between them.
//!
//! A pattern is matched backwards from its last node. What it matched may still be used elsewhere: then it stays as
//! well; what nothing needs any more is dropped.

use crate::{Binary, DType, Graph, Index, Node, NodeId, Op, Reduction, Unary};

/// The graph with fused operations, without dead nodes. Outputs and writes are kept.
pub fn fuse(graph: &Graph) -> Graph {
    let mut fused = graph.clone();
    for id in graph.ids() {
        // Matched on the original, so that a pattern's inner nodes are still primitives; `LinearAdd` last, since an
        // addition ends no other pattern.
        if let Some((op, inputs)) = pattern(graph, id) {
            let node = &mut fused.nodes[id.0 as usize];
            node.op = op;
            node.inputs = inputs;
        }
    }
    // A fused node reads at its pattern's end what the pattern read at its start: a state written in between is then read
    // too late.
    if fused.check_state_order().is_err() { graph.without_dead_nodes().0 } else { fused.without_dead_nodes().0 }
}

fn pattern(graph: &Graph, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
    let m = Matcher { graph };
    m.rms_norm(id)
        .or_else(|| m.softmax(id).map(|x| (Op::Softmax, vec![x])))
        .or_else(|| m.swiglu(id))
        .or_else(|| m.rope(id))
        .or_else(|| m.attention(id))
        .or_else(|| m.linear_add(id))
}

struct Matcher<'g> {
    graph: &'g Graph,
}

impl Matcher<'_> {
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

    fn permute(&self, id: NodeId, order: &[usize]) -> Option<NodeId> {
        let node = self.node(id);
        matches!(&node.op, Op::Permute(o) if o == order).then(|| node.inputs[0])
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

    /// Scaled, causally masked dot-product attention with grouped queries, as `lantern_models::nn::attention` builds it.
    fn attention(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let product = self.permute(id, &[2, 0, 1, 3])?;
        let plain = Op::MatMul { transpose_a: false, transpose_b: false };
        if self.node(product).op != plain {
            return None;
        }
        let (weights, values) = (self.node(product).inputs[0], self.node(product).inputs[1]);
        let (scores, mask) = self.binary(self.softmax(weights)?, Binary::Add)?;
        let (dots, scale, zero) = self.affine(scores)?;
        if self.node(dots).op != (Op::MatMul { transpose_a: false, transpose_b: true }) || zero != 0.0 {
            return None;
        }
        let q = self.permute(self.node(dots).inputs[0], &[1, 2, 0, 3])?;
        let heads_first = |id: NodeId| self.permute(self.squeeze(id)?, &[1, 0, 2]);
        let (k, v) = (heads_first(self.node(dots).inputs[1])?, heads_first(values)?);
        let start = self.causal_mask(mask)?;
        let kv_len = self.node(k).shape.0[0];
        (self.node(v).shape == self.node(k).shape && self.node(mask).shape.back(0) == kv_len)
            .then(|| (Op::Attention { scale, start }, vec![q, k, v]))
    }

    /// `-big · (key position > query position)`: where the queries start.
    fn causal_mask(&self, id: NodeId) -> Option<Index> {
        let (later, mul, zero) = self.affine(id)?;
        let (keys, queries) = self.binary(later, Binary::Greater)?;
        let Op::Range { start: Index::Fixed(0) } = self.node(keys).op else { return None };
        let Op::Range { start } = self.node(self.squeeze(queries)?).op else { return None };
        (zero == 0.0 && mul <= -1e9 && self.node(queries).shape.back(0).is_one()).then_some(start)
    }

    /// `x · wᵀ + residual`, on either side.
    fn linear_add(&self, id: NodeId) -> Option<(Op, Vec<NodeId>)> {
        let (a, b) = self.binary(id, Binary::Add)?;
        [(a, b), (b, a)].into_iter().find_map(|(product, residual)| {
            let node = self.node(product);
            let fits = node.op == Op::Linear { transposed: false }
                && self.node(residual).shape == node.shape
                && self.node(residual).dtype == DType::F32;
            fits.then(|| (Op::LinearAdd, vec![node.inputs[0], node.inputs[1], residual]))
        })
    }
}
