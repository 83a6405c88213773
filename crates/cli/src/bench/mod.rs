//! `lantern bench`: kernels by themselves (here), stacks of convolutions (conv.rs), conversations (chat.rs).

mod chat;
mod conv;
mod operations;

use std::time::Instant;

use lantern_gpu::{BenchOptions, BenchReport, KernelTime, Limits, SHADER_CHECKS, bench};
use lantern_graph::{Error, Result};
use serde_json::{Value, json};

use crate::args::BenchKernels;
use crate::device;
use crate::output;

pub use chat::chat;
pub use conv::conv;

fn nothing_to_measure(flag: &str) -> Error {
    Error::new("bench.options", "nothing to measure with 0 runs or 0 MiB", format!("give {flag} 1 at least"))
}

/// Milliseconds since it was made.
fn clock() -> impl Fn() -> f64 {
    let start = Instant::now();
    move || start.elapsed().as_secs_f64() * 1e3
}

pub async fn kernels(args: &BenchKernels) -> Result<()> {
    if let Some((flag, _)) = [("--runs", args.runs.map(|n| n as u64)), ("--working-set-mib", args.working_set_mib)]
        .iter()
        .find(|(_, given)| *given == Some(0))
    {
        return Err(nothing_to_measure(flag));
    }
    let gpu = device::gpu(args.tier.as_deref(), args.adapter.clone()).await?;
    let (mib, runs) = if gpu.capabilities().is_cpu { (64, 3) } else { (256, 9) };
    let options = BenchOptions {
        working_set_bytes: args.working_set_mib.unwrap_or(mib).saturating_mul(1 << 20),
        runs: args.runs.unwrap_or(runs),
    };
    let report = bench(&gpu, &options, &clock()).await?;
    if args.json.json { output::json(&to_json(&report)) } else { output::text(&to_text(&report)) }
}

fn limits_json(limits: &Limits) -> Value {
    json!({
        "copy_gb_per_s": limits.copy_gb_per_s, "fma_gflop_per_s": limits.fma_gflop_per_s,
        "dispatch_us": limits.dispatch_ms * 1e3,
    })
}

fn limits_text(limits: &Limits) -> String {
    format!(
        "copies {:.1} GB/s, multiplies and adds in registers {:.0} GFLOP/s, a dispatch that waits for another {:.1} µs",
        limits.copy_gb_per_s,
        limits.fma_gflop_per_s,
        limits.dispatch_ms * 1e3,
    )
}

fn clock_text(clock: &str) -> &'static str {
    if clock == "timestamps" { "the GPU's clock" } else { "the host's clock" }
}

fn to_json(report: &BenchReport) -> Value {
    let kernel = |k: &KernelTime| {
        json!({
            "kernel": k.kernel, "tier": k.tier, "shapes": k.shapes, "working_set_bytes": k.working_set_bytes,
            "ms": k.ms, "runs_ms": k.runs_ms, "gb_per_s": k.gb_per_s, "gflop_per_s": k.gflop_per_s,
            "of_bandwidth": k.of_bandwidth, "of_arithmetic": k.of_arithmetic,
        })
    };
    json!({
        "adapter": report.adapter, "tier": report.tier, "clock": report.clock, "shader_checks": SHADER_CHECKS,
        "limits": limits_json(&report.limits), "kernels": report.kernels.iter().map(kernel).collect::<Vec<_>>(),
    })
}

fn to_text(report: &BenchReport) -> String {
    let mut text = format!(
        "{}, tier {}, by {}; shader checks: {SHADER_CHECKS}\n{}\n\n",
        report.adapter,
        report.tier,
        clock_text(report.clock),
        limits_text(&report.limits),
    );
    text += &format!("{:<34} {:<10} {:>9} {:>12} {:>16}\n", "kernel", "tier", "ms", "GB/s", "GFLOP/s");
    for k in &report.kernels {
        text += &format!(
            "{:<34} {:<10} {:>9.3} {:>7.1} {:>3.0}% {:>11.1} {:>3.0}%   {}\n",
            k.kernel,
            k.tier,
            k.ms,
            k.gb_per_s,
            k.of_bandwidth * 100.0,
            k.gflop_per_s,
            k.of_arithmetic * 100.0,
            k.shapes,
        );
    }
    text
}
