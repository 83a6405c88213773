//! Reverse-mode differentiation of primitives (Griewank and Walther 2008, "Evaluating Derivatives", ch. 3).
//!
//! The derivatives are primitives too, so what runs a graph forwards trains it. Weights are constants; what is trained
//! is a state. Backward through a quantized `linear` gives the gradient of its input alone.

use crate::ops::{self, Back};
use crate::{Error, Graph, Node, NodeId, Result};

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
        let Node { op, inputs, .. } = graph.node(id).clone();
        let at = Back { id, inputs: &inputs, dy, needed: &needed };
        let gradients =
            ops::gradients(graph, &op, &at)?.ok_or_else(|| grad_error(format!("{} has no derivative", op.name())))?;
        for (input, dx) in gradients.into_iter().filter(|(input, _)| at.wants(*input)) {
            let slot = inputs[input].0 as usize;
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
