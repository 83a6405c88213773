//! Safetensors: a file, the shards of a model as one, or a model of several parts.

use std::path::Path;

use lantern_graph::Result;
use lantern_weights::{
    ByteSource, FileSource, ModelIndex, PartClass, SafeTensor, Safetensors, model_files, read_table,
};
use serde_json::{Value as Json, json};

use super::{error_json, tensor_line, totals_line};
use crate::output;

/// One table of tensors, and the files it is of.
struct Table {
    file: Safetensors,
    /// Name and bytes.
    files: Vec<(String, u64)>,
}

impl Table {
    async fn read(sources: &[FileSource]) -> Result<Self> {
        let files = sources.iter().map(|source| (source.name().unwrap_or_default(), source.len())).collect();
        Ok(Self { file: read_table(sources).await?, files })
    }

    fn bytes(&self) -> u64 {
        self.file.tensors.iter().map(|t| t.bytes).sum()
    }

    fn parameters(&self) -> u64 {
        self.file.tensors.iter().map(SafeTensor::elements).sum()
    }

    fn json(&self) -> Json {
        let tensors = self.file.tensors.iter();
        json!({
            "format": "safetensors",
            "files": self.files.iter().map(|(name, bytes)| json!({"name": name, "bytes": bytes})).collect::<Vec<_>>(),
            "metadata": self.file.metadata,
            "tensors": tensors
                .map(|t| json!({"name": t.name, "type": t.dtype.name(), "shape": t.shape, "bytes": t.bytes}))
                .collect::<Vec<_>>(),
            "totals": {
                "tensors": self.file.tensors.len(),
                "bytes": self.bytes(),
                "parameters": self.parameters(),
            },
            "notices": self.file.part.iter().map(error_json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.files.len() > 1 {
            text += "\nfiles\n";
            text += &self.files.iter().map(|(name, bytes)| format!("  {name} {bytes} bytes\n")).collect::<String>();
        }
        text += "\nmetadata\n";
        for (key, value) in &self.file.metadata {
            text += &format!("  {key} = {}\n", json!(value));
        }
        text += "\ntensors (row-major, outermost dimension first)\n";
        for t in &self.file.tensors {
            text += &tensor_line(&t.name, t.dtype.name(), &t.shape, t.bytes);
        }
        text += &totals_line(self.file.tensors.len(), self.parameters(), self.bytes());
        text + &self.file.part.as_ref().map_or(String::new(), |part| format!("note: {part}\n"))
    }
}

/// A file, or a list and its shards.
pub async fn run(sources: &[FileSource], as_json: bool) -> Result<()> {
    let table = Table::read(sources).await?;
    if as_json { output::json(&table.json()) } else { output::names(&format!("safetensors\n{}", table.text())) }
}

/// A folder with a description of its parts. What is wrong with one of them is its result: the others may be of use.
pub async fn run_model(folder: &Path, index: &ModelIndex, as_json: bool) -> Result<()> {
    let mut parts = Vec::new();
    for part in &index.parts {
        parts.push((part, read_part(folder, part).await));
    }
    let whole = || parts.iter().filter_map(|(_, table)| table.as_ref().ok());
    let sum = |of: fn(&Table) -> u64| whole().map(of).sum::<u64>();
    let (tensors, parameters, bytes) =
        (sum(|t| t.file.tensors.len() as u64), sum(Table::parameters), sum(Table::bytes));
    if as_json {
        let parts = parts.iter().map(|(part, table)| {
            let mut json = match table {
                Ok(table) => table.json(),
                Err(error) => json!({"error": error_json(error)}),
            };
            json["role"] = json!(part.role);
            json["class"] = json!(part.class);
            json
        });
        return output::json(&json!({
            "format": "model",
            "class": index.class,
            "parts": parts.collect::<Vec<_>>(),
            "totals": {"tensors": tensors, "bytes": bytes, "parameters": parameters},
        }));
    }
    let mut text = format!("{}, a model of {} parts\n", index.class, parts.len());
    for (part, table) in &parts {
        text += &format!("\n{}: {}\n", part.role, part.class);
        text += &match table {
            Ok(table) => table.text(),
            Err(error) => format!("  {error}\n"),
        };
    }
    text += &format!("\nall parts:{}", totals_line(tensors as usize, parameters, bytes).replacen('\n', " ", 1));
    output::names(&text)
}

async fn read_part(folder: &Path, part: &PartClass) -> Result<Table> {
    let files = model_files(&folder.join(&part.role)).await?;
    let sources = files.iter().map(FileSource::open).collect::<Result<Vec<_>>>()?;
    Table::read(&sources).await
}
