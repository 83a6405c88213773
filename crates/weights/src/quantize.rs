//! A GGUF file's weights in another type: what becomes of each tensor, and the writing of it, a piece at a time.
//!
//! Which tensor gets which type is llama.cpp's rule (`llama_tensor_get_type` in llama-quant.cpp, without its mixtures): a
//! file made here loads there and the other way round.

use std::io::Write;

use crate::gguf_stream::{EncodedMetadata, GgufStream, TensorHead};
use crate::{ByteSource, GgmlType, Gguf, TensorInfo, Value, dequantize, quantize};
use lantern_graph::{Error, Result};

/// Values in a piece: 4 MiB as f32, and whole blocks of every type.
const PIECE: usize = 1 << 20;

/// ggml's `GGML_QNT_VERSION`.
const QUANTIZATION_VERSION: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub struct QuantizeOptions {
    /// One of [`GgmlType::READ`].
    pub target: GgmlType,
    /// The output matrix gets the target too, where it would be kept finer.
    pub pure: bool,
    /// What was quantized before may be again: it loses twice.
    pub allow_requantize: bool,
}

/// What becomes of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub from: TensorInfo,
    pub to: GgmlType,
    /// In the new file.
    pub bytes: u64,
}

/// What becomes of a file.
#[derive(Debug, Clone)]
pub struct QuantizePlan {
    pub target: GgmlType,
    /// In the file's order.
    pub tensors: Vec<Planned>,
    /// What the reader would not expect: which tensors are not of the target's type, and why.
    pub notes: Vec<String>,
}

impl QuantizePlan {
    /// `gguf.type` for a target or a tensor of a type that is not read, `quantize.requantize` for a tensor that would lose
    /// twice, `gguf.split` for a part of a model.
    pub fn new(gguf: &Gguf, options: &QuantizeOptions) -> Result<Self> {
        if !options.target.is_read() {
            return Err(options.target.refused("the type asked for"));
        }
        gguf.check_whole()?;
        let tied = gguf.tensor("output.weight").is_none();
        let mut notes = Notes::default();
        let mut tensors = Vec::new();
        for from in &gguf.tensors {
            let to = choose(from, tied, options, &mut notes);
            check(from, to, options)?;
            let bytes = TensorHead { name: from.name.clone(), shape: from.shape.clone(), ggml_type: to }.bytes()?;
            tensors.push(Planned { from: from.clone(), to, bytes });
        }
        Ok(Self { target: options.target, tensors, notes: notes.0.into_iter().map(Note::said).collect() })
    }

    /// Bytes of weights in the new file.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|t| t.bytes).sum()
    }

    /// Writes the file: metadata as they are but for `general.file_type` and `general.quantization_version`, then the
    /// tensors, on as many threads. `progress` is told how many bytes of the old tensors are done.
    ///
    /// # Errors
    /// `weights.not_a_number` and `weights.range`, naming the tensor; `gguf.write`; the source's own.
    pub async fn write<W: Write>(
        &self,
        source: &impl ByteSource,
        gguf: &Gguf,
        out: W,
        threads: usize,
        progress: &mut dyn FnMut(u64),
    ) -> Result<W> {
        let changed = [
            ("general.file_type", Value::U32(file_type(self.target))),
            ("general.quantization_version", Value::U32(QUANTIZATION_VERSION)),
        ];
        let metadata = EncodedMetadata::copied(source, gguf, &changed).await?;
        let head = |t: &Planned| TensorHead { name: t.from.name.clone(), shape: t.from.shape.clone(), ggml_type: t.to };
        let heads: Vec<TensorHead> = self.tensors.iter().map(head).collect();
        let mut stream = GgufStream::start(out, &metadata, &heads)?;
        let (mut raw, mut done) = (Vec::new(), 0);
        for tensor in &self.tensors {
            let from = &tensor.from;
            // As many bytes as a piece takes; the last has what is left. Values of a chunk of bytes that is merely copied
            // need not be whole rows.
            let piece = from.ggml_type.bytes_of(PIECE as u64).unwrap_or(PIECE as u64);
            let mut at = 0;
            while at < from.bytes {
                raw.resize((from.bytes - at).min(piece) as usize, 0);
                source.read(from.offset + at, &mut raw).await?;
                at += raw.len() as u64;
                done += raw.len() as u64;
                if from.ggml_type == tensor.to {
                    stream.write(&raw)?;
                } else {
                    for part in recode(from, &raw, tensor.to, threads)? {
                        stream.write(&part)?;
                    }
                }
                progress(done);
            }
        }
        stream.finish()
    }
}

/// The new type's bytes, in parts that follow each other.
fn recode(from: &TensorInfo, raw: &[u8], to: GgmlType, threads: usize) -> Result<Vec<Vec<u8>>> {
    let whole = |raw: &[u8]| -> Result<Vec<u8>> {
        let (len, bytes) = (from.ggml_type.block_len().unwrap_or(1), from.ggml_type.block_bytes().unwrap_or(1));
        let mut values = vec![0f32; raw.len() / bytes * len];
        dequantize(from.ggml_type, raw, &mut values)?;
        quantize(to, &values)
    };
    // Each thread gets whole blocks of every type.
    let unit = from.ggml_type.bytes_of(256).unwrap_or(256) as usize;
    let share = raw.len().div_ceil(threads.max(1)).next_multiple_of(unit);
    let parts: Result<Vec<Vec<u8>>> = if threads <= 1 || raw.len() <= share {
        whole(raw).map(|all| vec![all])
    } else {
        let whole = &whole;
        std::thread::scope(|scope| {
            let start = |raw| std::thread::Builder::new().spawn_scoped(scope, move || whole(raw)).map_err(|_| raw);
            let started: Vec<_> = raw.chunks(share).map(start).collect();
            let wait = |part: std::result::Result<std::thread::ScopedJoinHandle<'_, _>, _>| match part {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No thread was to be had.
                Err(raw) => whole(raw),
            };
            started.into_iter().map(wait).collect()
        })
    };
    parts.map_err(|e| Error::new(e.code, format!("tensor {}: {}", from.name, e.cause), e.remedy))
}

