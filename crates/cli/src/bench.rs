//! `lantern bench`.

use std::time::Instant;

use lantern_bench::{LoadedStack, Stack, parse};
use lantern_gpu::{BenchOptions, BenchReport, Gpu, KernelTime, bench, limits};
use lantern_graph::{Cancel, Error, Executor, Result};
use serde_json::{Value, json};

use crate::args::{BenchConv, BenchKernels};
use crate::device::{self, Device};
use crate::output::{self, Notes};

/// The stacks that `cargo xtask bench conv` compares engines on.
const STACKS: &str = include_str!("../../../benches/stacks.json");

fn nothing_to_measure(flag: &str) -> Error {
    Error::new("bench.options", "nothing to measure with 0 runs or 0 MiB", format!("give {flag} 1 at least"))
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

/// One stack's figures.
struct StackTime {
    stack: Stack,
    dispatches: usize,
    /// From the picture to the result, by the host's clock.
    runs_ms: Vec<f64>,
    /// Of each dispatch: what it does, and its median. GPUs only.
    parts: Vec<(String, f64)>,
}

pub async fn conv(args: &BenchConv) -> Result<()> {
    if args.runs == Some(0) {
        return Err(nothing_to_measure("--runs"));
    }
    let stacks = stacks(&args.stacks)?;
    let mut notes = Notes::new("bench conv");
    let opened = device::open(&args.device, &mut notes).await?;
    let mut times = Vec::new();
    let (description, fma_gflop_per_s) = match &opened {
        Device::Cpu(cpu) => {
            for stack in stacks {
                let mut loaded = LoadedStack::load(&**cpu, &stack, &Cancel::new()).await?;
                let runs_ms = whole_runs(&mut loaded, &stack, args.runs.unwrap_or(9)).await?;
                times.push(StackTime { dispatches: loaded.dispatches(), stack, runs_ms, parts: Vec::new() });
            }
            (cpu.describe(), None)
        }
        Device::Gpu(gpu) => {
            let runs = args.runs.unwrap_or(if gpu.capabilities().is_cpu { 5 } else { 9 });
            let start = Instant::now();
            let now_ms = || start.elapsed().as_secs_f64() * 1e3;
            let limits = limits(gpu, &BenchOptions { working_set_bytes: 1 << 24, runs }, &now_ms).await?;
            for stack in stacks {
                times.push(on_gpu(gpu, stack, runs, &now_ms).await?);
            }
            (gpu.describe(), Some(limits.fma_gflop_per_s))
        }
    };
    let figures = times.iter().map(|time| figures(time, fma_gflop_per_s)).collect::<Result<Vec<_>>>()?;
    let report = json!({
        "adapter": description.adapter, "device": description.device, "tier": description.tier,
        "fma_gflop_per_s": fma_gflop_per_s, "stacks": figures,
    });
    if args.json.json { output::json(&report) } else { output::text(&conv_text(&report)) }
}

fn stacks(names: &[String]) -> Result<Vec<Stack>> {
    let stacks: Vec<Stack> = parse(STACKS)?;
    if let Some(name) = names.iter().find(|name| stacks.iter().all(|stack| stack.name != **name)) {
        let known: Vec<_> = stacks.iter().map(|stack| stack.name.as_str()).collect();
        return Err(Error::new(
            "bench.stack",
            format!("there is no stack {name}"),
            format!("choose of {}", known.join(", ")),
        ));
    }
    Ok(stacks.into_iter().filter(|stack| names.is_empty() || names.contains(&stack.name)).collect())
}

/// Milliseconds of each run after the first.
async fn whole_runs<E: Executor>(loaded: &mut LoadedStack<E>, stack: &Stack, runs: usize) -> Result<Vec<f64>> {
    let mut runs_ms = Vec::new();
    for run in 0..=runs {
        let picture = stack.picture();
        let start = Instant::now();
        loaded.run(picture, &Cancel::new()).await?;
        if run > 0 {
            runs_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(runs_ms)
}

async fn on_gpu(gpu: &Gpu, stack: Stack, runs: usize, now_ms: &dyn Fn() -> f64) -> Result<StackTime> {
    let mut loaded = LoadedStack::load(gpu, &stack, &Cancel::new()).await?;
    let runs_ms = whole_runs(&mut loaded, &stack, runs).await?;
    let inputs = [("x", lantern_graph::Value::F32(stack.picture()))];
    let mut each: Vec<Vec<f64>> = Vec::new();
    for _ in 0..runs {
        let LoadedStack { session, plan, bindings } = &mut loaded;
        each.push(session.profile(plan, bindings, &inputs, now_ms).await?);
    }
    let named = loaded.plan.labels().into_iter().zip(loaded.plan.kernels());
    let parts = named.enumerate().map(|(at, (label, (kernel, tier)))| {
        let times: Vec<f64> = each.iter().filter_map(|times| times.get(at).copied()).collect();
        (format!("{label}: {kernel} ({})", tier.name()), median(&times))
    });
    Ok(StackTime { dispatches: loaded.dispatches(), parts: parts.collect(), stack, runs_ms })
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn figures(time: &StackTime, fma_gflop_per_s: Option<f64>) -> Result<Value> {
    let wrong = |cause| Error::new("stack.shape", cause, "check benches/stacks.json");
    let flops = time.stack.flops().map_err(wrong)? as f64;
    let ms = median(&time.runs_ms);
    // The kernels' own time where it is known: the limit is a kernel's too.
    let kernels_ms = (!time.parts.is_empty()).then(|| time.parts.iter().map(|(_, ms)| ms).sum::<f64>());
    let gflop_per_s = flops / kernels_ms.unwrap_or(ms) / 1e6;
    let parts: Vec<Value> = time.parts.iter().map(|(what, ms)| json!({"what": what, "ms": ms})).collect();
    Ok(json!({
        "name": time.stack.name, "about": time.stack.about, "shapes": time.stack.shapes().map_err(wrong)?,
        "mflop": flops / 1e6, "working_set_bytes": time.stack.working_set_bytes().map_err(wrong)?,
        "dispatches": time.dispatches, "ms": ms, "runs_ms": time.runs_ms, "kernels_ms": kernels_ms, "parts": parts,
        "gflop_per_s": gflop_per_s, "of_fma": fma_gflop_per_s.map(|limit| gflop_per_s / limit),
    }))
}

fn conv_text(report: &Value) -> String {
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut text = format!("{}, tier {}", words(&report["adapter"]), words(&report["tier"]));
    if let Some(limit) = report["fma_gflop_per_s"].as_f64() {
        text += &format!(", multiplies and adds in registers {limit:.2} GFLOP/s");
    }
    text += "\n";
    for stack in report["stacks"].as_array().into_iter().flatten() {
        let share = stack["of_fma"].as_f64().map_or(String::new(), |s| format!(", {:.0}% of the limit", s * 100.0));
        text += &format!(
            "\n{} ({}): {:.1} MFLOP, {:.2} MB, {:.2} ms, {:.3} GFLOP/s{share}\n",
            words(&stack["name"]),
            words(&stack["about"]),
            number(&stack["mflop"]),
            number(&stack["working_set_bytes"]) / 1e6,
            number(&stack["ms"]),
            number(&stack["gflop_per_s"]),
        );
        for part in stack["parts"].as_array().into_iter().flatten() {
            text += &format!("  {:>9.3} ms  {}\n", number(&part["ms"]), words(&part["what"]));
        }
    }
    text
}
