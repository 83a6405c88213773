//! How fast kernels and plans are, beside what this adapter can do at all (limits.rs): bytes over its measured copy bandwidth,
//! flops over its measured rate of multiply-adds in registers, and what a dispatch costs that waits for another, in one run.
//! Here are kernels by themselves; profile.rs takes a plan apart.

mod limits;
mod profile;

use std::rc::Rc;

use lantern_graph::{
    Attention, Bindings, Cancel, Class, DType, Executor, Graph, Index, Mask, Op, Result, Session, StateOptions, Value,
    WeightSpec,
};

use crate::device::Gpu;
use crate::weights::weight_bytes;

pub use limits::{Limits, limits};
pub use profile::{Operation, Profile, profile};

/// How shaders are compiled: a browser's compiler has checks of its own.
pub const SHADER_CHECKS: &str = if cfg!(target_arch = "wasm32") {
    "the browser's"
} else {
    "wgpu's default: bounds are checked, and every loop is counted"
};

/// What to measure with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchOptions {
    /// Bytes of weights a matrix-vector product reads: beyond the adapter's caches, or the figure is the cache's.
    pub working_set_bytes: u64,
    /// Runs of each; the median counts.
    pub runs: usize,
}

/// One kernel's figures.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelTime {
    pub kernel: String,
    pub tier: String,
    pub shapes: String,
    /// Bytes read and written at least once.
    pub working_set_bytes: u64,
    /// Median of the runs, and all of them.
    pub ms: f64,
    pub runs_ms: Vec<f64>,
    pub gb_per_s: f64,
    pub gflop_per_s: f64,
    /// Share of the copy bandwidth, and of the register-only rate.
    pub of_bandwidth: f64,
    pub of_arithmetic: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BenchReport {
    pub adapter: String,
    pub tier: String,
    /// `timestamps`: the GPU's own clock; `host`: the host's, round trip included.
    pub clock: &'static str,
    pub limits: Limits,
    pub kernels: Vec<KernelTime>,
}

/// Measures this adapter, then the kernels of a language model on it.
///
/// # Errors
/// `gpu.too_large` when the working set does not fit; `gpu.lost`.
pub async fn bench(gpu: &Gpu, options: &BenchOptions, now_ms: &dyn Fn() -> f64) -> Result<BenchReport> {
    let set = options.working_set_bytes.min(gpu.0.binding_limit).min(gpu.0.buffer_limit);
    let limits = limits(gpu, options, now_ms).await?;
    let mut report = BenchReport {
        adapter: gpu.capabilities().name.clone(),
        tier: gpu.tier().name().into(),
        clock: clock(gpu),
        limits,
        kernels: Vec::new(),
    };
    // The plain types, and those that most of a mixed file is of.
    for dtype in [DType::F32, DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4K, DType::Q6K] {
        let k = 2048;
        let row = WeightSpec { name: String::new(), shape: vec![1, k], dtype };
        let n = ((set / weight_bytes(&row)) as usize).max(8) / 8 * 8;
        let one = linear(dtype, 1, n, k)?;
        report.kernels.push(time(gpu, &one, options, &limits, now_ms).await?);
        let many = linear(dtype, 64, 1024, 1024)?;
        report.kernels.push(time(gpu, &many, options, &limits, now_ms).await?);
    }
    for work in [attention(1, 1024)?, attention(64, 1024)?, rms_norm(64, 2048)?] {
        report.kernels.push(time(gpu, &work, options, &limits, now_ms).await?);
    }
    Ok(report)
}

/// `timestamps`: the GPU's own clock around each dispatch; `host`: the host's, round trip included.
pub(crate) fn clock(gpu: &Gpu) -> &'static str {
    if gpu.capabilities().timestamps { "timestamps" } else { "host" }
}

