//! `lantern bench conv`: stacks of convolutions.

use std::time::Instant;

use lantern_bench::{LoadedStack, Stack, median, parse};
use lantern_gpu::{BenchOptions, Gpu, Limits, Profile, limits, profile};
use lantern_graph::{Cancel, Error, Executor, Result};
use serde_json::{Value, json};

use super::{clock, limits_json, limits_text, nothing_to_measure, operations};
use crate::args::BenchConv;
use crate::device::{self, Device};
use crate::output::{self, Notes};

/// The stacks that `cargo xtask bench conv` compares engines on.
const STACKS: &str = include_str!("../../../../benches/stacks.json");

/// Those that a real card is measured with.
const LARGE: &str = include_str!("../../../../benches/stacks-large.json");

/// One stack's figures.
struct StackTime {
    stack: Stack,
    dispatches: usize,
    /// From the picture to the result, by the host's clock.
    runs_ms: Vec<f64>,
    /// GPUs only.
    profile: Option<Profile>,
}

pub async fn conv(args: &BenchConv) -> Result<()> {
    if args.runs == Some(0) {
        return Err(nothing_to_measure("--runs"));
    }
    let stacks = stacks(args)?;
    let mut notes = Notes::new("bench conv");
    let opened = device::open(&args.device, &mut notes).await?;
    let mut times = Vec::new();
    let (description, limits) = match &opened {
        Device::Cpu(cpu) => {
            for stack in stacks {
                let mut loaded = LoadedStack::load(&**cpu, &stack, &Cancel::new()).await?;
                let runs_ms = whole_runs(&mut loaded, &stack, args.runs.unwrap_or(9)).await?;
                times.push(StackTime { dispatches: loaded.dispatches(), stack, runs_ms, profile: None });
            }
            (cpu.describe(), None)
        }
        Device::Gpu(gpu) => {
            let runs = args.runs.unwrap_or(if gpu.capabilities().is_cpu { 5 } else { 9 });
            let now_ms = clock();
            let limits = limits(gpu, &BenchOptions { working_set_bytes: 1 << 24, runs }, &now_ms).await?;
            for stack in stacks {
                times.push(on_gpu(gpu, stack, (runs, &limits), &now_ms).await?);
            }
            (gpu.describe(), Some(limits))
        }
    };
    let figures = times.iter().map(|time| figures(time, limits.as_ref())).collect::<Result<Vec<_>>>()?;
    if args.json.json {
        return output::json(&json!({
            "adapter": description.adapter, "device": description.device, "tier": description.tier,
            "limits": limits.as_ref().map(limits_json), "stacks": figures, "notes": notes.to_json(),
        }));
    }
    let mut text = format!("{}, tier {}\n", description.adapter, description.tier);
    if let Some(limits) = &limits {
        text += &format!("{}\n", limits_text(limits));
    }
    for (time, figures) in times.iter().zip(&figures) {
        text += &stack_text(time, figures);
    }
    output::text(&text)
}

fn stacks(args: &BenchConv) -> Result<Vec<Stack>> {
    let (names, stacks) = (&args.stacks, parse::<Vec<Stack>>(if args.large { LARGE } else { STACKS })?);
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

async fn on_gpu(
    gpu: &Gpu,
    stack: Stack,
    (runs, limits): (usize, &Limits),
    now_ms: &dyn Fn() -> f64,
) -> Result<StackTime> {
    let mut loaded = LoadedStack::load(gpu, &stack, &Cancel::new()).await?;
    let runs_ms = whole_runs(&mut loaded, &stack, runs).await?;
    let inputs = [("x", lantern_graph::Value::F32(stack.picture()))];
    let LoadedStack { session, plan, bindings } = &mut loaded;
    let profile = profile(session, plan, bindings, &inputs, (runs, limits), now_ms).await?;
    Ok(StackTime { dispatches: loaded.dispatches(), profile: Some(profile), stack, runs_ms })
}

fn figures(time: &StackTime, limits: Option<&Limits>) -> Result<Value> {
    let wrong = |cause| Error::new("stack.shape", cause, "check benches/stacks.json");
    let flops = time.stack.flops().map_err(wrong)? as f64;
    let ms = median(&time.runs_ms);
    // The kernels' own time where it is known: the limit is a kernel's too.
    let kernels_ms = time.profile.as_ref().map(|profile| profile.ms);
    let gflop_per_s = flops / kernels_ms.unwrap_or(ms) / 1e6;
    Ok(json!({
        "name": time.stack.name, "about": time.stack.about, "shapes": time.stack.shapes().map_err(wrong)?,
        "mflop": flops / 1e6, "working_set_bytes": time.stack.working_set_bytes().map_err(wrong)?,
        "dispatches": time.dispatches, "ms": ms, "runs_ms": time.runs_ms, "kernels_ms": kernels_ms,
        "profile": time.profile.as_ref().map(|profile| operations::to_json(profile, json!({}))), "gflop_per_s": gflop_per_s,
        "of_fma": limits.map(|limits| gflop_per_s / limits.fma_gflop_per_s),
    }))
}

fn stack_text(time: &StackTime, figures: &Value) -> String {
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let share = figures["of_fma"].as_f64().map_or(String::new(), |s| format!(", {:.0}% of the limit", s * 100.0));
    let mut text = format!(
        "\n{} ({}): {:.1} MFLOP, {:.2} MB, {:.2} ms, {:.3} GFLOP/s{share}\n",
        time.stack.name,
        time.stack.about,
        number("mflop"),
        number("working_set_bytes") / 1e6,
        number("ms"),
        number("gflop_per_s"),
    );
    if let Some(profile) = &time.profile {
        text += &operations::to_text(profile);
    }
    text
}