/// The type of a tensor in the new file.
fn choose(tensor: &TensorInfo, tied: bool, options: &QuantizeOptions, notes: &mut Notes) -> GgmlType {
    let (name, from, target) = (tensor.name.as_str(), tensor.ggml_type, options.target);
    let row = tensor.shape.last().copied().unwrap_or(0);
    if tensor.elements() == row as u64 {
        // Norms, biases and the like: next to nothing, and read as f32 anyway.
        return if from.is_read() && !from.is_quantized() { GgmlType::F32 } else { from };
    }
    let kept = ["_norm.weight", "ffn_gate_inp.weight"];
    if !name.ends_with("weight") || kept.iter().any(|part| name.contains(part)) {
        if from != target {
            notes.add(Why::Kept, from, tensor);
        }
        return from;
    }
    let mut want = target;
    let last = name == "output.weight" || (tied && name == "token_embd.weight");
    if last && target.is_quantized() && !options.pure && target != GgmlType::Q8_0 {
        want = if fits(row, target) { GgmlType::Q6K } else { GgmlType::Q8_0 };
    }
    let to = fallback(row, want);
    if to != want {
        notes.add(Why::Rows(want), to, tensor);
    } else if want != target {
        notes.add(Why::Output(target), to, tensor);
    }
    to
}

fn fits(row: usize, ggml_type: GgmlType) -> bool {
    ggml_type.bytes_of(row as u64).is_some()
}

/// A type of blocks of 32 for rows that are not whole super-blocks, one step finer; F16 for rows that are neither.
fn fallback(row: usize, want: GgmlType) -> GgmlType {
    use GgmlType::*;
    if fits(row, want) {
        return want;
    }
    let to = match want {
        Q2K | Q3K => Q4_0,
        Q4K => Q5_0,
        Q5K => Q5_1,
        Q6K => Q8_0,
        _ => F16,
    };
    if fits(row, to) { to } else { F16 }
}

fn check(from: &TensorInfo, to: GgmlType, options: &QuantizeOptions) -> Result<()> {
    if from.ggml_type == to {
        return if from.bytes > 0 { Ok(()) } else { from.supported() };
    }
    from.supported()?;
    // Nothing is lost on the way to f32.
    if from.ggml_type.is_quantized() && to != GgmlType::F32 && !options.allow_requantize {
        return Err(Error::new(
            "quantize.requantize",
            format!("tensor {} is {} already, and would lose again as {to}", from.name, from.ggml_type),
            "start from an F32, F16 or BF16 file of the model, or allow it",
        ));
    }
    Ok(())
}

/// llama.cpp's number for a file that is mostly of this type: the plain (S) kind where there are mixtures.
fn file_type(target: GgmlType) -> u32 {
    use GgmlType::*;
    match target {
        F16 => 1,
        Q4_0 => 2,
        Q4_1 => 3,
        Q8_0 => 7,
        Q5_0 => 8,
        Q5_1 => 9,
        Q2K => 10,
        Q3K => 11,
        Q4K => 14,
        Q5K => 16,
        Q6K => 18,
        BF16 => 32,
        _ => 0,
    }
}

/// Why a tensor is not of the type that was asked for.
#[derive(PartialEq, Eq)]
enum Why {
    /// It is of a kind that is never converted.
    Kept,
    /// Its rows are not whole blocks of this type.
    Rows(GgmlType),
    /// It is the last matrix, which matters most; the type it would have had.
    Output(GgmlType),
}

struct Note {
    why: Why,
    to: GgmlType,
    first: String,
    row: usize,
    count: usize,
}

impl Note {
    fn said(self) -> String {
        let Note { why, to, first, row, count } = self;
        let which = if count == 1 { first } else { format!("{first} and {} more", count - 1) };
        let verb = if count == 1 { "is" } else { "are" };
        match why {
            Why::Kept => format!("{which} {verb} kept as {to}"),
            Why::Rows(want) => {
                let block = want.block_len().unwrap_or(1);
                format!("{which} {verb} stored as {to}: rows of {row} are not whole {want} blocks of {block}")
            }
            Why::Output(target) => {
                format!("{which} {verb} stored as {to}, where most is at stake; --pure stores it as {target}")
            }
        }
    }
}

/// One for each reason, type and length of row.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn add(&mut self, why: Why, to: GgmlType, tensor: &TensorInfo) {
        let row = tensor.shape.last().copied().unwrap_or(0);
        match self.0.iter_mut().find(|n| n.why == why && n.to == to && n.row == row) {
            Some(note) => note.count += 1,
            None => self.0.push(Note { why, to, first: tensor.name.clone(), row, count: 1 }),
        }
    }
}
