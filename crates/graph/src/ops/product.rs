//! Matrix products.

use super::{Back, Gradients, shape_error};
use crate::shape::Shape;
use crate::{DType, Graph, NodeId, Op, Result};

impl Graph {
    /// `[…, m, k] × […, k, n]` → `[…, m, n]`, either side given transposed; leading dimensions broadcast.
    pub fn matmul(&mut self, a: NodeId, b: NodeId, transpose_a: bool, transpose_b: bool) -> Result<NodeId> {
        self.want_f32("matmul", a)?;
        self.want_f32("matmul", b)?;
        let (sa, sb) = (self.shape(a).clone(), self.shape(b).clone());
        let wrong =
            || shape_error("matmul", format!("{sa} (transposed: {transpose_a}) × {sb} (transposed: {transpose_b})"));
        if sa.rank() < 2 || sb.rank() < 2 {
            return Err(wrong());
        }
        let (m, ka) = if transpose_a { (sa.back(0), sa.back(1)) } else { (sa.back(1), sa.back(0)) };
        let (kb, n) = if transpose_b { (sb.back(0), sb.back(1)) } else { (sb.back(1), sb.back(0)) };
        if ka != kb {
            return Err(wrong());
        }
        let batch = |s: &Shape| Shape(s.0[..s.rank() - 2].to_vec());
        let mut shape = batch(&sa).broadcast(&batch(&sb)).ok_or_else(wrong)?;
        shape.0.extend([m, n]);
        Ok(self.push(Op::MatMul { transpose_a, transpose_b }, &[a, b], shape, DType::F32))
    }

    /// x `[rows, in]`, w `[out, in]` (any dtype) → `[rows, out]`.
    pub fn linear(&mut self, x: NodeId, w: NodeId) -> Result<NodeId> {
        self.linear_op(x, w, false)
    }

    /// x `[rows, out]`, w `[out, in]` (any dtype) → `[rows, in]`: the adjoint of `linear`.
    pub fn linear_transposed(&mut self, x: NodeId, w: NodeId) -> Result<NodeId> {
        self.linear_op(x, w, true)
    }

    fn linear_op(&mut self, x: NodeId, w: NodeId, transposed: bool) -> Result<NodeId> {
        self.want_f32("linear", x)?;
        let (sx, sw) = (self.shape(x), self.shape(w));
        let (k, n) = if transposed { (sw.back(1), sw.back(0)) } else { (sw.back(0), sw.back(1)) };
        if sx.rank() != 2 || sw.rank() != 2 || sx.0[1] != k || self.node(w).dtype == DType::U32 {
            return Err(shape_error("linear", format!("{sx} through {sw} (transposed: {transposed})")));
        }
        let shape = [sx.0[0], n].into();
        Ok(self.push(Op::Linear { transposed }, &[x, w], shape, DType::F32))
    }
}

/// A multiplication and an addition for each term of each result.
pub(crate) fn linear_flops(g: &Graph, id: NodeId, transposed: bool) -> u64 {
    2 * g.elements(id) * g.shape(g.node(id).inputs[1]).back(usize::from(transposed)).bound(g) as u64
}

pub(crate) fn matmul_flops(g: &Graph, id: NodeId, transpose_a: bool) -> u64 {
    2 * g.elements(id) * g.shape(g.node(id).inputs[0]).back(usize::from(transpose_a)).bound(g) as u64
}

pub(crate) fn matmul_gradient(g: &mut Graph, at: &Back, ta: bool, tb: bool) -> Result<Gradients> {
    let (a, b, dy) = (at.inputs[0], at.inputs[1], at.dy);
    let mut out = Vec::new();
    if at.wants(0) {
        let full = if ta { g.matmul(b, dy, tb, true)? } else { g.matmul(dy, b, false, !tb)? };
        out.push((0, g.sum_to(full, a)?));
    }
    if at.wants(1) {
        let full = if tb { g.matmul(dy, a, true, ta)? } else { g.matmul(a, dy, !ta, false)? };
        out.push((1, g.sum_to(full, b)?));
    }
    Ok(out)
}

/// A quantized weight is a constant.
pub(crate) fn linear_gradient(g: &mut Graph, at: &Back, transposed: bool) -> Result<Gradients> {
    let (x, w, dy) = (at.inputs[0], at.inputs[1], at.dy);
    let mut out = Vec::new();
    if at.wants(0) {
        out.push((0, if transposed { g.linear(dy, w)? } else { g.linear_transposed(dy, w)? }));
    }
    if at.wants(1) && g.node(w).dtype == DType::F32 {
        out.push((1, if transposed { g.matmul(x, dy, true, false)? } else { g.matmul(dy, x, true, false)? }));
    }
    Ok(out)
}
