//! From a file to an executor: a tensor's rows in chunks, in the storage and the order that a graph asks for.

use crate::names::{OTHER_MODEL, wrong_shape};
use crate::{ByteSource, GgmlType, Origin, SafeDtype, SafeTensor, TensorInfo, dequantize, finite};
use lantern_graph::{DType, Error, Result, WeightSpec};

/// Most bytes of a chunk, in the file and after conversion: what the page's heap holds of a model at any time is a few
/// of these.
pub(crate) const CHUNK_BYTES: usize = 8 << 20;

/// Streams one tensor. A row is what `WeightSpec` calls one: all that belongs to one output.
///
/// Stored as F32, F16 or BF16, or as blocks; wanted as f32, or as it is stored. Convolutions of safetensors files,
/// `[out, in, height, width]`, come out as `[out, height, width, in]`.
pub struct Rows<'a, S> {
    source: &'a S,
    name: String,
    stored: GgmlType,
    want: DType,
    /// Of the next row.
    offset: u64,
    row: usize,
    rows: usize,
    row_elements: usize,
    /// Bytes of a row in the file.
    row_bytes: usize,
    rows_at_once: usize,
    /// Of a convolution: height × width, which become the slow axis of a row. 1 where rows stay as they are.
    taps: usize,
    raw: Vec<u8>,
    values: Vec<f32>,
    out: Vec<u8>,
}

/// Some rows of a tensor, ready for `Executor::write_rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowChunk<'r> {
    pub first_row: usize,
    /// Whole rows, little-endian.
    pub bytes: &'r [u8],
    /// What they took in the file.
    pub file_bytes: u64,
}

impl<'a, S: ByteSource> Rows<'a, S> {
    /// Of a GGUF tensor. `gguf.type` for types this version cannot compute with, `tensor.type` when `spec` wants
    /// something that is neither f32 nor what is stored, `tensor.size` when it wants another number of values,
    /// `tensor.row` for rows of more than 8 MiB.
    pub fn gguf(source: &'a S, tensor: &TensorInfo, spec: &WeightSpec) -> Result<Self> {
        tensor.supported()?;
        Self::new(source, spec, tensor.ggml_type, tensor.elements(), tensor.offset, tensor.bytes)
    }

    /// Of a safetensors tensor. `safetensors.type` for types other than F32, F16 and BF16, `safetensors.shape` for a
    /// shape that `NameMap::choose` would refuse; `tensor.type` and `tensor.row` as for GGUF.
    pub fn safetensors(source: &'a S, tensor: &SafeTensor, spec: &WeightSpec) -> Result<Self> {
        tensor.supported()?;
        if let Some(wrong) = wrong_shape(tensor, spec) {
            return Err(Error::new("safetensors.shape", wrong, OTHER_MODEL));
        }
        let stored = match tensor.dtype {
            SafeDtype::F32 => GgmlType::F32,
            SafeDtype::F16 => GgmlType::F16,
            _ => GgmlType::BF16,
        };
        let mut rows = Self::new(source, spec, stored, tensor.elements(), tensor.offset, tensor.bytes)?;
        if let [_, _, height, width] = tensor.shape[..]
            && spec.shape.len() == 4
        {
            rows.taps = height * width;
        }
        Ok(rows)
    }

    fn new(source: &'a S, spec: &WeightSpec, stored: GgmlType, elements: u64, offset: u64, bytes: u64) -> Result<Self> {
        let Shape { rows, row_elements, row_bytes, rows_at_once } = Shape::new(spec, stored, elements, bytes)?;
        Ok(Self {
            source,
            name: spec.name.clone(),
            stored,
            want: spec.dtype,
            offset,
            row: 0,
            rows,
            row_elements,
            row_bytes,
            rows_at_once,
            taps: 1,
            raw: Vec::new(),
            values: Vec::new(),
            out: Vec::new(),
        })
    }

    /// The weight's name: what the graph calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of its next row, if anybody vouches for the file.
    pub fn origin(&self) -> Option<Origin> {
        self.source.origin(self.offset)
    }

    /// What all of it takes in the file.
    pub fn file_bytes(&self) -> u64 {
        self.rows as u64 * self.row_bytes as u64
    }

