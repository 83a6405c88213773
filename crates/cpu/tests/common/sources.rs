//! Two networks, each defined once, that run from weights, learn in states, and learn a low-rank delta over a quantized
//! base. Any executor can be held to them.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeSet;
use std::rc::Rc;

use lantern_graph::{
    Bindings, Cancel, Class, DType, Executor, Graph, NodeId, Reduction, Result, Session, Unary, Value, Window, backward,
};
use lantern_models::adam::{AdamOptions, adam};
use lantern_models::llama::{self, Rope};
use lantern_models::{LowRank, Parameters, Trained, nn};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const PICTURES: usize = 6;
const SIDE: usize = 8;
const CLASSES: usize = 3;
const ROWS: usize = 12;
const VOCAB: usize = 23;
const DELTA: LowRank = LowRank { rank: 4, alpha: 8.0 };
const ADAM: AdamOptions = AdamOptions { learning_rate: 0.02, beta1: 0.9, beta2: 0.99, epsilon: 1e-4 };

pub struct Net {
    pub what: &'static str,
    /// Output `loss`, one element.
    pub build: fn(&Parameters) -> Result<Graph>,
    pub inputs: fn(&mut SmallRng) -> Vec<(&'static str, Value)>,
}

pub const NETS: [Net; 2] = [
    Net { what: "a net of convolutions", build: convolutions, inputs: pictures },
    Net { what: "a llama", build: tiny_llama, inputs: text },
];

/// Convolution, group norm, convolution of stride 2, mean over the picture, linear, cross-entropy.
fn convolutions(params: &Parameters) -> Result<Graph> {
    let mut g = Graph::new();
    let x = g.input("pictures", [PICTURES, SIDE, SIDE, 3], DType::F32);
    let x = nn::conv(&mut g, params, x, "first", 32, Window::same(3), false)?;
    let (weight, bias) = (params.vector(&mut g, "norm.weight", 32)?, params.vector(&mut g, "norm.bias", 32)?);
    let x = nn::group_norm(&mut g, x, weight, bias, 4, 1e-5)?;
    let x = nn::silu(&mut g, x)?;
    let x = nn::conv(&mut g, params, x, "second", 32, Window::square(3, 2, 1), true)?;
    let x = g.unary(Unary::Tanh, x)?;
    let pixels = SIDE * SIDE / 4;
    let x = g.reshape(x, [PICTURES, pixels, 32])?;
    let x = g.reduce(Reduction::Sum, x, 1)?;
    let x = g.affine(x, 1.0 / pixels as f32, 0.0)?;
    let x = g.reshape(x, [PICTURES, 32])?;
    let logits = nn::linear(&mut g, params, x, "head", CLASSES, true)?;
    let targets = g.input("targets", [PICTURES, 1], DType::F32);
    let loss = nn::cross_entropy(&mut g, logits, targets)?;
    g.output("loss", loss);
    Ok(g)
}

fn tiny_llama(params: &Parameters) -> Result<Graph> {
    let config = llama::Config {
        vocab_size: VOCAB,
        hidden_size: 32,
        feed_forward_length: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        rope: Rope::plain(10_000.0),
        attention_scale: None,
        sliding_window: None,
        rms_eps: 1e-5,
        context_length: 16,
        // The table is read by its rows and as a matrix: both learn in one place.
        tied: true,
        biases: BTreeSet::from(["blk.0.attn_q.bias".into(), "blk.1.ffn_down.bias".into()]),
        kv_f16: false,
    };
    llama::learn(&config, params, ROWS)
}

fn pictures(rng: &mut SmallRng) -> Vec<(&'static str, Value)> {
    let pixels = (0..PICTURES * SIDE * SIDE * 3).map(|_| rng.random_range(-1.0..1.0)).collect();
    let targets = (0..PICTURES).map(|_| rng.random_range(0..CLASSES) as f32).collect();
    vec![("pictures", Value::F32(pixels)), ("targets", Value::F32(targets))]
}

fn text(rng: &mut SmallRng) -> Vec<(&'static str, Value)> {
    let ids: Vec<u32> = (0..=ROWS).map(|_| rng.random_range(0..VOCAB as u32)).collect();
    let targets = ids[1..].iter().map(|id| *id as f32).collect();
    vec![("ids", Value::U32(ids[..ROWS].to_vec())), ("targets", Value::F32(targets))]
}

pub fn f32_weights(_: &str) -> DType {
    DType::F32
}

/// All that comes in rows of whole blocks: not the filter of three channels.
pub fn q8_weights(name: &str) -> DType {
    if name == "first.weight" { DType::F32 } else { DType::Q8_0 }
}

pub fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

/// A network's own parameters, by name.
pub type Values = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Of every parameter: norms about 1, the others so that a layer keeps the size of what goes through it.
pub fn values(net: &Net, rng: &mut SmallRng) -> Values {
    let graph = (net.build)(&Parameters::weights(&f32_weights)).unwrap();
    let of = |spec: &lantern_graph::WeightSpec| {
        let norm = spec.name.contains("norm.weight");
        let spread = if norm { 0.2 } else { (3.0 / spec.columns() as f32).sqrt().min(0.7) };
        let middle = if norm { 1.0 } else { 0.0 };
        let values = (0..spec.shape.iter().product()).map(|_| middle + rng.random_range(-spread..spread)).collect();
        (spec.name.clone(), spec.shape.clone(), values)
    };
    graph.weights.iter().map(of).collect()
}

/// A file's bytes. q8_0: 32 values as a factor in f16 and 32 bytes.
fn stored(dtype: DType, values: &[f32]) -> Vec<u8> {
    if dtype == DType::F32 {
        return values.iter().flat_map(|v| v.to_le_bytes()).collect();
    }
    assert_eq!(dtype, DType::Q8_0);
    let block = |block: &[f32]| {
        let factor = half::f16::from_f32(block.iter().fold(0.0f32, |m, v| m.max(v.abs())) / 127.0);
        let scale = 1.0 / factor.to_f32().max(1e-9);
        let codes: Vec<u8> = block.iter().map(|v| (v * scale).round().clamp(-127.0, 127.0) as i8 as u8).collect();
        [&factor.to_le_bytes()[..], &codes].concat()
    };
    values.chunks(32).flat_map(block).collect()
}

/// A graph on an executor, with its weights and states filled.
pub struct Opened<E: Executor> {
    pub session: E::Session,
    pub plan: <E::Session as Session>::Plan,
    bindings: Bindings,
}

pub async fn open<E: Executor>(executor: &E, graph: &Graph, values: &Values, states: &[Trained]) -> Opened<E> {
    let weights = Rc::new(executor.allocate_weights(&graph.weights).unwrap());
    let given = |name: &str| &values.iter().find(|(known, ..)| known == name).expect("a parameter of the network").2;
    for spec in &graph.weights {
        let bytes = stored(spec.dtype, given(&spec.name));
        executor.write_rows(&weights, &spec.name, 0, &bytes).await.unwrap();
    }
    let mut session = executor.session(Class::Training);
    let plan = session.compile(graph, &weights, &Cancel::new()).await.unwrap();
    for state in states {
        let start = state.values(5).unwrap_or_else(|| given(&state.name).clone());
        session.write_state(&state.name, &Value::F32(start)).unwrap();
    }
    Opened { session, plan, bindings: Bindings::new(graph, &[]).unwrap() }
}

impl<E: Executor> Opened<E> {
    pub async fn run(&mut self, inputs: &[(&str, Value)]) -> f32 {
        self.session.run(&self.plan, &self.bindings, inputs, &Cancel::new()).await.unwrap();
        self.read("loss").await[0]
    }

