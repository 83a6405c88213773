//! A net small enough for a test, trained through the graph and by candle's autograd, step by step.
//!
//! Embedding → RMS norm → SwiGLU MLP → linear → softmax cross-entropy; every parameter and both moments of Adam are states
//! that the graph writes in place. Any executor can be held to it.

use std::rc::Rc;

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, NodeId, Result, Session, Value};
use lantern_models::adam::{AdamOptions, adam};
use lantern_models::nn;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const VOCAB: usize = 19;
const HIDDEN: usize = 24;
const INNER: usize = 40;
const ROWS: usize = 7;
const NORM_EPS: f32 = 1e-5;
const STEPS: usize = 25;

/// Epsilon bounds what a rounding of a gradient can do to a step: `learning_rate / epsilon · δg` = 10 δg.
const ADAM: AdamOptions = AdamOptions { learning_rate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-3 };

struct Parameter {
    name: &'static str,
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn parameters(rng: &mut SmallRng) -> Vec<Parameter> {
    let mut of = |name: &'static str, shape: &[usize], middle: f32, spread: f32| Parameter {
        name,
        shape: shape.to_vec(),
        values: (0..shape.iter().product()).map(|_| middle + rng.random_range(-spread..spread)).collect(),
    };
    vec![
        of("embedding", &[VOCAB, HIDDEN], 0.0, 1.0),
        of("norm", &[HIDDEN], 1.0, 0.2),
        of("gate", &[INNER, HIDDEN], 0.0, 0.3),
        of("up", &[INNER, HIDDEN], 0.0, 0.3),
        of("down", &[HIDDEN, INNER], 0.0, 0.3),
        of("output", &[VOCAB, HIDDEN], 0.0, 0.3),
    ]
}

fn training_graph(parameters: &[Parameter]) -> Result<Graph> {
    let mut g = Graph::new();
    let ids = g.input("ids", [ROWS], DType::U32);
    let targets = g.input("targets", [ROWS, 1], DType::F32);
    let states = parameters.iter().map(|p| g.state(p.name, &p.shape)).collect::<Result<Vec<NodeId>>>()?;
    let &[embedding, norm, gate, up, down, output] = &states[..] else { unreachable!("six parameters") };
    let x = g.gather(embedding, ids)?;
    let h = nn::rms_norm(&mut g, x, norm, NORM_EPS)?;
    let (gate, up) = (g.linear(h, gate)?, g.linear(h, up)?);
    let h = nn::swiglu(&mut g, gate, up)?;
    let h = g.linear(h, down)?;
    let x = g.add(x, h)?;
    let logits = g.linear(x, output)?;
    let loss = nn::cross_entropy(&mut g, logits, targets)?;
    g.output("loss", loss);
    adam(&mut g, loss, &states, ADAM)?;
    Ok(g)
}

struct Reference {
    vars: Vec<Var>,
    optimizer: AdamW,
}

impl Reference {
    fn new(parameters: &[Parameter]) -> candle_core::Result<Reference> {
        let vars = parameters
            .iter()
            .map(|p| Var::from_slice(&p.values, &p.shape[..], &Device::Cpu))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let AdamOptions { learning_rate, beta1, beta2, epsilon } = ADAM;
        let (lr, beta1, beta2, eps) = (learning_rate.into(), beta1.into(), beta2.into(), epsilon.into());
        let optimizer = AdamW::new(vars.clone(), ParamsAdamW { lr, beta1, beta2, eps, weight_decay: 0.0 })?;
        Ok(Reference { vars, optimizer })
    }

    fn step(&mut self, ids: &[u32], targets: &[u32]) -> candle_core::Result<f32> {
        let v = |i: usize| self.vars[i].as_tensor();
        let x = v(0).index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
        let scale = (x.sqr()?.mean_keepdim(1)? + f64::from(NORM_EPS))?.sqrt()?;
        let h = x.broadcast_div(&scale)?.broadcast_mul(v(1))?;
        let h = (h.matmul(&v(2).t()?)?.silu()? * h.matmul(&v(3).t()?)?)?;
        let x = (&x + h.matmul(&v(4).t()?)?)?;
        let logits = x.matmul(&v(5).t()?)?;
        let loss = candle_nn::loss::cross_entropy(&logits, &Tensor::new(targets, &Device::Cpu)?)?;
        self.optimizer.backward_step(&loss)?;
        loss.to_scalar()
    }
}

/// Trains on the executor and in candle from the same start on the same rows. Losses agree at every step and parameters at
/// the end, `|a − b| ≤ tolerance · (1 + |b|)`; and the loss falls to less than a third.
pub fn trains<E: Executor>(executor: &E, tolerance: f32) {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(50);
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let parameters = parameters(&mut rng);
    let graph = training_graph(&parameters).unwrap();
    let mut reference = Reference::new(&parameters).unwrap();
    let close = |what: &str, a: f32, b: f32| {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a}, candle has {b}");
    };
    pollster::block_on(async {
        let mut session = executor.session(Class::Training);
        let cancel = Cancel::new();
        let plan = session.compile(&graph, &Rc::default(), &cancel).await.unwrap();
        let bindings = Bindings::new(&graph, &[]).unwrap();
        for p in &parameters {
            session.write_state(p.name, &Value::F32(p.values.clone())).unwrap();
        }
        let mut losses = Vec::new();
        for step in 0..STEPS {
            // Few ids, so that some repeat in a batch; the rule is learnable.
            let ids: Vec<u32> = (0..ROWS).map(|_| rng.random_range(0..6)).collect();
            let targets: Vec<u32> = ids.iter().map(|id| (id * 5 + 3) % VOCAB as u32).collect();
            let inputs = [
                ("ids", Value::U32(ids.clone())),
                ("targets", Value::F32(targets.iter().map(|t| *t as f32).collect())),
            ];
            session.run(&plan, &bindings, &inputs, &cancel).await.unwrap();
            let loss = session.read(&plan, "loss").await.unwrap().into_f32().unwrap()[0];
            close(&format!("loss of step {step}"), loss, reference.step(&ids, &targets).unwrap());
            losses.push(loss);
        }
        for (p, var) in parameters.iter().zip(&reference.vars) {
            let ours = session.read_state(p.name).await.unwrap().into_f32().unwrap();
            let theirs: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                close(&format!("{}[{i}] at the end", p.name), *a, *b);
            }
            assert_ne!(ours, p.values, "{} was trained", p.name);
        }
        println!("losses {losses:?}");
        assert!(losses[STEPS - 1] < losses[0] / 3.0, "the loss falls: {losses:?}");
    });
}
