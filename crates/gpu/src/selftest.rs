//! No kernel runs before it gave the right numbers on this driver, twice: Adreno drivers miscompile, and some kernels are
//! right once and wrong the second time (LiteRT#8065). What is right is asked of the CPU's exact mode.

use std::rc::Rc;

use lantern_graph::{
    Activation, Bindings, Cancel, Class, DType, Epilogue, Error, Executor, Graph, Index, NodeId, Result, Session,
    StateOptions, Value, Window,
};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::format::Format;
use crate::kernel::{Adds, Build, Kernel, Test};

/// At the tier `dot`, activations are rounded to 1/254 of a group's largest.
const INT8_ACTIVATIONS: f32 = 2e-2;

/// One piece of work, with the data of its leaves; its output is `y`.
pub(crate) struct Case {
    pub graph: Graph,
    pub weights: Vec<(&'static str, Vec<u8>)>,
    pub inputs: Vec<(&'static str, Value)>,
}

/// Runs the kernel's chosen variant on its case, twice.
///
/// # Errors
/// `gpu.selftest` with the largest error when the numbers are wrong; `gpu.lost`.
pub async fn passes(gpu: &Gpu, kernel: Kernel) -> Result<()> {
    let (build, tolerance) = match kernel.described().test {
        Test::Case(build, tolerance) => (build, tolerance),
        Test::Own(test) => return test(gpu).await,
        Test::WithOthers | Test::Measures => return Ok(()),
    };
    let tolerance = if gpu.chosen(kernel)?.choice.tier == Tier::Dot { INT8_ACTIVATIONS } else { tolerance };
    let case = Builder::make(&build)?;
    let bindings = Bindings::new(&case.graph, &[])?;
    let expected = gpu.0.oracle.evaluate(&case.graph, &bindings, &case.weights, &case.inputs)?;
    let weights = gpu.allocate_weights(&case.graph.weights)?;
    for (name, bytes) in &case.weights {
        weights.write_rows(gpu, name, 0, bytes)?;
    }
    let mut session = gpu.session(Class::Picture);
    let plan = session.record_as_it_is(&case.graph, &Rc::new(weights), kernel)?;
    for round in ["first", "second"] {
        let outcome = async {
            session.run(&plan, &bindings, &case.inputs, &Cancel::new()).await?;
            session.read(&plan, "y").await
        };
        let got = match outcome.await {
            Ok(value) => value,
            // A refused command was about this kernel; a lost device is not.
            Err(e) => return Err(gpu.take_trouble().unwrap_or(e)),
        };
        let error = relative_error(&got, &expected[0]);
        if error > tolerance {
            return Err(Error::new(
                "gpu.selftest",
                format!("{} is wrong by {error:.1e} in its {round} run (allowed {tolerance:.0e})", kernel.name()),
                "a lower tier is used instead",
            ));
        }
    }
    Ok(())
}

/// Largest difference, relative to the largest expected magnitude; never NaN.
fn relative_error(got: &Value, expected: &Value) -> f32 {
    match (got, expected) {
        (Value::U32(a), Value::U32(b)) if a == b => 0.0,
        (Value::F32(a), Value::F32(b)) if a.len() == b.len() => {
            let scale = b.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            // `max` drops NaN; a NaN difference counts as infinite.
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b).abs() / scale)
                .fold(0.0, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) })
        }
        _ => f32::INFINITY,
    }
}

/// Deterministic values in −1..1: a self-test must not depend on chance.
pub(crate) struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    pub fn value(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }

    /// A weight's bytes as a file has them, such that products are about one: beyond, tanh tells nothing. Factors of `K` blocks
    /// are powers of two, since their products are to be halves.
    fn weight(&mut self, dtype: DType, elements: usize) -> Vec<u8> {
        let half = |x: f32| half::f16::from_f32(x).to_le_bytes();
        match dtype {
            DType::F16 => self.floats(elements).into_iter().flat_map(half).collect(),
            DType::BF16 => {
                self.floats(elements).into_iter().flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect()
            }
            _ if dtype.is_quantized() => {
                let (block, block_bytes) = dtype.block();
                let mut bytes: Vec<u8> = (0..elements / block * block_bytes).map(|_| self.next() as u8).collect();
                for block_bytes in bytes.chunks_exact_mut(block_bytes) {
                    for at in dtype.factors() {
                        let sign = if self.next().is_multiple_of(2) { 1.0 } else { -1.0 };
                        let factor = match dtype {
                            DType::Q2K => sign / 128.0,
                            DType::Q3K => sign / 512.0,
                            DType::Q6K => sign / 16_384.0,
                            DType::Q8_0 => self.value() * 0.005,
                            _ => self.value() * 0.02,
                        };
                        block_bytes[*at..at + 2].copy_from_slice(&half(factor));
                    }
                }
                bytes
            }
            _ => bytemuck::pod_collect_to_vec(&self.floats(elements)),
        }
    }
}

