//! The GGUF header: version, metadata, tensor table (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).
//!
//! Versions 2 and 3, little-endian. A file's tensors are checked here, once: every tensor that comes out of
//! [`Gguf::read`] lies inside the file, aligned, apart from the others, in whole blocks. Types this version cannot
//! compute with, or does not know, are listed all the same; [`TensorInfo::supported`] is asked before one is used.

use crate::cursor::Cursor;
use crate::metadata::readable;
use crate::stranger::{shorten, stranger};
use crate::{ByteSource, GgmlType, Metadata, finite, split};
use lantern_graph::{Error, Result};
use std::collections::HashMap;

const MAGIC: [u8; 4] = *b"GGUF";
/// Where a file does not say.
pub(crate) const ALIGNMENT: u32 = 32;
/// ggml's tensors have at most four dimensions.
const MAX_DIMS: u32 = 4;

/// The largest models have a few thousand: a bound on what a hostile table can make us hold.
const MAX_TENSORS: u64 = 1 << 16;

/// What a file says about itself. No tensor data.
#[derive(Debug, Clone)]
pub struct Gguf {
    /// 2 or 3.
    pub version: u32,
    pub metadata: Metadata,
    /// In the file's order.
    pub tensors: Vec<TensorInfo>,
    /// Tensor data starts at a multiple of this.
    pub alignment: u32,
    /// What the file is called, where its source says.
    pub file_name: Option<String>,
    by_name: HashMap<String, usize>,
}

/// A tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    /// Row-major, outermost first: ggml's dimensions reversed, without the ones it pads them with on the outside. The last
    /// one runs along a row. At least one; any may be 0.
    pub shape: Vec<usize>,
    pub ggml_type: GgmlType,
    /// Of the first byte, from the start of the file.
    pub offset: u64,
    /// 0 for a type of unknown block size.
    pub bytes: u64,
}

impl TensorInfo {
    /// Values in all.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product()
    }

    /// Bytes of one row (the last dimension), always whole blocks. 0 for a type of unknown block size.
    pub fn row_bytes(&self) -> u64 {
        let row = self.shape.last().map_or(0, |n| *n as u64);
        self.ggml_type.bytes_of(row).unwrap_or(0)
    }

    /// `weights.not_a_number` where the tensor's bytes, rows from the first on, hold NaN or infinity.
    pub fn check_finite(&self, bytes: &[u8]) -> Result<()> {
        finite::check_rows(&self.name, self.ggml_type, bytes, self.row_bytes() as usize, 0)
    }

    /// `gguf.type`, naming tensor and type, where this version cannot compute with it.
    pub fn supported(&self) -> Result<()> {
        if self.ggml_type.is_read() {
            return Ok(());
        }
        Err(self.ggml_type.refused(&format!("tensor {}", self.name)))
    }
}

impl Gguf {
    /// Reads the header. Codes: `gguf.magic`, `gguf.version`, `gguf.truncated`, `gguf.metadata`, `gguf.tensor`,
    /// `gguf.split` for what by its name is a piece of a file, and the source's own.
    pub async fn read(source: &impl ByteSource) -> Result<Self> {
        let file_name = source.name();
        match Self::read_header(source).await {
            Ok(gguf) => Ok(Self { file_name, ..gguf }),
            Err(error) => Err(split::piece_by_name(file_name.as_deref()).unwrap_or(error)),
        }
    }

    async fn read_header(source: &impl ByteSource) -> Result<Self> {
        let mut cursor = Cursor::new(source);
        let version = read_version(&mut cursor).await?;
        let tensor_count = cursor.u64("the tensor count").await?;
        let entry_count = cursor.u64("the metadata count").await?;
        let metadata = Metadata::read(&mut cursor, entry_count).await?;

        let alignment = metadata.find_u32("general.alignment")?.unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() {
            return Err(Error::new(
                "gguf.metadata",
                format!("general.alignment is {alignment}, and must be a power of two"),
                "convert the model again with a current converter, or get the file again",
            ));
        }

        // The shortest entry: name length, dimension count, type, offset.
        cursor.check_count(tensor_count, 8 + 4 + 4 + 8, "the tensor table")?;
        if tensor_count > MAX_TENSORS {
            return Err(Error::new(
                "gguf.tensor",
                format!("the file claims {tensor_count} tensors, more than {MAX_TENSORS}"),
                "this file is damaged, or not a model: get it again",
            ));
        }
        let mut tensors = Vec::new();
        let mut by_name = HashMap::new();
        for i in 0..tensor_count as usize {
            let tensor = read_tensor_info(&mut cursor).await?;
            if by_name.insert(tensor.name.clone(), i).is_some() {
                return Err(bad_tensor(&tensor.name, "the name is there twice"));
            }
            tensors.push(tensor);
        }
        let data_start = cursor.position().next_multiple_of(alignment.into());
        for tensor in &mut tensors {
            place(tensor, data_start, alignment.into(), source.len())?;
        }
        check_apart(&tensors)?;
        Ok(Self { version, metadata, tensors, alignment, file_name: None, by_name })
    }

    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|i| &self.tensors[*i])
    }
}

