//! The safetensors header (<https://github.com/huggingface/safetensors#format>): eight bytes of length, a JSON object
//! of tensors, then their bytes.
//!
//! What the reference implementation (the `safetensors` crate) takes is taken, and what it refuses is refused, for its
//! reasons: every byte of the data belongs to exactly one tensor, so holes, overlaps and trailing bytes are refused (such a
//! file could be two kinds of file at once). Of a name that is there twice the last one counts, and `__metadata__` may be null,
//! as there. Two things differ: an element type of later days is listed by its name, and shapes whose numbers could overflow
//! are refused though another of them is 0. Alignment is not asked for: the format does not promise it (writers before 2023
//! did not pad the header), and nothing here is mapped into memory, so a tensor reads the same from an odd offset.

use crate::stranger::{shorten, stranger};
use crate::{ByteSource, split};
use lantern_graph::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

const LENGTH_BYTES: u64 = 8;
/// The reference implementation's limit. What is held while reading is a few times the header, which has to be in the
/// file.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// PyTorch's and NumPy's own limit; the format has none.
const MAX_RANK: usize = 64;
const METADATA: &str = "__metadata__";

const GET_AGAIN: &str = "the download is incomplete or the file is damaged: get it again";

/// What a file, or the shards of a model together, say about themselves. No tensor data.
#[derive(Debug, Clone)]
pub struct Safetensors {
    /// File by file, in the order of their bytes, without gaps: the last one of a file ends where the file ends.
    pub tensors: Vec<SafeTensor>,
    /// The header's `__metadata__`; empty where there is none. Of several files, the first's word counts.
    pub metadata: BTreeMap<String, String>,
    /// Where the file is by its name one part of several: what to say of it, should something be missing.
    pub part: Option<Error>,
    by_name: HashMap<String, usize>,
}

/// A tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeTensor {
    pub name: String,
    /// As in the file: row-major, outermost first. PyTorch's convolutions are [out, in / groups, height, width].
    pub shape: Vec<usize>,
    pub dtype: SafeDtype,
    /// Of the first byte, from the start of the file; of several files, from the start of the first ([`crate::Joined`]).
    pub offset: u64,
    pub bytes: u64,
}

/// A tensor's element type. Those this version does not compute with keep their name, so that a file can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafeDtype {
    F32,
    F16,
    BF16,
    Other(String),
}

impl SafeDtype {
    fn from_name(name: String) -> Self {
        match name.as_str() {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            _ => Self::Other(name),
        }
    }

    /// "F32", "I64", … as the file has it.
    pub fn name(&self) -> &str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Other(name) => name,
        }
    }

    /// Bits of an element; `None` for a type this version has not heard of.
    pub fn bits(&self) -> Option<u64> {
        Some(match self.name() {
            "F64" | "I64" | "U64" | "C64" => 64,
            "F32" | "I32" | "U32" => 32,
            "F16" | "BF16" | "I16" | "U16" => 16,
            "BOOL" | "I8" | "U8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
            "F6_E2M3" | "F6_E3M2" => 6,
            "F4" => 4,
            _ => return None,
        })
    }
}

impl SafeTensor {
    /// Values in all.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product()
    }

    /// `safetensors.type`, naming tensor and type, where this version cannot compute with it.
    pub fn supported(&self) -> Result<()> {
        match &self.dtype {
            SafeDtype::Other(name) => Err(Error::new(
                "safetensors.type",
                format!("tensor {} is {}; this version reads F32, F16, BF16", shorten(&self.name), shorten(name)),
                "convert the file to one of these types",
            )),
            _ => Ok(()),
        }
    }
}

impl Safetensors {
    /// Reads the header. Codes: `safetensors.header` (it is not one), `safetensors.truncated` (the file ends too
    /// early), `safetensors.tensor` (an entry contradicts itself or another), `safetensors.split` for what by its name is a
    /// piece of a file, and the source's own.
    pub async fn read(source: &impl ByteSource) -> Result<Self> {
        Self::read_header(source).await.map_err(|error| split::piece_by_name(source.name().as_deref()).unwrap_or(error))
    }

    async fn read_header(source: &impl ByteSource) -> Result<Self> {
        let file_len = source.len();
        if file_len < LENGTH_BYTES {
            return Err(truncated(format!("the file has {file_len} bytes, and the header's length alone takes 8")));
        }
        let mut first = [0; LENGTH_BYTES as usize];
        source.read(0, &mut first).await?;
        let header_len = u64::from_le_bytes(first);
        let data_start = header_len.saturating_add(LENGTH_BYTES);
        if header_len > MAX_HEADER_BYTES || data_start > file_len {
            if let Some((what, remedy)) = stranger(&first) {
                let cause = format!("{what} (it starts with \"{}\")", first.escape_ascii());
                return Err(Error::new("safetensors.header", cause, remedy));
            }
            if header_len > MAX_HEADER_BYTES {
                return Err(bad_header(format!("a header of {header_len} bytes is announced; none is that long")));
            }
            return Err(truncated(format!("the header should end at byte {data_start}, and the file has {file_len}")));
        }
        let mut header = vec![0; header_len as usize];
        source.read(LENGTH_BYTES, &mut header).await?;
        let Header { metadata, entries } = parse(&header)?;
        drop(header);

        let mut tensors = Vec::with_capacity(entries.len());
        for (name, entry) in entries {
            tensors.push(check(name, entry, data_start, file_len)?);
        }
        // The reference's order: a tensor without bytes stands before the one that starts at its place.
        tensors.sort_by_key(|t| (t.offset, t.bytes));
        check_apart(&tensors, data_start, file_len)?;
        let by_name = tensors.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect();
        Ok(Self { tensors, metadata, part: None, by_name })
    }

