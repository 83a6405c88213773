//! `lantern inspect`.

mod safetensors;

use std::path::Path;

use lantern_demos::chat::{Checked, LoadOptions, check};
use lantern_graph::{Error, Result};
use lantern_weights::{ByteSource, ChatTemplates, FileSource, Gguf, TensorInfo, Value, model_files, model_index};
use serde_json::{Value as Json, json};

use crate::args::Inspect;
use crate::output;

/// Longer arrays (vocabularies) are told by their length and their start.
const SHOWN: usize = 16;

pub async fn run(args: &Inspect) -> Result<()> {
    if let Some(index) = model_index(&args.file)? {
        return safetensors::run_model(&args.file, &index, args.json.json).await;
    }
    let files = model_files(&args.file).await?;
    let sources = files.iter().map(FileSource::open).collect::<Result<Vec<_>>>()?;
    let [source] = &sources[..] else { return safetensors::run(&sources, args.json.json).await };
    if is_safetensors(&files[0], source).await? {
        return safetensors::run(&sources, args.json.json).await;
    }
    let gguf = Gguf::read(source).await?;
    let runs = runs(&gguf);
    if args.json.json { print_json(&gguf, &runs) } else { print_text(&gguf, &runs) }
}

/// By name, or by the brace that opens the header: a downloaded file may have lost its name.
pub(crate) async fn is_safetensors(path: &Path, source: &FileSource) -> Result<bool> {
    let mut first = [0; 9];
    if source.len() >= 9 {
        source.read(0, &mut first).await?;
    }
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
    Ok(!first.starts_with(b"GGUF") && (named || first[8] == b'{'))
}

fn tensor_line(name: &str, kind: &str, shape: &[usize], bytes: u64) -> String {
    let shape = format!("{shape:?}");
    format!("  {name:<28} {kind:<5} {shape:<16} {bytes} bytes\n")
}

fn totals_line(tensors: usize, parameters: u64, bytes: u64) -> String {
    format!("\n{tensors} tensors, {parameters} parameters, {bytes} bytes\n")
}

/// What `lantern chat` would say to it, short of reading the weights: what a visitor should know, or why it cannot be run.
fn runs(gguf: &Gguf) -> Result<Vec<Error>> {
    let checked: Checked = check(gguf, &LoadOptions { context_length: usize::MAX, ..LoadOptions::default() })
        // The whole context may be too long for memory; that it can be shortened is not worth a refusal here.
        .or_else(|error| match error.code {
            "llama.context" => check(gguf, &LoadOptions::default()),
            _ => Err(error),
        })?;
    checked.check_conversation()?;
    Ok(checked.all_notices())
}

fn error_json(error: &Error) -> Json {
    json!({"code": error.code, "cause": error.cause, "remedy": error.remedy})
}

fn total_bytes(gguf: &Gguf) -> u64 {
    gguf.tensors.iter().map(|t| t.bytes).sum()
}

fn parameters(gguf: &Gguf) -> u64 {
    gguf.tensors.iter().map(TensorInfo::elements).sum()
}

fn print_json(gguf: &Gguf, runs: &Result<Vec<Error>>) -> Result<()> {
    let metadata: serde_json::Map<String, Json> =
        gguf.metadata.iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect();
    let tensors: Vec<Json> = gguf
        .tensors
        .iter()
        .map(|t| json!({"name": t.name, "type": t.ggml_type.name(), "shape": t.shape, "bytes": t.bytes}))
        .collect();
    let notices: Vec<Json> = runs.iter().flatten().map(error_json).collect();
    output::json(&json!({
        "version": gguf.version,
        "metadata": metadata,
        "tensors": tensors,
        "totals": {"tensors": gguf.tensors.len(), "bytes": total_bytes(gguf), "parameters": parameters(gguf)},
        "other_chat_templates": ChatTemplates::read(&gguf.metadata, &mut Vec::new()).others,
        "runs": runs.is_ok(),
        "notices": notices,
        "error": runs.as_ref().err().map(error_json),
    }))
}

fn print_text(gguf: &Gguf, runs: &Result<Vec<Error>>) -> Result<()> {
    let mut text = format!("GGUF version {}\n\nmetadata\n", gguf.version);
    for (key, value) in gguf.metadata.iter() {
        text += &format!("  {key} = {}\n", to_json(value));
    }
    text += "\ntensors (row-major, outermost dimension first)\n";
    for t in &gguf.tensors {
        text += &tensor_line(&t.name, &t.ggml_type.name(), &t.shape, t.bytes);
    }
    text += &totals_line(gguf.tensors.len(), parameters(gguf), total_bytes(gguf));
    let others = ChatTemplates::read(&gguf.metadata, &mut Vec::new()).others;
    if !others.is_empty() {
        text += &format!("chat templates that are not used: {}\n", others.join(", "));
    }
    for notice in runs.iter().flatten() {
        text += &format!("note: {notice}\n");
    }
    text += &match runs {
        Ok(_) => "this version can run it\n".to_owned(),
        Err(error) => format!("this version cannot run it: {error}\n"),
    };
    output::names(&text)
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Array(values) if values.len() > SHOWN => {
            json!({"length": values.len(), "first": values[..SHOWN].iter().map(to_json).collect::<Vec<_>>()})
        }
        Value::Array(values) => values.iter().map(to_json).collect(),
    }
}
