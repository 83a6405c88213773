//! `lantern bench`.

use std::time::Instant;

use lantern_gpu::{BenchOptions, BenchReport, KernelTime, bench};
use lantern_graph::{Error, Result};
use serde_json::{Value, json};

use crate::args::BenchKernels;
use crate::{device, output};

pub async fn kernels(args: &BenchKernels) -> Result<()> {
    if args.runs == Some(0) || args.working_set_mib == Some(0) {
        return Err(Error::new("bench.options", "nothing to measure with 0 runs or 0 MiB", "give at least 1"));
    }
    let gpu = device::gpu(args.tier.as_deref(), args.adapter.clone()).await?;
    let (mib, runs) = if gpu.capabilities().is_cpu { (64, 3) } else { (256, 9) };
    let options = BenchOptions {
        working_set_bytes: args.working_set_mib.unwrap_or(mib).saturating_mul(1 << 20),
        runs: args.runs.unwrap_or(runs),
    };
    let start = Instant::now();
    let report = bench(&gpu, &options, &|| start.elapsed().as_secs_f64() * 1e3).await?;
    if args.json.json { output::json(&to_json(&report)) } else { output::text(&to_text(&report)) }
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
        "adapter": report.adapter, "tier": report.tier, "clock": report.clock,
        "copy_gb_per_s": report.copy_gb_per_s, "fma_gflop_per_s": report.fma_gflop_per_s,
        "kernels": report.kernels.iter().map(kernel).collect::<Vec<_>>(),
    })
}

fn to_text(report: &BenchReport) -> String {
    let mut text = format!(
        "{}, tier {}, by {}\ncopies {:.1} GB/s, multiplies and adds in registers {:.0} GFLOP/s\n\n",
        report.adapter,
        report.tier,
        if report.clock == "timestamps" { "the GPU's clock" } else { "the host's clock" },
        report.copy_gb_per_s,
        report.fma_gflop_per_s,
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
