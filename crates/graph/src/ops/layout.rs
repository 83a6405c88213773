//! The same elements in another shape or order, or a part of them.

use super::{Back, Gradients, shape_error};
use crate::shape::{Dim, Shape};
use crate::{DType, Graph, Index, NodeId, Op, Result};

impl Graph {
    /// The same elements in the same order.
    pub fn reshape(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        if self.shape(x).count() != shape.count() {
            return Err(shape_error("reshape", format!("{} has other elements than {shape}", self.shape(x))));
        }
        Ok(self.push(Op::Reshape, &[x], shape, self.node(x).dtype))
    }

    /// Stretches dimensions of 1, right-aligned.
    pub fn broadcast(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        self.want_f32("broadcast", x)?;
        if self.shape(x).broadcast(&shape).as_ref() != Some(&shape) {
            return Err(shape_error("broadcast", format!("{} to {shape}", self.shape(x))));
        }
        Ok(self.push(Op::Broadcast, &[x], shape, DType::F32))
    }

    /// Dimension `i` of the result is dimension `order[i]` of x.
    pub fn permute(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId> {
        self.want_f32("permute", x)?;
        let shape = self.shape(x);
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != (0..shape.rank()).collect::<Vec<_>>() {
            return Err(shape_error("permute", format!("{order:?} does not permute {shape}")));
        }
        let shape = Shape(order.iter().map(|&i| shape.0[i]).collect());
        Ok(self.push(Op::Permute(order.to_vec()), &[x], shape, DType::F32))
    }

    /// `len` elements of `axis` from `start`. With symbols, the caller binds them so that it stays inside.
    pub fn slice(&mut self, x: NodeId, axis: usize, start: Index, len: impl Into<Dim>) -> Result<NodeId> {
        self.want_f32("slice", x)?;
        let len = len.into();
        let mut shape = self.axis_of("slice", x, axis)?;
        if let (Index::Fixed(s), Dim::Fixed(l), Dim::Fixed(whole)) = (start, len, shape.0[axis])
            && s + l > whole
        {
            return Err(shape_error("slice", format!("{s}..{} of axis {axis} of {}", s + l, self.shape(x))));
        }
        shape.0[axis] = len;
        Ok(self.push(Op::Slice { axis, start }, &[x], shape, DType::F32))
    }

    /// Zeros with `axis` as long as `len`, and x from `start`: the adjoint of `slice`.
    pub fn pad(&mut self, x: NodeId, axis: usize, start: Index, len: impl Into<Dim>) -> Result<NodeId> {
        self.want_f32("pad", x)?;
        let mut shape = self.axis_of("pad", x, axis)?;
        shape.0[axis] = len.into();
        Ok(self.push(Op::Pad { axis, start }, &[x], shape, DType::F32))
    }

    /// Joins along a fixed axis; all else equal.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId> {
        let first = *parts.first().ok_or_else(|| shape_error("concat", "no parts".into()))?;
        let mut shape = self.axis_of("concat", first, axis)?;
        let mut total = 0;
        for &part in parts {
            self.want_f32("concat", part)?;
            let mut dims = self.axis_of("concat", part, axis)?;
            let length = dims.0[axis].fixed();
            dims.0[axis] = shape.0[axis];
            let Some(length) = length.filter(|_| dims == shape) else {
                return Err(shape_error(
                    "concat",
                    format!("{} and {} on axis {axis}", self.shape(first), self.shape(part)),
                ));
            };
            total += length;
        }
        shape.0[axis] = Dim::Fixed(total);
        Ok(self.push(Op::Concat { axis }, parts, shape, DType::F32))
    }
}

pub(crate) fn reshape_gradient(g: &mut Graph, at: &Back) -> Result<Gradients> {
    Ok(vec![(0, g.reshape(at.dy, g.shape(at.inputs[0]).clone())?)])
}

pub(crate) fn broadcast_gradient(g: &mut Graph, at: &Back) -> Result<Gradients> {
    Ok(vec![(0, g.sum_to(at.dy, at.inputs[0])?)])
}

pub(crate) fn permute_gradient(g: &mut Graph, at: &Back, order: &[usize]) -> Result<Gradients> {
    let mut inverse = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        inverse[from] = to;
    }
    Ok(vec![(0, g.permute(at.dy, &inverse)?)])
}

pub(crate) fn slice_gradient(g: &mut Graph, at: &Back, axis: usize, start: Index) -> Result<Gradients> {
    let whole = g.shape(at.inputs[0]).0[axis];
    Ok(vec![(0, g.pad(at.dy, axis, start, whole)?)])
}

pub(crate) fn pad_gradient(g: &mut Graph, at: &Back, axis: usize, start: Index) -> Result<Gradients> {
    let part = g.shape(at.inputs[0]).0[axis];
    Ok(vec![(0, g.slice(at.dy, axis, start, part)?)])
}

pub(crate) fn concat_gradient(g: &mut Graph, at: &Back, axis: usize) -> Result<Gradients> {
    let (mut out, mut start) = (Vec::new(), 0);
    for (i, &input) in at.inputs.iter().enumerate() {
        let len = g.shape(input).0[axis].bound(g);
        if at.wants(i) {
            out.push((i, g.slice(at.dy, axis, Index::Fixed(start), len)?));
        }
        start += len;
    }
    Ok(out)
}
