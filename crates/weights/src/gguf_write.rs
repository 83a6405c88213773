//! Writing GGUF: for tests, for tools that make small models, and for what is saved from the page.
//!
//! The whole file is built in memory. Tensors follow the header in the order given, each aligned.

use crate::{GgmlType, Metadata, Value, quantize};
use lantern_graph::{Error, Result};

/// Collects metadata and tensors, then [`finish`](GgufWriter::finish)es into a file's bytes.
pub struct GgufWriter {
    version: u32,
    metadata: Metadata,
    tensors: Vec<Tensor>,
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    ggml_type: GgmlType,
    data: Vec<u8>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self::new(3)
    }
}

impl GgufWriter {
    /// `version` is 2 or 3; little-endian, they differ in that number alone.
    pub fn new(version: u32) -> Self {
        Self { version, metadata: Metadata::default(), tensors: Vec::new() }
    }

    /// Appends an entry. `gguf.metadata` when the key is there already.
    ///
    /// `general.alignment`, where given, is obeyed; otherwise tensors are aligned to 32 bytes.
    pub fn metadata(&mut self, key: impl Into<String>, value: Value) -> Result<&mut Self> {
        self.metadata.insert(key, value)?;
        Ok(self)
    }

    /// Appends a tensor of encoded blocks. `shape` is row-major, outermost first. Nothing is checked: tests write
    /// wrong files too.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        ggml_type: GgmlType,
        data: Vec<u8>,
    ) -> &mut Self {
        self.tensors.push(Tensor { name: name.into(), shape: shape.to_vec(), ggml_type, data });
        self
    }

    /// Encodes `values` (row-major) as `ggml_type` and appends them. `tensor.size` when they do not fill `shape`, or
    /// rows are not whole blocks; `gguf.type` for types that cannot be written; `weights.not_a_number` and `weights.range`
    /// as [`quantize`].
    pub fn tensor_f32(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        ggml_type: GgmlType,
        values: &[f32],
    ) -> Result<&mut Self> {
        let name = name.into();
        let row = shape.last().copied().unwrap_or(0);
        if shape.iter().product::<usize>() != values.len() || ggml_type.bytes_of(row as u64).is_none() {
            return Err(Error::new(
                "tensor.size",
                format!("tensor {name}: {} values do not make {shape:?} of {ggml_type}", values.len()),
                "give as many values as the shape has, with rows of whole blocks",
            ));
        }
        let named = |e: Error| Error::new(e.code, format!("tensor {name}: {}", e.cause), e.remedy);
        let data = quantize(ggml_type, values).map_err(named)?;
        Ok(self.tensor(name, shape, ggml_type, data))
    }

    /// The file. `gguf.metadata` for an array of more than one type, or of arrays.
    pub fn finish(&self) -> Result<Vec<u8>> {
        let alignment = self.metadata.find_u32("general.alignment")?.unwrap_or(32).max(1) as usize;
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in self.metadata.iter() {
            put_string(&mut out, key);
            out.extend(value.code().to_le_bytes());
            put_value(&mut out, key, value)?;
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_string(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            for dim in tensor.shape.iter().rev() {
                out.extend((*dim as u64).to_le_bytes());
            }
            out.extend(tensor.ggml_type.code().to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend(&tensor.data);
        }
        Ok(out)
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<()> {
    match value {
        Value::U8(v) => out.extend(v.to_le_bytes()),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::String(v) => put_string(out, v),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Array(values) => {
            // An empty array has lost its type; any will do.
            let code = values.first().map_or(Value::I32(0).code(), Value::code);
            if values.iter().any(|v| v.code() != code || matches!(v, Value::Array(_))) {
                return Err(Error::new(
                    "gguf.metadata",
                    format!("{key} holds values of several types, or arrays in an array"),
                    "give an array of one plain type",
                ));
            }
            out.extend(code.to_le_bytes());
            out.extend((values.len() as u64).to_le_bytes());
            for value in values {
                put_value(out, key, value)?;
            }
        }
    }
    Ok(())
}