    /// The same in a file that begins so many bytes after another.
    pub(crate) fn behind(mut self, bytes: u64) -> Self {
        self.tensors.iter_mut().for_each(|tensor| tensor.offset += bytes);
        self
    }

    /// One table of several that have no name in common.
    pub(crate) fn joined(tables: Vec<Self>, part: Option<Error>) -> Self {
        let mut joined = Self { tensors: Vec::new(), metadata: BTreeMap::new(), part, by_name: HashMap::new() };
        for Self { tensors, metadata, .. } in tables {
            for tensor in tensors {
                joined.by_name.insert(tensor.name.clone(), joined.tensors.len());
                joined.tensors.push(tensor);
            }
            for (key, value) in metadata {
                joined.metadata.entry(key).or_insert(value);
            }
        }
        joined
    }

    pub fn tensor(&self, name: &str) -> Option<&SafeTensor> {
        self.by_name.get(name).map(|i| &self.tensors[*i])
    }
}

fn parse(header: &[u8]) -> Result<Header> {
    let text = std::str::from_utf8(header)
        .map_err(|e| bad_header(format!("it is not UTF-8 from byte {} on", LENGTH_BYTES + e.valid_up_to() as u64)))?;
    serde_json::from_str(text).map_err(|e| bad_header(e.to_string()))
}

/// One tensor by itself: its shape, type and place agree, and lie in the file.
fn check(name: String, entry: Entry, data_start: u64, file_len: u64) -> Result<SafeTensor> {
    let (shape, (begin, end)) = (entry.shape.0, entry.data_offsets);
    // Without the zeros, so that a tensor without elements cannot hide a product that overflows.
    let product = shape.iter().filter(|n| **n > 0).try_fold(1u64, |all, n| all.checked_mul(*n));
    let dims: Option<Vec<usize>> = shape.iter().map(|n| usize::try_from(*n).ok()).collect();
    let (Some(product), Some(dims)) = (product, dims) else {
        return Err(bad_tensor(&name, &format!("the shape {shape:?} is too large to be true")));
    };
    let elements = if shape.contains(&0) { 0 } else { product };
    if begin > end {
        return Err(bad_tensor(&name, &format!("it starts at byte {begin} and ends at {end}, before its start")));
    }
    let dtype = SafeDtype::from_name(entry.dtype);
    if let Some(bits) = dtype.bits() {
        let want = elements.checked_mul(bits).filter(|n| n.is_multiple_of(8)).map(|n| n / 8);
        if want != Some(end - begin) {
            let want = want.map_or("no whole number of".into(), |n| n.to_string());
            let why = format!("{shape:?} of {} takes {want} bytes, and it has {}", dtype.name(), end - begin);
            return Err(bad_tensor(&name, &why));
        }
    }
    match data_start.checked_add(end) {
        Some(at) if at <= file_len => {
            Ok(SafeTensor { name, shape: dims, dtype, offset: data_start + begin, bytes: end - begin })
        }
        _ => Err(truncated(format!(
            "tensor {:?} should end {end} bytes after byte {data_start}, and the file has {file_len}",
            shorten(&name)
        ))),
    }
}

/// All tensors together cover the data, each byte once. `tensors` are in the order of their offsets.
fn check_apart(tensors: &[SafeTensor], data_start: u64, file_len: u64) -> Result<()> {
    let mut covered = data_start;
    let mut before = "";
    for tensor in tensors {
        if tensor.offset < covered {
            return Err(bad_tensor(&tensor.name, &format!("it overlaps tensor {:?}", shorten(before))));
        }
        if tensor.offset > covered {
            let hole = tensor.offset - covered;
            return Err(bad_tensor(&tensor.name, &format!("{hole} bytes before it belong to no tensor")));
        }
        covered += tensor.bytes;
        before = &tensor.name;
    }
    if covered < file_len {
        return Err(bad_header(format!("{} bytes after the last tensor belong to none", file_len - covered)));
    }
    Ok(())
}

fn bad_header(why: String) -> Error {
    let remedy = "choose a .safetensors file; if it is one, it is damaged: get it again";
    Error::new("safetensors.header", format!("the header cannot be read: {why}"), remedy)
}

fn bad_tensor(name: &str, why: &str) -> Error {
    Error::new("safetensors.tensor", format!("tensor {:?} cannot be read: {why}", shorten(name)), GET_AGAIN)
}

fn truncated(cause: String) -> Error {
    Error::new("safetensors.truncated", cause, GET_AGAIN)
}

/// The JSON object. Of two entries of one name the last. In the order of their names, so that a file has one error.
struct Header {
    metadata: BTreeMap<String, String>,
    entries: BTreeMap<String, Entry>,
}

/// Fields this version does not know are passed over, as the reference does.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// At most [`MAX_RANK`] numbers: the list is not collected before it is known to be short.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut metadata = None;
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let whose = |e: A::Error| A::Error::custom(format!("{:?}: {e}", shorten(&name)));
                    if name != METADATA {
                        let entry = map.next_value().map_err(whose)?;
                        entries.insert(name, entry);
                    } else if metadata.replace(map.next_value::<Option<_>>().map_err(whose)?).is_some() {
                        return Err(A::Error::custom(format!("{METADATA:?} is there twice")));
                    }
                }
                Ok(Header { metadata: metadata.flatten().unwrap_or_default(), entries })
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a shape of at most {MAX_RANK} whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == MAX_RANK {
                        return Err(A::Error::custom(format!("a shape has more than {MAX_RANK} dimensions")));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        deserializer.deserialize_seq(Visit)
    }
}
