//! What the tests of this crate share: seeded numbers, tensors indexed by hand, one call that runs a graph.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use std::rc::Rc;

use candle_core::quantized::{GgmlDType, QTensor};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{Bindings, Cancel, DType, Executor, Graph, NodeId, Result, Session, Value};
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

/// File bytes of values, and the values those bytes stand for: candle's encoding and decoding.
pub fn stored(dtype: DType, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let ggml = match dtype {
        DType::F32 | DType::U32 => GgmlDType::F32,
        DType::F16 => GgmlDType::F16,
        DType::BF16 => GgmlDType::BF16,
        DType::Q8_0 => GgmlDType::Q8_0,
        DType::Q4_0 => GgmlDType::Q4_0,
        DType::Q4_1 => GgmlDType::Q4_1,
        DType::Q5_0 => GgmlDType::Q5_0,
        DType::Q5_1 => GgmlDType::Q5_1,
        DType::Q2K => GgmlDType::Q2K,
        DType::Q3K => GgmlDType::Q3K,
        DType::Q4K => GgmlDType::Q4K,
        DType::Q5K => GgmlDType::Q5K,
        DType::Q6K => GgmlDType::Q6K,
    };
    let values = candle_core::Tensor::new(values, &candle_core::Device::Cpu).unwrap();
    let stored = QTensor::quantize(&values, ggml).unwrap();
    let read = stored.dequantize(&candle_core::Device::Cpu).unwrap().to_vec1().unwrap();
    (stored.data().unwrap().to_vec(), read)
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
        let mut session = cpu.session(&store);
        let cancel = Cancel::new();
        let plan = session.compile(graph, &cancel).await?;
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
