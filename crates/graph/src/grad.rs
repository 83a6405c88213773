//! Reverse-mode differentiation of primitives (Griewank and Walther 2008, "Evaluating Derivatives", ch. 3).
//!
//! The derivatives are primitives too, so what runs a graph forwards trains it. Weights are constants; what is trained
//! is a state. Backward through a quantized `linear` gives the gradient of its input alone.

use crate::ops::attention;
use crate::shape::{Dim, Shape};
use crate::{Binary, DType, Error, Graph, Index, NodeId, Op, Reduction, Result, Unary};

/// Appends the gradient of `loss` (one element) for each node of `wrt`, shaped like that node.
///
/// # Errors
/// `graph.grad` when the loss is not one element, a wanted node does not reach it, or an operation between them has no
/// derivative (fused ones, writes, resizing a symbol's number of pictures).
pub fn backward(graph: &mut Graph, loss: NodeId, wrt: &[NodeId]) -> Result<Vec<NodeId>> {
    let count = graph.shape(loss).count();
    if count.factor != 1 || !count.symbols.is_empty() {
        return Err(grad_error(format!("the loss has shape {}, not one element", graph.shape(loss))));
    }
    let needed = reaches(graph, wrt, loss);
    let mut grads: Vec<Option<NodeId>> = vec![None; loss.0 as usize + 1];
    let one = graph.scalar(1.0);
    grads[loss.0 as usize] = Some(graph.reshape(one, graph.shape(loss).clone())?);

    for i in (0..=loss.0).rev() {
        let id = NodeId(i);
        let (Some(dy), true) = (grads[i as usize], needed[i as usize]) else { continue };
        for (input, dx) in adjoints(graph, id, dy, &needed)? {
            let slot = input.0 as usize;
            grads[slot] = Some(match grads[slot] {
                Some(sum) => graph.add(sum, dx)?,
                None => dx,
            });
        }
    }
    wrt.iter()
        .map(|id| {
            grads.get(id.0 as usize).copied().flatten().ok_or_else(|| {
                grad_error(format!("node {} ({}) does not reach the loss", id.0, graph.node(*id).op.name()))
            })
        })
        .collect()
}

fn grad_error(cause: String) -> Error {
    Error::new("graph.grad", cause, "differentiate primitives between trained states and a scalar loss")
}

/// Nodes on a path from `wrt` to the loss: only these get a gradient.
fn reaches(graph: &Graph, wrt: &[NodeId], loss: NodeId) -> Vec<bool> {
    let mut needed = vec![false; loss.0 as usize + 1];
    for id in graph.ids().take(needed.len()) {
        let i = id.0 as usize;
        needed[i] = wrt.contains(&id) || graph.node(id).inputs.iter().any(|input| needed[input.0 as usize]);
    }
    needed
}

