//! `lantern quantize`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lantern_graph::{Error, Result};
use lantern_weights::{FileSource, Gguf, QuantizeOptions, QuantizePlan};
use serde_json::{Value as Json, json};

use crate::args::Quantize;
use crate::output;

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
    output::text(&text)
}

/// Refuses what can be known to fail before hours of work, and an output that would destroy its input.
pub fn check_output(input: &Path, output: &Path) -> Result<()> {
    let bad = |why: &str, remedy: &str| {
        Err(Error::new("quantize.output", format!("{}: {why}", output.display()), remedy.to_owned()))
    };
    if output.is_dir() {
        return bad("it is a folder", "name a file");
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return bad("there is no such folder", "make the folder first");
    }
    if output.exists() && output.canonicalize().ok() == input.canonicalize().ok() {
        return bad("it is the input too, whose weights would be lost", "name another file");
    }
    Ok(())
}

/// The output while it is being written, beside its final place: what was there stays until the new one is whole.
pub struct PartFile {
    part: PathBuf,
    whole: PathBuf,
    kept: bool,
}

impl PartFile {
    pub fn create(whole: &Path) -> Result<(Self, File)> {
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = Self { part: whole.with_file_name(name), whole: whole.to_owned(), kept: false };
        let file = File::create(&part.part).map_err(|error| part.failed(&error))?;
        Ok((part, file))
    }

    /// Makes it the output.
    pub fn keep(mut self) -> Result<()> {
        // Its bytes reach the disk before its name does: a power cut leaves the old file or the new one.
        let synced = File::options().write(true).open(&self.part).and_then(|file| file.sync_all());
        synced.and_then(|()| std::fs::rename(&self.part, &self.whole)).map_err(|error| self.failed(&error))?;
        self.kept = true;
        Ok(())
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        let cause = format!("{}: {error}", self.whole.display());
        Error::new("quantize.output", cause, "check the disk, and that you may write there")
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing to add to the error that led here.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
