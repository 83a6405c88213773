//! What benchmarks run, with random weights: stacks of convolutions, described as data (spec.rs), for `bench conv` on every
//! engine; whole Llamas (llama.rs) and conversations with them (chat.rs), for `bench chat`.
//!
//! What must stay true: no visitor downloads it. The page's engine has it only where `lantern-web`'s feature `bench` is on.

mod chat;
mod llama;
mod spec;

use std::rc::Rc;

use lantern_graph::{
    Bindings, Cancel, Class, DType, Error, Executor, Graph, NodeId, ResizeMode, Result, Session, Unary, Value, Window,
};
use lantern_models::nn;
use lantern_weights::fill_values;
use serde::de::DeserializeOwned;

pub use chat::{Bare, ChatBench, HostTime, chat_model, converse, median};
pub use llama::{LlamaShape, RandomLlama};
pub use spec::{Activation, Layer, Parameter, Stack};

fn wrong(cause: String) -> Error {
    Error::new("stack.shape", cause, "check the stack's description")
}

/// One stack from its JSON, or with `Vec<Stack>` several.
///
/// # Errors
/// `stack.json`.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|error| Error::new("stack.json", error.to_string(), "compare it with benches/stacks.json"))
}

/// The stack as primitives: the input `x`, `[1, h, w, c]`, and the output `y`.
///
/// # Errors
/// `stack.shape` when the description does not fit together.
pub fn graph(stack: &Stack) -> Result<Graph> {
    let shapes = stack.shapes().map_err(wrong)?;
    let channels_in = stack.channels_in().map_err(wrong)?;
    let mut g = Graph::new();
    let [h, w, c] = stack.input;
    let mut values: Vec<NodeId> = vec![g.input("x", [1, h, w, c], DType::F32)];
    for (before, (layer, channels)) in stack.layers.iter().zip(channels_in).enumerate() {
        let (number, from) = (before + 1, layer.from.unwrap_or(before));
        g.scope(&number.to_string());
        let mut x = values[from];
        if let Some(groups) = layer.group_norm {
            let [weight, bias] = spec::norm_names(number);
            let (weight, bias) =
                (g.weight(&weight, &[channels], DType::F32)?, g.weight(&bias, &[channels], DType::F32)?);
            let normed = nn::group_norm(&mut g, x, weight, bias, groups, spec::EPS)?;
            x = nn::silu(&mut g, normed)?;
        }
        if layer.upsample > 1 {
            let [h, w, _] = shapes[from];
            x = g.resize(x, ResizeMode::Nearest, [h * layer.upsample, w * layer.upsample])?;
        }
        let shape = [layer.out, layer.kernel, layer.kernel, channels / layer.groups];
        let filter = g.weight(&spec::filter_name(number), &shape, DType::F32)?;
        let window = Window::square(layer.kernel, layer.stride, layer.kernel / 2);
        x = g.conv2d(x, filter, window, layer.groups)?;
        let bias = g.weight(&spec::bias_name(number), &[layer.out], DType::F32)?;
        x = g.add(x, bias)?;
        if let Some(residual) = layer.residual {
            x = g.add(x, values[residual])?;
        }
        x = match layer.activation {
            Activation::None => x,
            Activation::Relu => g.unary(Unary::Relu, x)?,
            Activation::Silu => nn::silu(&mut g, x)?,
        };
        values.push(x);
    }
    if let Some(y) = values.last() {
        g.output("y", *y);
    }
    Ok(g)
}

/// A stack on a device, ready to run.
pub struct LoadedStack<E: Executor> {
    pub session: E::Session,
    pub plan: <E::Session as Session>::Plan,
    pub bindings: Bindings,
}

impl<E: Executor> LoadedStack<E> {
    /// Makes the weights, in chunks, and the plan.
    ///
    /// # Errors
    /// `stack.shape`; the executor's own; `run.cancelled`.
    pub async fn load(executor: &E, stack: &Stack, cancel: &Cancel) -> Result<Self> {
        let graph = graph(stack)?;
        let weights = executor.allocate_weights(&graph.weights)?;
        for parameter in stack.parameters().map_err(wrong)? {
            let Some(spec) = graph.weights.iter().find(|spec| spec.name == parameter.name) else { continue };
            fill_values(executor, &weights, &spec.name, &stack.values(&parameter), spec.row_bytes() / 4, cancel)
                .await?;
        }
        let mut session = executor.session(Class::Picture);
        let plan = session.compile(&graph, &Rc::new(weights), cancel).await?;
        Ok(Self { session, plan, bindings: Bindings::new(&graph, &[])? })
    }

    /// The result for a picture `[h, w, c]`.
    ///
    /// # Errors
    /// `graph.input` for another number of values; the executor's own; `run.cancelled`.
    pub async fn run(&mut self, picture: Vec<f32>, cancel: &Cancel) -> Result<Vec<f32>> {
        self.session.run(&self.plan, &self.bindings, &[("x", Value::F32(picture))], cancel).await?;
        self.session.read(&self.plan, "y").await?.into_f32()
    }

    /// Dispatches (GPU) or operations (CPU) of one run.
    pub fn dispatches(&self) -> usize {
        self.session.dispatches(&self.plan)
    }
}