    pub async fn read(&mut self, output: &str) -> Vec<f32> {
        self.session.read(&self.plan, output).await.unwrap().into_f32().unwrap()
    }
}

/// One step of learning, and the states that learn.
pub fn learning(net: &Net, params: &Parameters) -> (Graph, Vec<Trained>) {
    let mut g = (net.build)(params).unwrap();
    let loss = g.find_output("loss").unwrap();
    let nodes = params.nodes(&g).unwrap();
    adam(&mut g, loss, &nodes, ADAM).unwrap();
    (g, params.states())
}

fn near(what: &str, a: f32, b: f32, tolerance: f32) {
    assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} and {b}");
}

/// The same numbers as weights and as states give the same loss.
pub fn runs_from_either<E: Executor>(executor: &E, tolerance: f32) {
    let mut rng = seeded(71);
    for net in &NETS {
        let (values, inputs) = (values(net, &mut rng), (net.inputs)(&mut rng));
        pollster::block_on(async {
            let weights = (net.build)(&Parameters::weights(&f32_weights)).unwrap();
            assert!(weights.states.is_empty());
            let a = open(executor, &weights, &values, &[]).await.run(&inputs).await;
            let params = Parameters::weights(&f32_weights).trained("*");
            let states = (net.build)(&params).unwrap();
            assert!(states.weights.is_empty());
            let b = open(executor, &states, &values, &params.states()).await.run(&inputs).await;
            near(net.what, a, b, tolerance);
        });
    }
}