/// What each input's gradient gains from the gradient `dy` of node `id`.
fn adjoints(g: &mut Graph, id: NodeId, dy: NodeId, needed: &[bool]) -> Result<Vec<(NodeId, NodeId)>> {
    let node = g.node(id).clone();
    let inputs = node.inputs.clone();
    let wants = |i: usize| needed[inputs[i].0 as usize];
    let mut out = Vec::new();
    match node.op {
        ref op if op.is_leaf() => {}
        Op::Unary(op) => out.push((inputs[0], unary_adjoint(g, op, inputs[0], id, dy)?)),
        Op::Affine { mul, .. } => out.push((inputs[0], g.affine(dy, mul, 0.0)?)),
        Op::Binary(op) => {
            for side in 0..2 {
                if wants(side)
                    && let Some(full) = binary_adjoint(g, op, inputs[0], inputs[1], dy, side)?
                {
                    let shape = g.shape(inputs[side]).clone();
                    out.push((inputs[side], sum_to(g, full, &shape)?));
                }
            }
        }
        Op::Reduce { op: Reduction::Sum, .. } => out.push((inputs[0], g.broadcast(dy, g.shape(inputs[0]).clone())?)),
        Op::Reduce { op: Reduction::Max, .. } => {
            // Every element equal to the maximum gets the gradient, as candle and PyTorch's amax (undivided) do not agree
            // on ties; a softmax's shift cancels either way.
            let hit = g.binary(Binary::Equal, inputs[0], id)?;
            out.push((inputs[0], g.mul(hit, dy)?));
        }
        Op::MatMul { transpose_a: ta, transpose_b: tb } => {
            let (a, b) = (inputs[0], inputs[1]);
            if wants(0) {
                let full = if ta { g.matmul(b, dy, tb, true)? } else { g.matmul(dy, b, false, !tb)? };
                let shape = g.shape(a).clone();
                out.push((a, sum_to(g, full, &shape)?));
            }
            if wants(1) {
                let full = if tb { g.matmul(dy, a, true, ta)? } else { g.matmul(a, dy, !ta, false)? };
                let shape = g.shape(b).clone();
                out.push((b, sum_to(g, full, &shape)?));
            }
        }
        Op::Linear { transposed } => {
            let (x, w) = (inputs[0], inputs[1]);
            if wants(0) {
                out.push((x, if transposed { g.linear(dy, w)? } else { g.linear_transposed(dy, w)? }));
            }
            if wants(1) && g.node(w).dtype == DType::F32 {
                out.push((w, if transposed { g.matmul(x, dy, true, false)? } else { g.matmul(dy, x, true, false)? }));
            }
        }
        // A convolution, its adjoint in the picture and its adjoint in the filter are one trilinear form seen from three
        // sides, so their derivatives are each other.
        Op::Conv2d { window, groups } => {
            let (x, w) = (inputs[0], inputs[1]);
            if wants(0) {
                let size = sides(g, x);
                out.push((x, g.conv2d_transposed(dy, w, window, groups, size)?));
            }
            if wants(1) && g.node(w).dtype == DType::F32 {
                out.push((w, g.conv2d_filter(x, dy, window, groups)?));
            }
        }
        Op::Conv2dTransposed { window, groups } => {
            let (y, w) = (inputs[0], inputs[1]);
            if wants(0) {
                out.push((y, g.conv2d(dy, w, window, groups)?));
            }
            if wants(1) && g.node(w).dtype == DType::F32 {
                out.push((w, g.conv2d_filter(dy, y, window, groups)?));
            }
        }
        Op::Conv2dFilter { window, groups } => {
            let (x, y) = (inputs[0], inputs[1]);
            if wants(0) {
                let size = sides(g, x);
                out.push((x, g.conv2d_transposed(y, dy, window, groups, size)?));
            }
            if wants(1) {
                out.push((y, g.conv2d(x, dy, window, groups)?));
            }
        }
        Op::MaxPool { window } => out.push((inputs[0], g.max_pool_adjoint(inputs[0], id, dy, window)?)),
        Op::Resize { mode } => out.push((inputs[0], g.resize_adjoint(inputs[0], dy, mode)?)),
        Op::Reshape => out.push((inputs[0], g.reshape(dy, g.shape(inputs[0]).clone())?)),
        Op::Broadcast => {
            let shape = g.shape(inputs[0]).clone();
            out.push((inputs[0], sum_to(g, dy, &shape)?));
        }
        Op::Permute(order) => {
            let mut inverse = vec![0; order.len()];
            for (to, &from) in order.iter().enumerate() {
                inverse[from] = to;
            }
            out.push((inputs[0], g.permute(dy, &inverse)?));
        }
        Op::Slice { axis, start } => {
            let whole = g.shape(inputs[0]).0[axis];
            out.push((inputs[0], g.pad(dy, axis, start, whole)?));
        }
        Op::Pad { axis, start } => {
            let part = g.shape(inputs[0]).0[axis];
            out.push((inputs[0], g.slice(dy, axis, start, part)?));
        }
        Op::Concat { axis } => {
            let mut start = 0;
            for &input in &inputs {
                let len = g.shape(input).0[axis].bound(g);
                if needed[input.0 as usize] {
                    out.push((input, g.slice(dy, axis, Index::Fixed(start), len)?));
                }
                start += len;
            }
        }
        Op::Gather => {
            if wants(0) {
                let (table, ids) = (inputs[0], inputs[1]);
                let (rows, columns) = (g.shape(table).0[0].bound(g), g.shape(table).0[1]);
                let count = match g.shape(ids).0[..] {
                    [n] => n,
                    _ => Dim::Fixed(g.shape(ids).count().bound(g)),
                };
                let flat_ids = g.reshape(ids, [count])?;
                let flat_dy = g.reshape(dy, [count, columns])?;
                out.push((table, g.scatter_add(flat_ids, flat_dy, rows)?));
            }
        }
        Op::ScatterAdd => {
            if wants(1) {
                out.push((inputs[1], g.gather(dy, inputs[0])?));
            }
        }
        Op::Attention(attention) => {
            let gradients = attention::adjoint(g, id, dy, &attention)?;
            out.extend(inputs.iter().copied().zip(gradients));
        }
        ref op => return Err(grad_error(format!("{} has no derivative", op.name()))),
    }
    out.retain(|(input, _)| needed[input.0 as usize]);
    Ok(out)
}

