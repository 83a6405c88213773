//! What the tests of this crate share: adapters, and graphs run on both executors.
#![allow(dead_code, reason = "each test file uses a part")]

use std::rc::Rc;
use std::sync::{Mutex, MutexGuard};

use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{Gpu, GpuOptions, Tier};
use lantern_graph::{Bindings, Cancel, Class, DType, Dim, Executor, Graph, NodeId, Oracle, Result, Session, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// One device at a time: on software drivers, tests side by side only take the processor and the compiler from each other.
static ONE_DEVICE: Mutex<()> = Mutex::new(());

pub fn one_device() -> MutexGuard<'static, ()> {
    ONE_DEVICE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn oracle() -> Rc<dyn Oracle> {
    Rc::new(Cpu::new(Mode::Exact))
}

pub fn open(options: &GpuOptions) -> Result<Gpu> {
    pollster::block_on(Gpu::new(options, oracle()))
}

/// Every adapter (or those whose name contains `LANTERN_ADAPTER`) at every tier it has.
///
/// A machine without any adapter runs none of these tests and says so, unless `LANTERN_NEEDS_GPU` is set.
pub fn adapters_and_tiers() -> Vec<(String, Tier)> {
    let wanted = std::env::var("LANTERN_ADAPTER").unwrap_or_default().to_lowercase();
    let all: Vec<_> = pollster::block_on(Gpu::adapters())
        .into_iter()
        .filter(|a| a.caps.name.to_lowercase().contains(&wanted))
        .flat_map(|a| a.tiers.iter().map(|t| (a.caps.name.clone(), *t)).collect::<Vec<_>>())
        .collect();
    if all.is_empty() {
        assert!(std::env::var_os("LANTERN_NEEDS_GPU").is_none(), "no graphics adapter, and LANTERN_NEEDS_GPU is set");
        println!("skipped: no graphics adapter on this machine");
    }
    all
}

pub fn each_adapter_and_tier(mut test: impl FnMut(&Gpu)) {
    let _device = one_device();
    for (name, tier) in adapters_and_tiers() {
        println!("{name}, tier {tier}");
        let options = GpuOptions { tier: Some(tier), adapter: Some(name), ..Default::default() };
        test(&open(&options).expect("the adapter opens"));
    }
}

/// Seeded, and the seed printed; `LANTERN_SEED` repeats a run.
pub fn random() -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_123);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

pub fn floats(rng: &mut SmallRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A graph with the data of its leaves.
pub struct Work {
    pub graph: Graph,
    pub symbols: Vec<(&'static str, usize)>,
    pub weights: Vec<(String, Vec<u8>)>,
    pub inputs: Vec<(String, Value)>,
}

impl Work {
    pub fn new() -> Work {
        Work { graph: Graph::new(), symbols: Vec::new(), weights: Vec::new(), inputs: Vec::new() }
    }

    pub fn run<E: Executor>(&self, executor: &E) -> Result<Vec<Value>> {
        pollster::block_on(async {
            let weights = executor.allocate_weights(&self.graph.weights)?;
            for (name, bytes) in &self.weights {
                executor.write_rows(&weights, name, 0, bytes).await?;
            }
            let mut session = executor.session(Class::Picture);
            let plan = session.compile(&self.graph, &Rc::new(weights), &Cancel::new()).await?;
            let bindings = Bindings::new(&self.graph, &self.symbols)?;
            let inputs: Vec<(&str, Value)> = self.inputs.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await?;
            let mut outputs = Vec::new();
            for (name, _) in &self.graph.outputs {
                outputs.push(session.read(&plan, name).await?);
            }
            Ok(outputs)
        })
    }

    /// Runs on the GPU and on `cpu exact`; differences relative to the largest magnitude of each output.
    pub fn compare(&self, gpu: &Gpu, tolerance: f32, what: &str) {
        let expected = self.run(&Cpu::new(Mode::Exact)).expect("the CPU runs it");
        let got = self.run(gpu).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(gpu.step_downs(), [], "{what}: a kernel failed its self-test");
        for ((got, expected), (name, _)) in got.iter().zip(&expected).zip(&self.graph.outputs) {
            close(got, expected, tolerance, &format!("{what}, output {name}"));
        }
    }
}

pub fn close(got: &Value, expected: &Value, tolerance: f32, what: &str) {
    match (got, expected) {
        (Value::F32(got), Value::F32(expected)) => {
            assert_eq!(got.len(), expected.len(), "{what}: lengths");
            let scale = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            for (i, (a, b)) in got.iter().zip(expected).enumerate() {
                // Written so that NaN fails.
                assert!((a - b).abs() <= tolerance * scale, "{what}: element {i} is {a}, not {b} (largest {scale})");
            }
        }
        (got, expected) => assert_eq!(got, expected, "{what}"),
    }
}

pub fn input(work: &mut Work, rng: &mut SmallRng, name: &str, shape: &[Dim], elements: usize) -> NodeId {
    work.inputs.push((name.into(), Value::F32(floats(rng, elements))));
    work.graph.input(name, shape.to_vec(), DType::F32)
}

pub fn fixed(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|&n| Dim::Fixed(n)).collect()
}

pub fn dense(work: &mut Work, rng: &mut SmallRng, name: &str, shape: &[usize]) -> NodeId {
    input(work, rng, name, &fixed(shape), shape.iter().product())
}

/// Random bytes of a file: blocks' integers and groups' scales of all their bits, factors up to 0.02.
pub fn file_bytes(rng: &mut SmallRng, dtype: DType, elements: usize) -> Vec<u8> {
    let half = |x: f32| half::f16::from_f32(x).to_le_bytes();
    match dtype {
        DType::F16 => floats(rng, elements).into_iter().flat_map(half).collect(),
        DType::BF16 => floats(rng, elements).into_iter().flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
        _ if dtype.is_quantized() => {
            let (block, block_bytes) = dtype.block();
            let mut bytes: Vec<u8> = (0..elements / block * block_bytes).map(|_| rng.random()).collect();
            for block in bytes.chunks_exact_mut(block_bytes) {
                for at in dtype.factors() {
                    block[*at..at + 2].copy_from_slice(&half(rng.random_range(-0.02..0.02)));
                }
            }
            bytes
        }
        _ => floats(rng, elements).into_iter().flat_map(f32::to_le_bytes).collect(),
    }
}

/// A weight in a file's bytes.
pub fn weight(work: &mut Work, rng: &mut SmallRng, name: &str, shape: &[usize], dtype: DType) -> NodeId {
    let bytes = file_bytes(rng, dtype, shape.iter().product());
    work.weights.push((name.into(), bytes));
    work.graph.weight(name, shape, dtype).unwrap()
}
