//! `lantern quantize`.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::time::{Duration, Instant};

use lantern_graph::Result;
use lantern_weights::{FileSource, Gguf, QuantizeOptions, QuantizePlan};
use serde_json::{Value as Json, json};

use crate::args::Quantize;
use crate::output;
use crate::part_file::{PartFile, check_output};

pub async fn run(args: &Quantize) -> Result<()> {
    check_output(&args.input, &args.output)?;
    let source = FileSource::open(&args.input)?;
    let gguf = Gguf::read(&source).await?;
    let options = QuantizeOptions { target: args.target, pure: args.pure, allow_requantize: args.allow_requantize };
    let plan = QuantizePlan::new(&gguf, &options)?;
    let start = Instant::now();
    let (part, file) = PartFile::create(&args.output)?;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let bytes_in = plan.tensors.iter().map(|t| t.from.bytes).sum::<u64>();
    let mut meter = output::Meter::new("MiB");
    let out = BufWriter::with_capacity(1 << 20, file);
    let written = plan.write(&source, &gguf, out, threads, &mut |done| meter.tell(done >> 20, bytes_in >> 20)).await;
    drop(meter);
    // `write` has flushed it.
    drop(written?);
    // The input's handle is given back first: where OUT is open elsewhere, some systems refuse to replace it.
    drop(source);
    part.keep()?;
    if args.json.json {
        return print_json(args, &plan, bytes_in, start.elapsed());
    }
    print_text(args, &plan, bytes_in, start.elapsed())
}

/// Tensors and bytes of each type in the new file, by name.
fn by_type(plan: &QuantizePlan) -> BTreeMap<String, (usize, u64)> {
    let mut types = BTreeMap::new();
    for tensor in &plan.tensors {
        let (count, bytes) = types.entry(tensor.to.name()).or_insert((0, 0));
        *count += 1;
        *bytes += tensor.bytes;
    }
    types
}

fn print_json(args: &Quantize, plan: &QuantizePlan, bytes_in: u64, took: Duration) -> Result<()> {
    let types: Vec<Json> = by_type(plan)
        .into_iter()
        .map(|(name, (tensors, bytes))| json!({"type": name, "tensors": tensors, "bytes": bytes}))
        .collect();
    output::json(&json!({
        "output": args.output.display().to_string(),
        "type": plan.target.name(),
        "types": types,
        "tensors": plan.tensors.len(),
        "bytes_before": bytes_in,
        "bytes": plan.bytes(),
        "notes": plan.notes,
        "ms": took.as_secs_f64() * 1e3,
    }))
}

fn print_text(args: &Quantize, plan: &QuantizePlan, bytes_in: u64, took: Duration) -> Result<()> {
    let mut text = String::new();
    for (name, (tensors, bytes)) in by_type(plan) {
        let noun = if tensors == 1 { "tensor " } else { "tensors" };
        text += &format!("  {name:<5} {tensors:>5} {noun} {bytes:>14} bytes\n");
    }
    for note in &plan.notes {
        text += &format!("  {note}\n");
    }
    let (path, bytes) = (args.output.display(), plan.bytes());
    text += &format!("{path}: {bytes} bytes of weights, from {bytes_in}, in {:.1} s\n", took.as_secs_f64());
    output::names(&text)
}
