//! No kernel runs before it gave the right numbers on this driver, twice: Adreno drivers miscompile, and some kernels are
//! right once and wrong the second time (LiteRT#8065). What is right is asked of the CPU's exact mode.

use std::rc::Rc;

use lantern_graph::{
    Activation, Bindings, Cancel, Class, DType, Epilogue, Error, Executor, Graph, Index, NodeId, Op, Result, Session,
    StateOptions, Unary, Value, Window,
};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::frame;
use crate::kernel::{Adds, Format, Kernel};

/// One small piece of work of odd sizes.
struct Case {
    graph: Graph,
    weights: Vec<(&'static str, Vec<u8>)>,
    inputs: Vec<(&'static str, Value)>,
}

/// Runs the kernel's chosen variant on its case, twice.
///
/// # Errors
/// `gpu.selftest` with the largest error when the numbers are wrong; `gpu.lost`.
pub async fn passes(gpu: &Gpu, kernel: Kernel) -> Result<()> {
    if matches!(kernel, Kernel::FrameIn | Kernel::FrameOut | Kernel::FrameDifference) {
        return frame::passes(gpu, kernel).await;
    }
    let Some(case) = case(kernel)? else { return Ok(()) };
    let bindings = Bindings::new(&case.graph, &[])?;
    let expected = gpu.0.oracle.evaluate(&case.graph, &bindings, &case.weights, &case.inputs)?;
    let weights = gpu.allocate_weights(&case.graph.weights)?;
    for (name, bytes) in &case.weights {
        weights.write_rows(gpu, name, 0, bytes)?;
    }
    let mut session = gpu.session(Class::Picture);
    let plan = session.record_as_it_is(&case.graph, &Rc::new(weights))?;
    let tolerance = tolerance(kernel, gpu.chosen(kernel)?.tier);
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

/// Against f32 arithmetic in another order: some ulps times the length of the sums. WGSL allows sin and cos an absolute
/// error of 2⁻¹¹. `dot` rounds activations to 1/254 of a group's largest.
fn tolerance(kernel: Kernel, tier: Tier) -> f32 {
    match kernel {
        Kernel::Linear { .. } if tier == Tier::Dot => 2e-2,
        Kernel::Unary(Unary::Sin | Unary::Cos) => 2e-3,
        _ => 1e-4,
    }
}

/// Deterministic values in −1..1: a self-test must not depend on chance.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn value(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
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
struct Builder {
    case: Case,
    numbers: Numbers,
}

impl Builder {
    fn floats<const N: usize>(&mut self, name: &'static str, shape: [usize; N]) -> NodeId {
        let values = self.numbers.floats(shape.iter().product());
        self.given(name, shape, values)
    }

    fn given<const N: usize>(&mut self, name: &'static str, shape: [usize; N], values: Vec<f32>) -> NodeId {
        self.case.inputs.push((name, Value::F32(values)));
        self.case.graph.input(name, shape, DType::F32)
    }

    fn ids(&mut self, ids: Vec<u32>) -> NodeId {
        let n = ids.len();
        self.case.inputs.push(("ids", Value::U32(ids)));
        self.case.graph.input("ids", [n], DType::U32)
    }

    fn weight(&mut self, shape: &[usize], format: Format) -> Result<NodeId> {
        let bytes = self.numbers.weight(dtype(format), shape.iter().product());
        self.case.weights.push(("w", bytes));
        self.case.graph.weight("w", shape, dtype(format))
    }

    /// What is added to a product of that shape, and how it ends.
    fn epilogue<const N: usize>(
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
    fn halves(&mut self, name: &str, x: NodeId, start: usize) -> Result<NodeId> {
        let mut shape = self.case.graph.shape(x).bound(&self.case.graph);
        shape[0] += start;
        let options = StateOptions { storage: DType::F16, growing: false };
        let state = self.case.graph.state_with(name, &shape, options)?;
        self.case.graph.write(state, x, Index::Fixed(start))
    }

    /// A convolution of two pictures with every kind of oddity.
    fn conv(
        &mut self,
        format: Format,
        adds: Adds,
        channels: usize,
        outs: usize,
        groups: usize,
        upsample: usize,
    ) -> Result<NodeId> {
        let x = self.floats("x", [2, 10 / upsample, 16 / upsample, channels]);
        let w = self.weight(&[outs, 3, 2, channels / groups], format)?;
        let [oh, ow] =
            [WINDOW.positions(0, 10 / upsample * upsample), WINDOW.positions(1, 16)].map(Option::unwrap_or_default);
        let (mut inputs, epilogue) = self.epilogue(adds, [2, oh, ow, outs], Activation::Silu);
        inputs.splice(0..0, [x, w]);
        self.case.graph.fused(Op::FusedConv2d { window: WINDOW, groups, upsample, epilogue }, &inputs)
    }
}

/// Nothing alike on both axes, and more padding on one side.
const WINDOW: Window = Window { kernel: [3, 2], stride: [2, 2], dilation: [1, 3], padding: [[1, 0], [1, 2]] };

/// `None` for kernels that are tested through others (see `pipeline.rs`), or only measure.
fn case(kernel: Kernel) -> Result<Option<Case>> {
    let case = Case { graph: Graph::new(), weights: Vec::new(), inputs: Vec::new() };
    let mut b = Builder { case, numbers: Numbers(0x1234_5677) };
    // Whole blocks of any type.
    let columns = |format: Format, aligned: bool| match (dtype(format).block().0, aligned) {
        (256, _) => 256,
        (_, true) => 96,
        (_, false) => 37,
    };
    let y = match kernel {
        Kernel::Unary(op) => {
            let positive = matches!(op, Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Recip);
            let values = b.numbers.floats(111).into_iter().map(|v| if positive { v.abs() + 0.1 } else { 3.0 * v });
            let values = values.collect();
            let x = b.given("x", [3, 37], values);
            b.case.graph.unary(op, x)?
        }
        Kernel::Affine => {
            let x = b.floats("x", [3, 37]);
            b.case.graph.affine(x, -2.5, 0.75)?
        }
        Kernel::Binary(op) => {
            // Few different values, none of them zero, so that comparisons meet ties and divisions are mild.
            let few = |b: &mut Builder, n: usize| b.numbers.floats(n).iter().map(|v| (v * 3.0).floor() + 0.5).collect();
            let left = few(&mut b, 105);
            let right = few(&mut b, 5);
            let l = b.given("l", [3, 5, 7], left);
            let r = b.given("r", [5, 1], right);
            b.case.graph.binary(op, l, r)?
        }
        Kernel::Copy => {
            let x = b.floats("x", [3, 5, 7]);
            b.case.graph.permute(x, &[2, 0, 1])?
        }
        Kernel::Range => b.case.graph.range(Index::Fixed(3), 70),
        Kernel::Reduce(op) => {
            let x = b.floats("x", [3, 37, 5]);
            b.case.graph.reduce(op, x, 1)?
        }
        Kernel::Argmax => {
            let x = b.floats("x", [3, 301]);
            b.case.graph.argmax(x)?
        }
        Kernel::TopK => {
            // Several lists of both tiers in a row, and few different values: ties.
            let values = b.numbers.floats(2 * 2500).into_iter().map(|v| (v * 400.0).floor()).collect();
            let x = b.given("x", [2, 2500], values);
            b.case.graph.top_k(x, 37)?
        }
        Kernel::MatMul => {
            let (l, r) = (b.floats("l", [2, 5, 7]), b.floats("r", [3, 7]));
            b.case.graph.matmul(l, r, false, true)?
        }
        Kernel::Linear { format, many, adds, aligned } => {
            let (rows, n, k) = (if many { 71 } else { 1 }, 45, columns(format, aligned));
            let x = b.floats("x", [rows, k]);
            let w = b.weight(&[n, k], format)?;
            let (mut inputs, epilogue) = b.epilogue(adds, [rows, n], Activation::Tanh);
            inputs.splice(0..0, [x, w]);
            b.case.graph.fused(Op::FusedLinear { epilogue }, &inputs)?
        }
        // Rows of the weight are whole groups of 32 in every format where channels are 32.
        Kernel::Conv { format, adds } => b.conv(format, adds, 32, 37, 1, 2)?,
        Kernel::ConvDirect { format, adds } => {
            let channels = if format.is_quantized() { 64 } else { 6 };
            b.conv(format, adds, channels, 4, 2, 1)?
        }
        Kernel::Depthwise { adds } => b.conv(Format::F32, adds, 12, 12, 12, 1)?,
        Kernel::ConvTransposed { format } => {
            let y = b.floats("y", [2, 3, 4, 6]);
            let per_group = if format.is_quantized() { 32 } else { 5 };
            let w = b.weight(&[6, 3, 2, per_group], format)?;
            b.case.graph.conv2d_transposed(y, w, WINDOW, 2, [7, 8])?
        }
        Kernel::ConvFilter => {
            let (x, y) = (b.floats("x", [2, 7, 8, 6]), b.floats("dy", [2, 3, 4, 4]));
            b.case.graph.conv2d_filter(x, y, WINDOW, 2)?
        }
        Kernel::MaxPool => {
            let x = b.floats("x", [2, 5, 8, 3]);
            b.case.graph.max_pool(x, Window { dilation: [1, 1], padding: [[1, 0], [1, 1]], ..WINDOW })?
        }
        Kernel::Resize(mode) => {
            let x = b.floats("x", [2, 5, 7, 3]);
            b.case.graph.resize(x, mode, [11, 4])?
        }
        Kernel::GroupNormApply => {
            let (x, w, bias) = (b.floats("x", [2, 23, 29, 12]), b.floats("w", [12]), b.floats("b", [12]));
            b.case.graph.fused(Op::GroupNorm { groups: 4, eps: 1e-5, silu: true }, &[x, w, bias])?
        }
        Kernel::LinearTransposed { format, aligned } => {
            let x = b.floats("x", [5, 45]);
            let w = b.weight(&[45, columns(format, aligned)], format)?;
            b.case.graph.linear_transposed(x, w)?
        }
        Kernel::Gather { format, aligned } => {
            let ids = b.ids(vec![4, 0, 44, 99, 4]);
            let w = b.weight(&[45, columns(format, aligned)], format)?;
            b.case.graph.gather(w, ids)?
        }
        Kernel::ScatterAdd => {
            let ids = b.ids(vec![4, 0, 4, 6, 4]);
            let x = b.floats("x", [5, 37]);
            b.case.graph.scatter_add(ids, x, 7)?
        }
        Kernel::RmsNorm => {
            let (x, w) = (b.floats("x", [3, 301]), b.floats("w", [301]));
            b.case.graph.fused(Op::RmsNorm { eps: 1e-5 }, &[x, w])?
        }
        Kernel::Softmax => {
            let x = b.floats("x", [3, 301]);
            b.case.graph.fused(Op::Softmax, &[x])?
        }
        Kernel::Rope => {
            let (x, f) = (b.floats("x", [5, 3, 16]), b.floats("f", [8, 1]));
            b.case.graph.fused(Op::Rope { start: Index::Fixed(1007) }, &[x, f])?
        }
        Kernel::Attention { head_dim, halves } => {
            let q = b.floats("q", [3, 2, 3, head_dim]);
            let (mut k, mut v) = (b.floats("k", [77, 2, head_dim]), b.floats("v", [77, 2, head_dim]));
            if halves {
                (k, v) = (b.halves("k", k, 0)?, b.halves("v", v, 0)?);
            }
            // A window that ends inside what an invocation or a workgroup takes at once.
            let op = Op::Attention { scale: 0.7, start: Index::Fixed(74), window: Some(70) };
            b.case.graph.fused(op, &[q, k, v])?
        }
        Kernel::Pack | Kernel::Unpack => {
            // Halves below the normal ones too.
            let values = b.numbers.floats(78).iter().enumerate().map(|(i, v)| v * [1.0, 3e-5][i % 2]).collect();
            let x = b.given("x", [13, 6], values);
            b.halves("s", x, 2)?
        }
        Kernel::SwiGlu => {
            let (gate, up) = (b.floats("gate", [3, 37]), b.floats("up", [3, 37]));
            b.case.graph.fused(Op::SwiGlu, &[gate, up])?
        }
        Kernel::Quantize | Kernel::GroupNormParts | Kernel::GroupNormFold => return Ok(None),
        Kernel::Bandwidth | Kernel::Arithmetic => return Ok(None),
        // They are no part of a graph: `frame/selftest.rs`.
        Kernel::FrameIn | Kernel::FrameOut | Kernel::FrameDifference => return Ok(None),
    };
    b.case.graph.output("y", y);
    Ok(Some(b.case))
}