/// Height and width of a picture.
fn sides(g: &Graph, x: NodeId) -> [usize; 2] {
    [g.shape(x).0[1].bound(g), g.shape(x).0[2].bound(g)]
}

/// `dy · f'(x)`, from the result `y` where that is cheaper.
fn unary_adjoint(g: &mut Graph, op: Unary, x: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
    match op {
        Unary::Exp => g.mul(dy, y),
        Unary::Log => g.div(dy, x),
        Unary::Sqrt => {
            let half = g.affine(dy, 0.5, 0.0)?;
            g.div(half, y)
        }
        Unary::Rsqrt => {
            let y2 = g.mul(y, y)?;
            let y3 = g.mul(y2, y)?;
            let slope = g.affine(y3, -0.5, 0.0)?;
            g.mul(dy, slope)
        }
        Unary::Recip => {
            let y2 = g.mul(y, y)?;
            let slope = g.affine(y2, -1.0, 0.0)?;
            g.mul(dy, slope)
        }
        Unary::Sin => {
            let slope = g.unary(Unary::Cos, x)?;
            g.mul(dy, slope)
        }
        Unary::Cos => {
            let sin = g.unary(Unary::Sin, x)?;
            let slope = g.affine(sin, -1.0, 0.0)?;
            g.mul(dy, slope)
        }
        Unary::Tanh => {
            let y2 = g.mul(y, y)?;
            let slope = g.affine(y2, -1.0, 1.0)?;
            g.mul(dy, slope)
        }
        Unary::Sigmoid => {
            let rest = g.affine(y, -1.0, 1.0)?;
            let slope = g.mul(y, rest)?;
            g.mul(dy, slope)
        }
        Unary::Relu => {
            let zero = g.scalar(0.0);
            let positive = g.binary(Binary::Greater, x, zero)?;
            g.mul(dy, positive)
        }
    }
}

/// The gradient of one side, in the broadcast shape; `None` where it is zero everywhere.
fn binary_adjoint(g: &mut Graph, op: Binary, a: NodeId, b: NodeId, dy: NodeId, side: usize) -> Result<Option<NodeId>> {
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

/// Sums a broadcast gradient back to the shape it was stretched from.
fn sum_to(g: &mut Graph, mut dy: NodeId, target: &Shape) -> Result<NodeId> {
    let from = g.shape(dy).clone();
    for axis in 0..from.rank() {
        let kept = target.back(from.rank() - 1 - axis);
        if kept.is_one() && !from.0[axis].is_one() {
            dy = g.sum(dy, axis)?;
        }
    }
    if g.shape(dy) == target { Ok(dy) } else { g.reshape(dy, target.clone()) }
}