    /// The next rows, or `None` behind the last. `weights.not_a_number` for rows that hold NaN or infinity. After an error
    /// there is nothing to go on with.
    pub async fn next(&mut self) -> Result<Option<RowChunk<'_>>> {
        let first_row = self.row;
        let count = self.rows_at_once.min(self.rows - first_row);
        if count == 0 {
            return Ok(None);
        }
        self.raw.resize(count * self.row_bytes, 0);
        self.source.read(self.offset, &mut self.raw).await?;
        finite::check_rows(&self.name, self.stored, &self.raw, self.row_bytes, first_row)?;
        self.row += count;
        self.offset += self.raw.len() as u64;
        self.convert(count * self.row_elements)?;
        let bytes = if self.out.is_empty() { &self.raw } else { &self.out };
        Ok(Some(RowChunk { first_row, bytes, file_bytes: self.raw.len() as u64 }))
    }

    /// `raw` into `out`; `out` stays empty where `raw` is right as it is.
    fn convert(&mut self, elements: usize) -> Result<()> {
        self.out.clear();
        let (row, taps) = (self.row_elements, self.taps);
        match (is_stored_so(self.stored, self.want), taps) {
            (true, 1) => {}
            (true, _) if matches!(self.want, DType::F16 | DType::BF16) => {
                permute(self.raw.as_chunks::<2>().0, row, taps, |raw| self.out.extend(raw));
            }
            (true, _) => permute(self.raw.as_chunks::<4>().0, row, taps, |raw| self.out.extend(raw)),
            (false, _) => {
                self.values.resize(elements, 0.0);
                dequantize(self.stored, &self.raw, &mut self.values)?;
                self.out.reserve(elements * 4);
                permute(&self.values, row, taps, |value| self.out.extend(value.to_le_bytes()));
            }
        }
        Ok(())
    }
}

impl TensorInfo {
    /// What [`Rows::gguf`] would say, before anything is read.
    pub fn check_rows(&self, spec: &WeightSpec) -> Result<()> {
        self.supported()?;
        Shape::new(spec, self.ggml_type, self.elements(), self.bytes).map(|_| ())
    }
}

/// How a tensor is cut into rows, and rows into chunks.
struct Shape {
    rows: usize,
    row_elements: usize,
    row_bytes: usize,
    rows_at_once: usize,
}

impl Shape {
    fn new(spec: &WeightSpec, stored: GgmlType, elements: u64, bytes: u64) -> Result<Self> {
        let wrong = |code, why: String, remedy| Err(Error::new(code, format!("tensor {}: {why}", spec.name), remedy));
        if !is_stored_so(stored, spec.dtype) && spec.dtype != DType::F32 {
            let why = format!("it is stored as {stored} and asked for as {}", spec.dtype.name());
            return wrong("tensor.type", why, "ask for f32, or for what is stored");
        }
        let wanted: u64 = spec.shape.iter().map(|n| *n as u64).product();
        if elements != wanted || spec.shape.is_empty() {
            let why = format!("the file has {elements} values, and {:?} takes {wanted}", spec.shape);
            return wrong("tensor.size", why, OTHER_MODEL);
        }
        let rows = if elements == 0 { 0 } else { spec.rows() };
        let per_row = |n: u64| if rows == 0 { 0 } else { n / rows as u64 };
        let (want_elements, want_bytes) = spec.dtype.block();
        let row_elements = per_row(elements);
        let longest = per_row(bytes).max(row_elements / want_elements as u64 * want_bytes as u64);
        if longest > CHUNK_BYTES as u64 {
            let why = format!("a row takes {longest} bytes, and at most {CHUNK_BYTES} are moved at once");
            return wrong("tensor.row", why, "this version cannot load such a model");
        }
        Ok(Self {
            rows,
            row_elements: row_elements as usize,
            row_bytes: per_row(bytes) as usize,
            rows_at_once: CHUNK_BYTES / longest.max(1) as usize,
        })
    }
}

fn is_stored_so(stored: GgmlType, want: DType) -> bool {
    stored.dtype() == Some(want)
}

impl GgmlType {
    /// The same storage as graphs name it; `None` for types that are not computed with.
    pub fn dtype(self) -> Option<DType> {
        Some(match self {
            GgmlType::F32 => DType::F32,
            GgmlType::F16 => DType::F16,
            GgmlType::BF16 => DType::BF16,
            GgmlType::Q8_0 => DType::Q8_0,
            GgmlType::Q4_0 => DType::Q4_0,
            GgmlType::Q4_1 => DType::Q4_1,
            GgmlType::Q5_0 => DType::Q5_0,
            GgmlType::Q5_1 => DType::Q5_1,
            GgmlType::Q2K => DType::Q2K,
            GgmlType::Q3K => DType::Q3K,
            GgmlType::Q4K => DType::Q4K,
            GgmlType::Q5K => DType::Q5K,
            GgmlType::Q6K => DType::Q6K,
            _ => return None,
        })
    }
}

/// Each row from [channels, taps] to [taps, channels].
fn permute<T: Copy>(values: &[T], row: usize, taps: usize, mut put: impl FnMut(T)) {
    for row in values.chunks_exact(row) {
        for tap in 0..taps {
            for channel in row.chunks_exact(taps) {
                put(channel[tap]);
            }
        }
    }
}
