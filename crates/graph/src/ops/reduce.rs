//! Over an axis: sums, the largest, softmax, norms of rows.

use super::{Back, Gradients, shape_error};
use crate::op::MAX_TOP_K;
use crate::shape::{Dim, Shape};
use crate::{Binary, DType, Graph, NodeId, Op, Reduction, Result};

impl Graph {
    /// The axis stays, with length 1.
    pub fn reduce(&mut self, op: Reduction, x: NodeId, axis: usize) -> Result<NodeId> {
        self.want_f32("reduce", x)?;
        let mut shape = self.axis_of("reduce", x, axis)?;
        shape.0[axis] = Dim::Fixed(1);
        Ok(self.push(Op::Reduce { op, axis }, &[x], shape, DType::F32))
    }

    pub fn sum(&mut self, x: NodeId, axis: usize) -> Result<NodeId> {
        self.reduce(Reduction::Sum, x, axis)
    }

    /// `[…, n]` → `[…]` of u32.
    pub fn argmax(&mut self, x: NodeId) -> Result<NodeId> {
        self.want_f32("argmax", x)?;
        let dims = &self.shape(x).0;
        if dims.is_empty() {
            return Err(shape_error("argmax", "a scalar has no axis".into()));
        }
        let shape = Shape(dims[..dims.len() - 1].to_vec());
        Ok(self.push(Op::Argmax, &[x], shape, DType::U32))
    }

    /// `[…, n]` → `[…, 2, k]`: the `k` largest, then their places as f32, exact below 2²⁴ as `range`'s are. `k` is 1 to
    /// [`MAX_TOP_K`] and at most n.
    pub fn top_k(&mut self, x: NodeId, k: usize) -> Result<NodeId> {
        self.want_f32("top_k", x)?;
        let shape = self.shape(x);
        let n = shape.0.last().and_then(|n| n.fixed()).filter(|n| (k.max(1)..1 << 24).contains(n));
        if n.is_none() || !(1..=MAX_TOP_K).contains(&k) {
            return Err(shape_error("top_k", format!("{k} (1 to {MAX_TOP_K}) of the last axis of {shape}")));
        }
        let mut dims = shape.0[..shape.rank() - 1].to_vec();
        dims.extend([Dim::Fixed(2), Dim::Fixed(k)]);
        Ok(self.push(Op::TopK { k }, &[x], Shape(dims), DType::F32))
    }
}

pub(crate) fn reduce_gradient(g: &mut Graph, at: &Back, op: Reduction) -> Result<Gradients> {
    let dx = match op {
        Reduction::Sum => g.broadcast(at.dy, g.shape(at.inputs[0]).clone())?,
        // Every element equal to the maximum gets the gradient, as candle and PyTorch's amax (undivided) do not agree
        // on ties; a softmax's shift cancels either way.
        Reduction::Max => {
            let hit = g.binary(Binary::Equal, at.inputs[0], at.id)?;
            g.mul(hit, at.dy)?
        }
    };
    Ok(vec![(0, dx)])
}