/// The first type that is kept in that layout.
fn dtype(format: Format) -> DType {
    DType::WEIGHTS.into_iter().find(|dtype| Format::of(*dtype) == format).unwrap_or(DType::F32)
}

/// A graph under construction, with the data of its leaves.
pub(crate) struct Builder {
    case: Case,
    pub numbers: Numbers,
}

impl Builder {
    pub fn make(build: &Build) -> Result<Case> {
        let case = Case { graph: Graph::new(), weights: Vec::new(), inputs: Vec::new() };
        let mut builder = Builder { case, numbers: Numbers(0x1234_5677) };
        let y = build(&mut builder)?;
        let mut case = builder.case;
        case.graph.output("y", y);
        Ok(case)
    }

    pub fn floats<const N: usize>(&mut self, name: &'static str, shape: [usize; N]) -> NodeId {
        let values = self.numbers.floats(shape.iter().product());
        self.given(name, shape, values)
    }

    pub fn given<const N: usize>(&mut self, name: &'static str, shape: [usize; N], values: Vec<f32>) -> NodeId {
        self.case.inputs.push((name, Value::F32(values)));
        self.case.graph.input(name, shape, DType::F32)
    }

    pub fn ids(&mut self, ids: Vec<u32>) -> NodeId {
        let n = ids.len();
        self.case.inputs.push(("ids", Value::U32(ids)));
        self.case.graph.input("ids", [n], DType::U32)
    }

    pub fn weight(&mut self, shape: &[usize], format: Format) -> Result<NodeId> {
        self.weight_called("w", shape, format)
    }

    pub fn weight_called(&mut self, name: &'static str, shape: &[usize], format: Format) -> Result<NodeId> {
        let bytes = self.numbers.weight(dtype(format), shape.iter().product());
        self.case.weights.push((name, bytes));
        self.case.graph.weight(name, shape, dtype(format))
    }

    /// What is added to a product of that shape, and how it ends.
    pub fn epilogue<const N: usize>(
        &mut self,
        adds: Adds,
        shape: [usize; N],
        activation: Activation,
    ) -> (Vec<NodeId>, Epilogue) {
        let mut inputs = Vec::new();
        inputs.extend(adds.bias.then(|| self.floats("bias", [shape[N - 1]])));
        inputs.extend(adds.residual.then(|| self.floats("r", shape)));
        let Adds { bias, residual } = adds;
        (inputs, Epilogue { bias, residual, activation: Some(activation) })
    }

    /// A state of halves with rows of x from `start` on.
    pub fn halves(&mut self, name: &str, x: NodeId, start: usize) -> Result<NodeId> {
        let mut shape = self.case.graph.shape(x).bound(&self.case.graph);
        shape[0] += start;
        let options = StateOptions { storage: DType::F16, growing: false };
        let state = self.case.graph.state_with(name, &shape, options)?;
        self.case.graph.write(state, x, Index::Fixed(start))
    }

    pub fn graph(&mut self) -> &mut Graph {
        &mut self.case.graph
    }

    /// Columns of a weight: whole blocks of any type, or an odd number.
    pub fn columns(&self, format: Format, aligned: bool) -> usize {
        match (dtype(format).block().0, aligned) {
            (256, _) => 256,
            (_, true) => 96,
            (_, false) => 37,
        }
    }
}

/// Nothing alike on both axes, and more padding on one side.
pub(crate) const WINDOW: Window =
    Window { kernel: [3, 2], stride: [2, 2], dilation: [1, 3], padding: [[1, 0], [1, 2]] };
