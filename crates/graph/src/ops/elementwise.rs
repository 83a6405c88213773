//! Element by element.

use super::{Back, Gradients, shape_error};
use crate::{Binary, DType, Graph, NodeId, Op, Result, Unary};

impl Graph {
    pub fn unary(&mut self, op: Unary, x: NodeId) -> Result<NodeId> {
        self.want_f32("unary", x)?;
        Ok(self.push(Op::Unary(op), &[x], self.shape(x).clone(), DType::F32))
    }

    /// `x · mul + add`.
    pub fn affine(&mut self, x: NodeId, mul: f32, add: f32) -> Result<NodeId> {
        self.want_f32("affine", x)?;
        Ok(self.push(Op::Affine { mul, add }, &[x], self.shape(x).clone(), DType::F32))
    }

    /// Both sides right-aligned; a dimension of 1 stretches.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.want_f32("binary", a)?;
        self.want_f32("binary", b)?;
        let shape = self.shape(a).broadcast(self.shape(b)).ok_or_else(|| {
            shape_error("binary", format!("{} and {} do not broadcast", self.shape(a), self.shape(b)))
        })?;
        Ok(self.push(Op::Binary(op), &[a, b], shape, DType::F32))
    }

    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Add, a, b)
    }

    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Sub, a, b)
    }

    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Mul, a, b)
    }

    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Div, a, b)
    }
}

pub(crate) fn unary_gradient(g: &mut Graph, at: &Back, op: Unary) -> Result<Gradients> {
    let (x, y, dy) = (at.inputs[0], at.id, at.dy);
    let dx = match op {
        Unary::Exp => g.mul(dy, y)?,
        Unary::Log => g.div(dy, x)?,
        Unary::Sqrt => {
            let half = g.affine(dy, 0.5, 0.0)?;
            g.div(half, y)?
        }
        Unary::Rsqrt => {
            let y2 = g.mul(y, y)?;
            let y3 = g.mul(y2, y)?;
            let slope = g.affine(y3, -0.5, 0.0)?;
            g.mul(dy, slope)?
        }
        Unary::Recip => {
            let y2 = g.mul(y, y)?;
            let slope = g.affine(y2, -1.0, 0.0)?;
            g.mul(dy, slope)?
        }
        Unary::Sin => {
            let slope = g.unary(Unary::Cos, x)?;
            g.mul(dy, slope)?
        }
        Unary::Cos => {
            let sin = g.unary(Unary::Sin, x)?;
            let slope = g.affine(sin, -1.0, 0.0)?;
            g.mul(dy, slope)?
        }
        Unary::Tanh => {
            let y2 = g.mul(y, y)?;
            let slope = g.affine(y2, -1.0, 1.0)?;
            g.mul(dy, slope)?
        }
        Unary::Sigmoid => {
            let rest = g.affine(y, -1.0, 1.0)?;
            let slope = g.mul(y, rest)?;
            g.mul(dy, slope)?
        }
        Unary::Relu => {
            let zero = g.scalar(0.0);
            let positive = g.binary(Binary::Greater, x, zero)?;
            g.mul(dy, positive)?
        }
    };
    Ok(vec![(0, dx)])
}

pub(crate) fn affine_gradient(g: &mut Graph, at: &Back, mul: f32) -> Result<Gradients> {
    Ok(vec![(0, g.affine(at.dy, mul, 0.0)?)])
}

pub(crate) fn binary_gradient(g: &mut Graph, at: &Back, op: Binary) -> Result<Gradients> {
    let mut out = Vec::new();
    for side in 0..2 {
        if at.wants(side)
            && let Some(full) = side_gradient(g, op, at.inputs[0], at.inputs[1], at.dy, side)?
        {
            out.push((side, g.sum_to(full, at.inputs[side])?));
        }
    }
    Ok(out)
}

/// The gradient of one side, in the broadcast shape; `None` where it is zero everywhere.
fn side_gradient(g: &mut Graph, op: Binary, a: NodeId, b: NodeId, dy: NodeId, side: usize) -> Result<Option<NodeId>> {
    let left = side == 0;
    Ok(Some(match op {
        Binary::Add => dy,
        Binary::Sub if left => dy,
        Binary::Sub => g.affine(dy, -1.0, 0.0)?,
        Binary::Mul => g.mul(dy, if left { b } else { a })?,
        Binary::Div if left => g.div(dy, b)?,
        Binary::Div => {
            let b2 = g.mul(b, b)?;
            let ratio = g.div(a, b2)?;
            let slope = g.affine(ratio, -1.0, 0.0)?;
            g.mul(dy, slope)?
        }
        Binary::Max => {
            // A tie's gradient goes to the right side, whole.
            let left_wins = g.binary(Binary::Greater, a, b)?;
            let share = if left { left_wins } else { g.affine(left_wins, -1.0, 1.0)? };
            g.mul(dy, share)?
        }
        Binary::Greater | Binary::Equal => return Ok(None),
    }))
}

impl Graph {
    /// Sums a broadcast gradient back to the shape of what was stretched.
    pub(super) fn sum_to(&mut self, mut dy: NodeId, of: NodeId) -> Result<NodeId> {
        let (from, target) = (self.shape(dy).clone(), self.shape(of).clone());
        for axis in 0..from.rank() {
            let kept = target.back(from.rank() - 1 - axis);
            if kept.is_one() && !from.0[axis].is_one() {
                dy = self.sum(dy, axis)?;
            }
        }
        if *self.shape(dy) == target { Ok(dy) } else { self.reshape(dy, target) }
    }
}