async fn read_version<S: ByteSource>(cursor: &mut Cursor<'_, S>) -> Result<u32> {
    let magic: [u8; 4] = cursor.array("the first four bytes").await?;
    if magic != MAGIC {
        let (what, remedy) = stranger(&magic).unwrap_or(("this is not a GGUF file", "choose a .gguf file"));
        return Err(Error::new("gguf.magic", format!("{what} (it starts with \"{}\")", magic.escape_ascii()), remedy));
    }
    let version = cursor.u32("the version").await?;
    let refused = |cause: String| Error::new("gguf.version", cause, "convert the model again with a current converter");
    match version {
        2 | 3 => Ok(version),
        1 => Err(refused("this is GGUF version 1; versions 2 and 3 are read".into())),
        // A small number in the wrong byte order.
        v if v & 0xffff == 0 && v != 0 => {
            Err(refused(format!("this is big-endian GGUF (version {}); little-endian is read", v.swap_bytes())))
        }
        v => Err(refused(format!("this is GGUF version {v}; versions 2 and 3 are read"))),
    }
}

/// One entry of the tensor table; its offset is still relative to the data section.
async fn read_tensor_info<S: ByteSource>(cursor: &mut Cursor<'_, S>) -> Result<TensorInfo> {
    const WHAT: &str = "the tensor table";
    let name = readable(cursor.string(WHAT).await?);
    let dims = cursor.u32(WHAT).await?;
    if dims > MAX_DIMS {
        return Err(bad_tensor(&name, &format!("it has {dims} dimensions, and at most {MAX_DIMS} are possible")));
    }
    let mut shape = Vec::new();
    // Without the zeros, so that a tensor without values cannot hide a product that overflows.
    let mut product = 1u64;
    for _ in 0..dims {
        let dim = cursor.u64(WHAT).await?;
        product = product
            .checked_mul(dim.max(1))
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or_else(|| bad_tensor(&name, &format!("a dimension of {dim} makes no sense")))?;
        shape
            .push(usize::try_from(dim).map_err(|_| bad_tensor(&name, &format!("{dim} is too long for this machine")))?);
    }
    let elements = if shape.contains(&0) { 0 } else { product };
    // ggml counts a padding of ones as no dimensions, and a single number as one.
    while shape.len() > 1 && shape.last() == Some(&1) {
        shape.pop();
    }
    if shape.is_empty() {
        shape.push(1);
    }
    shape.reverse();
    let ggml_type = GgmlType::from_code(cursor.u32(WHAT).await?);
    let offset = cursor.u64(WHAT).await?;

    let row = shape.last().map_or(0, |n| *n as u64);
    let mut bytes = 0;
    if let Some(block) = ggml_type.block_len() {
        if !row.is_multiple_of(block as u64) {
            return Err(bad_tensor(&name, &format!("rows of {row} are not whole {ggml_type} blocks of {block}")));
        }
        let size = ggml_type.bytes_of(elements);
        bytes = size.ok_or_else(|| bad_tensor(&name, &format!("{elements} values of {ggml_type} are too many")))?;
    }
    Ok(TensorInfo { name, shape, ggml_type, offset, bytes })
}

/// Makes the offset absolute, and checks that the tensor lies in the file.
fn place(tensor: &mut TensorInfo, data_start: u64, alignment: u64, file_len: u64) -> Result<()> {
    if !tensor.offset.is_multiple_of(alignment) {
        let why = format!("its offset {} is not a multiple of {alignment}", tensor.offset);
        return Err(bad_tensor(&tensor.name, &why));
    }
    let start = data_start.checked_add(tensor.offset);
    let end = start.and_then(|at| at.checked_add(tensor.bytes));
    match (start, end) {
        (Some(start), Some(end)) if end <= file_len => {
            tensor.offset = start;
            Ok(())
        }
        _ => {
            let why =
                format!("{} bytes at {data_start} + {} pass the file's end at {file_len}", tensor.bytes, tensor.offset);
            Err(bad_tensor(&tensor.name, &why))
        }
    }
}

/// No two tensors may share bytes: a file that says so is damaged, and one repacked in place would spoil the other.
fn check_apart(tensors: &[TensorInfo]) -> Result<()> {
    let mut sorted: Vec<&TensorInfo> = tensors.iter().filter(|t| t.bytes > 0).collect();
    sorted.sort_by_key(|t| t.offset);
    for pair in sorted.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            return Err(bad_tensor(&pair[1].name, &format!("it overlaps tensor {}", pair[0].name)));
        }
    }
    Ok(())
}

fn bad_tensor(name: &str, why: &str) -> Error {
    let name = shorten(name);
    Error::new(
        "gguf.tensor",
        format!("tensor {name:?} cannot be read: {why}"),
        "the download is incomplete or the file is damaged: get it again",
    )
}
