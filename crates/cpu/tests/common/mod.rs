//! What the tests of this crate share: seeded numbers, tensors indexed by hand, one call that runs a graph.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use std::rc::Rc;

use lantern_cpu::{Cpu, Mode};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, NodeId, Result, Session, Value};
use lantern_weights::GgmlType;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub const MODES: [Mode; 2] = [Mode::Exact, Mode::Fast];

/// A generator whose seed is printed, so that a failure can be had again. `LANTERN_SEED` overrides it.
pub fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

pub fn floats(rng: &mut SmallRng, len: usize, from: f32, to: f32) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(from..to)).collect()
}

pub fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The angles per position of a plain rotary embedding: `[head_dim / 2, 1]`.
pub fn frequencies(g: &mut Graph, head_dim: usize, theta: f32) -> NodeId {
    g.constant([head_dim / 2, 1], &lantern_models::llama::Rope::plain(theta).frequencies(head_dim)).unwrap()
}

/// File bytes of values, and the values those bytes stand for.
pub fn stored(dtype: DType, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let ggml = GgmlType::READ.into_iter().find(|ggml| ggml.dtype() == Some(dtype)).expect("a file's type");
    let bytes = lantern_weights::quantize(ggml, values).unwrap();
    let mut out = vec![0.0; values.len()];
    lantern_weights::dequantize(ggml, &bytes, &mut out).unwrap();
    (bytes, out)
}

/// A row-major tensor that can be asked by indices: expectations are written as the definition of the operation.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub dims: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    pub fn random(rng: &mut SmallRng, dims: &[usize]) -> Tensor {
        Tensor { dims: dims.to_vec(), data: floats(rng, dims.iter().product(), -2.0, 2.0) }
    }

    pub fn from_fn(dims: &[usize], f: impl Fn(&[usize]) -> f32) -> Tensor {
        let count: usize = dims.iter().product();
        let index = |flat: usize| {
            let mut rest = flat;
            let mut index = vec![0; dims.len()];
            for axis in (0..dims.len()).rev() {
                index[axis] = rest % dims[axis];
                rest /= dims[axis];
            }
            index
        };
        Tensor { dims: dims.to_vec(), data: (0..count).map(|flat| f(&index(flat))).collect() }
    }

    /// Right-aligned, axes of length 1 stretched.
    pub fn at(&self, index: &[usize]) -> f32 {
        let index = &index[index.len() - self.dims.len()..];
        let flat = index.iter().zip(&self.dims).fold(0, |flat, (i, n)| flat * n + if *n == 1 { 0 } else { *i });
        self.data[flat]
    }

    /// An input of its shape.
    pub fn input(&self, graph: &mut Graph, name: &str) -> NodeId {
        let dims: Vec<_> = self.dims.iter().map(|n| (*n).into()).collect();
        graph.input(name, dims, DType::F32)
    }

    pub fn value(&self) -> Value {
        Value::F32(self.data.clone())
    }
}

/// One run in a session of its own, and every output.
pub fn run(
    mode: Mode,
    graph: &Graph,
    symbols: &[(&str, usize)],
    weights: &[(&str, Vec<u8>)],
    inputs: &[(&str, Value)],
) -> Result<Vec<Value>> {
    pollster::block_on(async {
        let cpu = Cpu::new(mode);
        let store = Rc::new(cpu.allocate_weights(&graph.weights)?);
        for (name, bytes) in weights {
            cpu.write_rows(&store, name, 0, bytes).await?;
        }
        let mut session = cpu.session(Class::Picture);
        let cancel = Cancel::new();
        let plan = session.compile(graph, &store, &cancel).await?;
        session.run(&plan, &Bindings::new(graph, symbols)?, inputs, &cancel).await?;
        let mut outputs = Vec::new();
        for (name, _) in &graph.outputs {
            outputs.push(session.read(&plan, name).await?);
        }
        Ok(outputs)
    })
}

/// `|got − wanted| ≤ tolerance · (1 + |wanted|)` for every element.
pub fn assert_close(what: &str, got: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(got.len(), wanted.len(), "{what}: number of elements");
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (got - wanted).abs();
        assert!(
            got == wanted || error <= tolerance * (1.0 + wanted.abs()),
            "{what}: element {i} is {got}, expected {wanted}, off by {error:e}"
        );
    }
}

/// Runs a graph with one output `y` in both modes and holds it to `wanted`.
pub fn expect(
    what: &str,
    graph: &mut Graph,
    y: NodeId,
    symbols: &[(&str, usize)],
    inputs: &[(&str, Value)],
    wanted: &[f32],
    tolerance: f32,
) {
    graph.output("y", y);
    for mode in MODES {
        let got = run(mode, graph, symbols, &[], inputs).unwrap().remove(0).into_f32().unwrap();
        assert_close(&format!("{what}, {}", mode.name()), &got, wanted, tolerance);
    }
}