/// Learns a handful of examples by heart, in its own parameters.
pub fn learns<E: Executor>(executor: &E, steps: usize) {
    let mut rng = seeded(72);
    for net in &NETS {
        let (values, inputs) = (values(net, &mut rng), (net.inputs)(&mut rng));
        let params = Parameters::weights(&f32_weights).trained("*");
        let (graph, states) = learning(net, &params);
        pollster::block_on(async {
            let mut opened = open(executor, &graph, &values, &states).await;
            let losses = falls(&mut opened, net.what, &inputs, steps).await;
            assert!(losses[steps - 1] < losses[0] / 3.0, "{}: {losses:?}", net.what);
        });
    }
}

/// Over a base of q8_0: a delta that is zero changes no bit of the loss, and then the delta alone learns.
pub fn learns_a_delta<E: Executor>(executor: &E, steps: usize) {
    let mut rng = seeded(73);
    for net in &NETS {
        let (values, inputs) = (values(net, &mut rng), (net.inputs)(&mut rng));
        let params = Parameters::weights(&q8_weights).low_rank("*", DELTA);
        let (graph, states) = learning(net, &params);
        pollster::block_on(async {
            let base = (net.build)(&Parameters::weights(&q8_weights)).unwrap();
            let expected = open(executor, &base, &values, &[]).await.run(&inputs).await;
            let mut opened = open(executor, &graph, &values, &states).await;
            let losses = falls(&mut opened, net.what, &inputs, steps).await;
            assert_eq!(losses[0].to_bits(), expected.to_bits(), "{}: {} and {expected}", net.what, losses[0]);
            assert!(losses[steps - 1] < losses[0] / 3.0, "{}: {losses:?}", net.what);
        });
    }
}

async fn falls<E: Executor>(opened: &mut Opened<E>, what: &str, inputs: &[(&str, Value)], steps: usize) -> Vec<f32> {
    let mut losses = Vec::new();
    for _ in 0..steps {
        losses.push(opened.run(inputs).await);
    }
    println!("{what}: {} to {}", losses[0], losses[steps - 1]);
    losses
}

/// Gradients of every trained state against differences along a random direction.
pub fn has_right_gradients<E: Executor>(executor: &E, of: fn() -> Parameters<'static>) {
    let mut rng = seeded(74);
    for net in &NETS {
        let (values, inputs) = (values(net, &mut rng), (net.inputs)(&mut rng));
        let params = of();
        let mut graph = (net.build)(&params).unwrap();
        let (loss, nodes) = (graph.find_output("loss").unwrap(), params.nodes(&graph).unwrap());
        let gradients: Vec<NodeId> = backward(&mut graph, loss, &nodes).unwrap();
        let states = params.states();
        for (state, gradient) in states.iter().zip(gradients) {
            graph.output(&state.name, gradient);
        }
        pollster::block_on(async {
            let mut opened = open(executor, &graph, &values, &states).await;
            // Zeros hide the other factor's gradient.
            let mut starts = Vec::new();
            for state in &states {
                let count = state.shape.iter().product();
                let mut start = opened.session.read_state(&state.name).await.unwrap().into_f32().unwrap();
                if state.name.ends_with(".lora_b") {
                    start = (0..count).map(|_| rng.random_range(-0.2..0.2)).collect();
                    opened.session.write_state(&state.name, &Value::F32(start.clone())).unwrap();
                }
                starts.push(start);
            }
            opened.run(&inputs).await;
            for (state, start) in states.iter().zip(&starts) {
                opened.run(&inputs).await;
                let gradient = opened.read(&state.name).await;
                let direction: Vec<f32> = start.iter().map(|_| rng.random_range(-1.0..1.0f32)).collect();
                let norm = direction.iter().map(|d| d * d).sum::<f32>().sqrt();
                let analytic: f64 =
                    gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(d / norm)).sum();
                // Fourth order: what is cut off is h⁴ of the fifth derivative; what is rounded, some 10⁻⁷ of the loss.
                let h = 0.05f32;
                let mut numeric = 0.0f64;
                for (step, share) in [(-2.0f32, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
                    let moved = start.iter().zip(&direction).map(|(s, d)| s + step * h * d / norm).collect();
                    opened.session.write_state(&state.name, &Value::F32(moved)).unwrap();
                    numeric += share * f64::from(opened.run(&inputs).await);
                }
                numeric /= 12.0 * f64::from(h);
                opened.session.write_state(&state.name, &Value::F32(start.clone())).unwrap();
                let size = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
                assert!(size > 0.0, "{}: {} has no gradient", net.what, state.name);
                let tolerance = 3e-5 + 1e-3 * f64::from(size);
                assert!(
                    (numeric - analytic).abs() <= tolerance,
                    "{}: along {} {analytic}, differences give {numeric} ± {tolerance}",
                    net.what,
                    state.name
                );
            }
        });
    }
}
