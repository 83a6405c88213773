//! Writing safetensors: for tests and for tools that make small models. The whole file is built in memory.

use crate::SafeDtype;
use half::{bf16, f16};
use lantern_graph::{Error, Result};
use serde_json::json;

/// Collects tensors, then [`finish`](SafetensorsWriter::finish)es into a file's bytes.
#[derive(Default)]
pub struct SafetensorsWriter {
    /// Members of the header's object, as JSON.
    members: Vec<String>,
    metadata: serde_json::Map<String, serde_json::Value>,
    data: Vec<u8>,
}

impl SafetensorsWriter {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn metadata(&mut self, key: &str, value: &str) -> &mut Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Appends a tensor, right behind the one before. Nothing is checked: tests write wrong files too.
    pub fn tensor(&mut self, name: &str, shape: &[usize], dtype: &SafeDtype, bytes: &[u8]) -> &mut Self {
        let begin = self.data.len();
        self.data.extend(bytes);
        let entry = json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [begin, self.data.len()]});
        self.members.push(format!("{}:{entry}", json!(name)));
        self
    }

    /// Rounds `values` (row-major) to `dtype` and appends them. `tensor.size` when they do not fill `shape`,
    /// `safetensors.type` for types that are not read.
    pub fn tensor_f32(&mut self, name: &str, shape: &[usize], dtype: &SafeDtype, values: &[f32]) -> Result<&mut Self> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::new(
                "tensor.size",
                format!("tensor {name}: {} values do not make {shape:?}", values.len()),
                "give as many values as the shape has",
            ));
        }
        let bytes: Vec<u8> = match dtype {
            SafeDtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            SafeDtype::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            SafeDtype::BF16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            SafeDtype::Other(other) => {
                return Err(Error::new(
                    "safetensors.type",
                    format!("tensor {name} cannot be written as {other}"),
                    "write F32, F16 or BF16",
                ));
            }
        };
        Ok(self.tensor(name, shape, dtype, &bytes))
    }

    /// The file: its header padded with spaces to whole eights, as the reference writes it.
    pub fn finish(&self) -> Vec<u8> {
        let mut members = self.members.clone();
        if !self.metadata.is_empty() {
            members.insert(0, format!("\"__metadata__\":{}", json!(self.metadata)));
        }
        let mut header = format!("{{{}}}", members.join(",")).into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        [&(header.len() as u64).to_le_bytes()[..], &header, &self.data].concat()
    }
}
