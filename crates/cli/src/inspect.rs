//! `lantern inspect`.

use std::path::Path;

use lantern_demos::chat::{Checked, LoadOptions, check};
use lantern_graph::{Error, Result};
use lantern_weights::{
    ByteSource, ChatTemplates, FileSource, Gguf, SafeTensor, Safetensors, TensorInfo, Value, safetensors_part,
};
use serde_json::{Value as Json, json};

use crate::args::Inspect;
use crate::output;

/// Longer arrays (vocabularies) are told by their length and their start.
const SHOWN: usize = 16;

pub async fn run(args: &Inspect) -> Result<()> {
    let source = FileSource::open(&args.file)?;
    if is_safetensors(&args.file, &source).await? {
        let file = Safetensors::read(&source).await?;
        let part = source.name().as_deref().and_then(safetensors_part);
        return if args.json.json { print_safetensors_json(&file, part) } else { print_safetensors(&file, part) };
    }
    let gguf = Gguf::read(&source).await?;
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

fn print_safetensors_json(file: &Safetensors, part: Option<Error>) -> Result<()> {
    let tensors: Vec<Json> = file
        .tensors
        .iter()
        .map(|t| json!({"name": t.name, "type": t.dtype.name(), "shape": t.shape, "bytes": t.bytes}))
        .collect();
    output::json(&json!({
        "format": "safetensors",
        "metadata": file.metadata,
        "tensors": tensors,
        "totals": {
            "tensors": file.tensors.len(),
            "bytes": file.tensors.iter().map(|t| t.bytes).sum::<u64>(),
            "parameters": file.tensors.iter().map(SafeTensor::elements).sum::<u64>(),
        },
        "notices": part.iter().map(error_json).collect::<Vec<_>>(),
    }))
}

fn print_safetensors(file: &Safetensors, part: Option<Error>) -> Result<()> {
    let mut text = String::from("safetensors\n\nmetadata\n");
    for (key, value) in &file.metadata {
        text += &format!("  {key} = {}\n", json!(value));
    }
    text += "\ntensors (row-major, outermost dimension first)\n";
    for t in &file.tensors {
        text += &tensor_line(&t.name, t.dtype.name(), &t.shape, t.bytes);
    }
    let parameters: u64 = file.tensors.iter().map(SafeTensor::elements).sum();
    let bytes: u64 = file.tensors.iter().map(|t| t.bytes).sum();
    text += &totals_line(file.tensors.len(), parameters, bytes);
    text += &part.map_or(String::new(), |part| format!("note: {part}\n"));
    output::names(&text)
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
