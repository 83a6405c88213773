//! Adam, written in primitives: the graph that computes a loss also learns from it.

use lantern_graph::{Error, Graph, NodeId, Op, Result, Unary, backward};

/// Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980), with the names of algorithm 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// α, the step size.
    pub learning_rate: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
}

impl Default for AdamOptions {
    /// The paper's suggestions.
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// Appends one step of Adam: the gradients of `loss` (one element) and writes of `params`, which are states.
///
/// The moments are states named `<param>.adam_m` and `<param>.adam_v`. Bias correction needs no step count from the
/// caller: `1 − βᵗ` follows `c ← β c + (1 − β)` from 0, and is a state too (`adam.correction1`, `adam.correction2`).
/// To begin anew, write zeros to all of them.
///
/// # Errors
/// `graph.grad` when a parameter is no state or does not reach the loss.
pub fn adam(g: &mut Graph, loss: NodeId, params: &[NodeId], options: AdamOptions) -> Result<()> {
    let mut names = Vec::with_capacity(params.len());
    for param in params {
        let Op::State(state) = g.node(*param).op else {
            return Err(Error::new(
                "graph.grad",
                format!("node {} ({}) cannot be trained in place", param.0, g.node(*param).op.name()),
                "keep trained parameters in states",
            ));
        };
        names.push(g.states[state.0 as usize].name.clone());
    }
    let gradients = backward(g, loss, params)?;

    let AdamOptions { learning_rate, beta1, beta2, epsilon } = options;
    let mut writes = Vec::new();
    let mut moving = |g: &mut Graph, name: &str, shape: &[usize], beta: f32, value: Option<NodeId>| {
        let state = g.state(name, shape)?;
        let kept = match value {
            Some(value) => {
                let (kept, new) = (g.affine(state, beta, 0.0)?, g.affine(value, 1.0 - beta, 0.0)?);
                g.add(kept, new)?
            }
            // The moving mean of ones.
            None => g.affine(state, beta, 1.0 - beta)?,
        };
        writes.push((state, kept));
        Ok::<NodeId, Error>(kept)
    };
    let correction1 = moving(g, "adam.correction1", &[1], beta1, None)?;
    let correction2 = moving(g, "adam.correction2", &[1], beta2, None)?;
    let mut updated = Vec::with_capacity(params.len());
    for ((&param, &gradient), name) in params.iter().zip(&gradients).zip(&names) {
        // States have fixed shapes: the bound is the shape.
        let shape = g.shape(param).bound(g);
        let square = g.mul(gradient, gradient)?;
        let m = moving(g, &format!("{name}.adam_m"), &shape, beta1, Some(gradient))?;
        let v = moving(g, &format!("{name}.adam_v"), &shape, beta2, Some(square))?;
        let (m, v) = (g.div(m, correction1)?, g.div(v, correction2)?);
        let deviation = g.unary(Unary::Sqrt, v)?;
        let deviation = g.affine(deviation, 1.0, epsilon)?;
        let step = g.div(m, deviation)?;
        let step = g.affine(step, learning_rate, 0.0)?;
        updated.push((param, g.sub(param, step)?));
    }
    // After everything is read.
    for (state, value) in writes.into_iter().chain(updated) {
        g.assign(state, value)?;
    }
    Ok(())
}