struct Case {
    graph: Graph,
    inputs: Vec<(&'static str, Value)>,
    shapes: String,
    bytes: u64,
}

fn linear(dtype: DType, rows: usize, n: usize, k: usize) -> Result<Case> {
    let mut graph = Graph::new();
    let x = graph.input("x", [rows, k], DType::F32);
    let w = graph.weight("w", &[n, k], dtype)?;
    let y = graph.linear(x, w)?;
    graph.output("y", y);
    let bytes = weight_bytes(&graph.weights[0]) + (rows * k + rows * n) as u64 * 4;
    let shapes = format!("[{rows}, {k}] × [{n}, {k}]ᵀ {}", dtype.name());
    Ok(Case { graph, inputs: vec![("x", Value::F32(vec![0.5; rows * k]))], shapes, bytes })
}

fn attention(rows: usize, kv_len: usize) -> Result<Case> {
    let (kv_heads, group, head_dim) = (4, 4, 64);
    let mut graph = Graph::new();
    let q = graph.input("q", [rows, kv_heads, group, head_dim], DType::F32);
    // As a chat keeps them.
    let options = StateOptions { storage: DType::F16, growing: false };
    let k = graph.state_with("k", &[kv_len, kv_heads, head_dim], options)?;
    let v = graph.state_with("v", &[kv_len, kv_heads, head_dim], options)?;
    let mask = Mask::Causal { start: Index::Fixed(kv_len - rows) };
    let y = graph.attention(q, k, v, &Attention { scale: 0.125, mask })?;
    graph.output("y", y);
    let (queries, keys) = (rows * kv_heads * group * head_dim, kv_len * kv_heads * head_dim);
    let inputs = vec![("q", Value::F32(vec![0.1; queries]))];
    let shapes = format!("q [{rows}, {kv_heads}, {group}, {head_dim}], k and v [{kv_len}, {kv_heads}, {head_dim}] f16");
    Ok(Case { graph, inputs, shapes, bytes: (2 * queries * 4 + 2 * keys * 2) as u64 })
}

fn rms_norm(rows: usize, columns: usize) -> Result<Case> {
    let mut graph = Graph::new();
    let x = graph.input("x", [rows, columns], DType::F32);
    let w = graph.input("w", [columns], DType::F32);
    let y = graph.fused(Op::RmsNorm { eps: 1e-5 }, &[x, w])?;
    graph.output("y", y);
    let inputs = vec![("x", Value::F32(vec![0.5; rows * columns])), ("w", Value::F32(vec![1.0; columns]))];
    let bytes = (2 * rows * columns + columns) as u64 * 4;
    Ok(Case { graph, inputs, shapes: format!("[{rows}, {columns}]"), bytes })
}

async fn time(
    gpu: &Gpu,
    work: &Case,
    options: &BenchOptions,
    limits: &Limits,
    now_ms: &dyn Fn() -> f64,
) -> Result<KernelTime> {
    let weights = gpu.allocate_weights(&work.graph.weights)?;
    for spec in &work.graph.weights {
        // The same plausible rows over and over: 0x2c is a small number in every format, as a scale (0x2c2c: f16 0.065) too.
        let rows_at_once = (1 << 20) / spec.row_bytes() + 1;
        let rows = vec![0x2c; rows_at_once * spec.row_bytes()];
        for first in (0..spec.rows()).step_by(rows_at_once) {
            let some = rows_at_once.min(spec.rows() - first);
            gpu.write_rows(&weights, &spec.name, first, &rows[..some * spec.row_bytes()]).await?;
        }
    }
    let mut session = gpu.session(Class::Picture);
    let plan = session.compile(&work.graph, &Rc::new(weights), &Cancel::new()).await?;
    let bindings = Bindings::new(&work.graph, &[])?;
    let mut runs_ms = Vec::new();
    for run in 0..=options.runs {
        let times = session.profile(&plan, &bindings, &work.inputs, now_ms).await?;
        // The first run warms up.
        if run > 0 {
            runs_ms.push(times.each_ms.iter().sum());
        }
    }
    let flops: u64 = work.graph.ids().map(|id| work.graph.flops(id)).sum();
    let ms = median(&runs_ms);
    let (kernel, tier) = plan.kernels().pop().map_or_else(Default::default, |(k, t)| (k, t.name().to_owned()));
    let gb_per_s = work.bytes as f64 / ms / 1e6;
    let gflop_per_s = flops as f64 / ms / 1e6;
    Ok(KernelTime {
        kernel,
        tier,
        shapes: work.shapes.clone(),
        working_set_bytes: work.bytes,
        ms,
        runs_ms,
        gb_per_s,
        gflop_per_s,
        of_bandwidth: gb_per_s / limits.copy_gb_per_s,
        of_arithmetic: gflop_per_s / limits.fma_gflop_per_s,
    })
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
