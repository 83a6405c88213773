//! Llamas of random weights that lie in no file: the header of a GGUF file, and tensors that are worked out where they are
//! read. So what loads, converses and is timed is the very code that serves a real file.

use std::io::Write;

use half::f16;
use lantern_graph::{DType, Error, Result};
use lantern_weights::{ByteSource, EncodedMetadata, GgmlType, GgufStream, Metadata, TensorHead, Value};

use crate::spec::{GOLDEN, mix};

/// The numbers that make one Llama differ from another, as far as time is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlamaShape {
    /// As it was asked for.
    pub name: String,
    pub hidden: usize,
    pub feed_forward: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub vocab: usize,
    /// The embedding table is the output projection too.
    pub tied: bool,
}

/// Name, then hidden, feed-forward, layers, heads, key and value heads, vocabulary, tied. SmolLM2's smallest, Llama 3.2's two
/// and Llama 2's smallest; the larger three with Llama 2's vocabulary and an output matrix of their own.
const NAMED: [(&str, [usize; 6], bool); 4] = [
    ("135m", [576, 1536, 30, 9, 3, 49152], true),
    ("1b", [2048, 8192, 16, 32, 8, 32000], false),
    ("3b", [3072, 8192, 28, 24, 8, 32000], false),
    ("7b", [4096, 11008, 32, 32, 32, 32000], false),
];

/// Ids below are control tokens: unknown, begin, end.
pub const CONTROL_TOKENS: usize = 3;

/// The token that would end an answer; its row of the output matrix is zero, so that it is never the likeliest.
const END: u64 = 2;

/// Positions that the header says the model was trained for.
const CONTEXT: u32 = 1 << 20;

impl LlamaShape {
    /// One of the names, or `hidden/feed-forward/layers/heads:kv-heads/vocabulary` of a model with an output matrix of its own.
    ///
    /// # Errors
    /// `bench.shape`.
    pub fn parse(text: &str) -> Result<LlamaShape> {
        let named = NAMED.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        let (numbers, tied) = match named {
            Some((_, numbers, tied)) => (*numbers, *tied),
            None => (numbers(text).ok_or_else(|| Self::wrong(format!("there is no shape {text:?}")))?, false),
        };
        let [hidden, feed_forward, layers, heads, kv_heads, vocab] = numbers;
        if numbers.iter().any(|n| *n == 0 || *n > 1 << 20) || layers > 1 << 10 || vocab <= CONTROL_TOKENS {
            return Err(Self::wrong(format!("the shape {text:?} has a number that no model has")));
        }
        if !hidden.is_multiple_of(heads) || !heads.is_multiple_of(kv_heads) || !(hidden / heads).is_multiple_of(2) {
            let cause =
                format!("{hidden} columns, {heads} heads and {kv_heads} of keys and values do not fit together");
            return Err(Self::wrong(cause));
        }
        Ok(LlamaShape { name: text.to_lowercase(), hidden, feed_forward, layers, heads, kv_heads, vocab, tied })
    }

    fn wrong(cause: String) -> Error {
        let names: Vec<&str> = NAMED.iter().map(|(name, ..)| *name).collect();
        let example = "hidden/feed-forward/layers/heads:kv-heads/vocabulary, such as 256/768/6/8:4/32000";
        Error::new("bench.shape", cause, format!("choose of {}, or give {example}", names.join(", ")))
    }

    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim()
    }

    /// Multiplications and additions of `rows` tokens after `past` others: matrix products, and attention to what each token
    /// sees. The output matrix is multiplied with the last token alone, as chats do it.
    pub fn flops(&self, rows: usize, past: usize) -> u64 {
        let Self { hidden, feed_forward, layers, vocab, .. } = *self;
        let matrices = 2 * hidden * (hidden + self.kv_width()) + 3 * hidden * feed_forward;
        let seen: u64 = (0..rows as u64).map(|row| past as u64 + row + 1).sum();
        layers as u64 * (2 * (matrices * rows) as u64 + 4 * hidden as u64 * seen) + 2 * (vocab * hidden) as u64
    }

    /// Names and shapes, `[out, in]`, norms `[hidden]`, in the order in which files have them.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { hidden, feed_forward, vocab, .. } = *self;
        let mut tensors = vec![("token_embd.weight".to_owned(), vec![vocab, hidden])];
        for i in 0..self.layers {
            let parts = [
                ("attn_norm", vec![hidden]),
                ("attn_q", vec![hidden, hidden]),
                ("attn_k", vec![self.kv_width(), hidden]),
                ("attn_v", vec![self.kv_width(), hidden]),
                ("attn_output", vec![hidden, hidden]),
                ("ffn_norm", vec![hidden]),
                ("ffn_gate", vec![feed_forward, hidden]),
                ("ffn_up", vec![feed_forward, hidden]),
                ("ffn_down", vec![hidden, feed_forward]),
            ];
            tensors.extend(parts.map(|(part, shape)| (format!("blk.{i}.{part}.weight"), shape)));
        }
        tensors.push(("output_norm.weight".into(), vec![hidden]));
        if !self.tied {
            tensors.push(("output.weight".into(), vec![vocab, hidden]));
        }
        tensors
    }

    fn metadata(&self) -> Result<Metadata> {
        let mut metadata = Metadata::default();
        let n = |n: usize| Value::U32(n as u32);
        let pieces: Vec<String> = (0..self.vocab)
            .map(|id| ["<unk>", "<s>", "</s>"].get(id).map_or_else(|| format!("\u{2581}{id}"), |s| (*s).to_owned()))
            .collect();
        let each = |of: &dyn Fn(usize) -> Value| Value::Array((0..self.vocab).map(of).collect());
        let entries = [
            ("general.architecture", Value::String("llama".into())),
            ("general.name", Value::String(format!("random {}", self.name))),
            ("llama.context_length", Value::U32(CONTEXT)),
            ("llama.embedding_length", n(self.hidden)),
            ("llama.block_count", n(self.layers)),
            ("llama.feed_forward_length", n(self.feed_forward)),
            ("llama.rope.dimension_count", n(self.head_dim())),
            ("llama.attention.head_count", n(self.heads)),
            ("llama.attention.head_count_kv", n(self.kv_heads)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.vocab_size", n(self.vocab)),
            ("tokenizer.ggml.model", Value::String("llama".into())),
            ("tokenizer.ggml.tokens", each(&|i| Value::String(pieces[i].clone()))),
            ("tokenizer.ggml.scores", each(&|i| Value::F32(-(i as f32)))),
            ("tokenizer.ggml.token_type", each(&|i| Value::I32([2, 3, 3].get(i).copied().unwrap_or(1)))),
            ("tokenizer.ggml.bos_token_id", Value::U32(1)),
            ("tokenizer.ggml.eos_token_id", Value::U32(END as u32)),
            ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ];
        for (key, value) in entries {
            metadata.insert(key, value)?;
        }
        Ok(metadata)
    }
}

fn numbers(text: &str) -> Option<[usize; 6]> {
    let parts: Vec<&str> = text.split('/').collect();
    let [hidden, feed_forward, layers, heads, vocab] = parts[..] else { return None };
    let (heads, kv_heads) = heads.split_once(':').unwrap_or((heads, heads));
    let mut numbers = [0; 6];
    for (number, part) in numbers.iter_mut().zip([hidden, feed_forward, layers, heads, kv_heads, vocab]) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

/// A GGUF file of random weights. Its bytes follow from its shape and its type.
pub struct RandomLlama {
    pub shape: LlamaShape,
    /// Of the matrices; norms are f32.
    pub dtype: GgmlType,
    header: Vec<u8>,
    tensors: Vec<Placed>,
    len: u64,
}

/// A tensor's place in the file, and what its bytes are.
struct Placed {
    start: u64,
    bytes: u64,
    stream: u64,
    fill: Fill,
    /// Bytes of the row that is zero.
    silent: Option<std::ops::Range<u64>>,
}

/// Random bits, made into numbers of about one over the root of a row's columns, so that nothing grows from layer to layer.
enum Fill {
    Ones,
    /// Words (one f32, two halves) of which these bits stay random, and those are set.
    Floats {
        random: u32,
        set: u32,
    },
    /// Blocks of so many bytes whose factors are given.
    Blocks {
        bytes: usize,
        factors: Vec<(usize, [u8; 2])>,
    },
}

impl RandomLlama {
    /// # Errors
    /// `bench.shape` where a row is not whole blocks of the type.
    pub fn new(shape: LlamaShape, dtype: GgmlType) -> Result<RandomLlama> {
        let stored = dtype.dtype().filter(|dtype| DType::WEIGHTS.contains(dtype));
        let stored = stored.ok_or_else(|| LlamaShape::wrong(format!("{dtype} is no type of weights")))?;
        let mut heads = Vec::new();
        for (name, shape_of) in shape.tensors() {
            let ggml_type = if shape_of.len() == 1 { GgmlType::F32 } else { dtype };
            let columns = shape_of.last().copied().unwrap_or(1);
            if ggml_type.bytes_of(columns as u64).is_none() {
                let block = stored.block().0;
                let cause = format!("rows of {columns} weights are not whole blocks of {block}, which {dtype} has");
                return Err(Error::new("bench.shape", cause, "give another shape, or a type of smaller blocks"));
            }
            heads.push(TensorHead { name, shape: shape_of, ggml_type });
        }
        let mut header = Vec::new();
        drop(GgufStream::start(&mut header, &EncodedMetadata::new(&shape.metadata()?)?, &heads)?);
        let mut at = header.len() as u64;
        let mut tensors = Vec::new();
        for (stream, head) in heads.iter().enumerate() {
            let bytes = head.bytes()?;
            let columns = head.shape.last().copied().unwrap_or(1);
            let row = bytes / (head.shape.iter().product::<usize>() / columns) as u64;
            let is_output = head.name == if shape.tied { "token_embd.weight" } else { "output.weight" };
            tensors.push(Placed {
                start: at,
                bytes,
                stream: mix(stream as u64 + 1),
                fill: if head.shape.len() == 1 { Fill::Ones } else { Fill::of(stored, columns) },
                silent: is_output.then_some(END * row..(END + 1) * row),
            });
            at = (at + bytes).next_multiple_of(ALIGNMENT);
        }
        Ok(RandomLlama { shape, dtype, header, tensors, len: at })
    }

    /// Writes it as a file, for programs that want one.
    ///
    /// # Errors
    /// Of the writing.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut piece = vec![0; 8 << 20];
        let mut at = 0;
        while at < self.len {
            let count = piece.len().min((self.len - at) as usize);
            self.bytes(at, &mut piece[..count]);
            out.write_all(&piece[..count])?;
            at += count as u64;
        }
        Ok(())
    }

    /// Prompt of so many ids, none a control token.
    pub fn prompt(&self, tokens: usize) -> Vec<u32> {
        let usable = (self.shape.vocab - CONTROL_TOKENS) as u64;
        (0..tokens as u64).map(|i| (mix(i.wrapping_mul(GOLDEN)) % usable) as u32 + CONTROL_TOKENS as u32).collect()
    }

    /// The file's bytes from `offset` on.
    fn bytes(&self, offset: u64, buf: &mut [u8]) {
        buf.fill(0);
        let end = offset + buf.len() as u64;
        // Where a piece of the file lies in `buf`, and where in the piece that begins.
        let overlap = |start: u64, len: u64| {
            let (from, to) = (offset.max(start), end.min(start + len));
            (from < to).then(|| ((from - offset) as usize..(to - offset) as usize, from - start))
        };
        if let Some((within, from)) = overlap(0, self.header.len() as u64) {
            let len = within.len();
            buf[within].copy_from_slice(&self.header[from as usize..][..len]);
        }
        let first = self.tensors.partition_point(|tensor| tensor.start + tensor.bytes <= offset);
        for tensor in self.tensors[first..].iter().take_while(|tensor| tensor.start < end) {
            if let Some((within, from)) = overlap(tensor.start, tensor.bytes) {
                tensor.fill(from, &mut buf[within]);
            }
        }
    }
}

/// GGUF's own, where a file names none.
const ALIGNMENT: u64 = 32;

impl ByteSource for RandomLlama {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            let cause = format!("{} bytes from {offset} on, of {}", buf.len(), self.len);
            return Err(Error::new("source.short", cause, "read inside the file"));
        }
        self.bytes(offset, buf);
        Ok(())
    }
}

impl Placed {
    /// Its bytes from `from` on.
    fn fill(&self, from: u64, out: &mut [u8]) {
        let block = self.fill.block_bytes() as u64;
        let (start, end) = (from / block * block, (from + out.len() as u64).next_multiple_of(block));
        if start == from && end == from + out.len() as u64 {
            self.fill_blocks(from, out);
        } else {
            let mut whole = vec![0; (end - start) as usize];
            self.fill_blocks(start, &mut whole);
            out.copy_from_slice(&whole[(from - start) as usize..][..out.len()]);
        }
        if let Some(silent) = &self.silent {
            let end = from + out.len() as u64;
            let within = |at: u64| (at.clamp(from, end) - from) as usize;
            out[within(silent.start)..within(silent.end)].fill(0);
        }
    }

    /// Whole blocks from the byte `start` on.
    fn fill_blocks(&self, start: u64, out: &mut [u8]) {
        match &self.fill {
            Fill::Ones => out.as_chunks_mut::<4>().0.iter_mut().for_each(|word| *word = 1f32.to_le_bytes()),
            Fill::Floats { random, set } => {
                self.random(start, out);
                for word in out.as_chunks_mut::<4>().0 {
                    *word = (u32::from_le_bytes(*word) & random | set).to_le_bytes();
                }
            }
            Fill::Blocks { bytes, factors } => {
                self.random(start, out);
                for block in out.chunks_exact_mut(*bytes) {
                    for (at, factor) in factors {
                        block[*at..*at + 2].copy_from_slice(factor);
                    }
                }
            }
        }
    }

    /// Random bytes, the same wherever a read begins.
    fn random(&self, start: u64, out: &mut [u8]) {
        let word = |i: u64| mix(self.stream.wrapping_add(i.wrapping_mul(GOLDEN))).to_le_bytes();
        let skipped = (start % 8) as usize;
        let head = if skipped == 0 { 0 } else { (8 - skipped).min(out.len()) };
        let (before, rest) = out.split_at_mut(head);
        before.copy_from_slice(&word(start / 8)[skipped..][..head]);
        let first = start.div_ceil(8);
        let (words, after) = rest.as_chunks_mut::<8>();
        let count = words.len() as u64;
        for (i, bytes) in words.iter_mut().enumerate() {
            *bytes = word(first + i as u64);
        }
        let len = after.len();
        after.copy_from_slice(&word(first + count)[..len]);
    }
}

impl Fill {
    fn of(dtype: DType, columns: usize) -> Fill {
        let wanted = 1.0 / (columns as f32).sqrt();
        // Sign and mantissa are random, the exponent is not: on the average 1.5 times the power of two.
        let power = (wanted / 1.5).log2().round() as i32;
        let twice = |half: u32| half << 16 | half;
        match dtype {
            DType::F16 => Fill::Floats { random: twice(0x83ff), set: twice(((power + 15).max(1) as u32) << 10) },
            DType::BF16 => Fill::Floats { random: twice(0x807f), set: twice(((power + 127) as u32) << 7) },
            DType::F32 | DType::U32 => Fill::Floats { random: 0x807f_ffff, set: ((power + 127) as u32) << 23 },
            blocks => {
                // How far random integers and scales spread, and the second factor that takes their mean away.
                let (spread, second) = match blocks {
                    DType::Q4_0 => (4.6, 0.0),
                    DType::Q4_1 => (4.6, -7.5),
                    DType::Q5_0 => (9.2, 0.0),
                    DType::Q5_1 => (9.2, -15.5),
                    DType::Q2K => (13.0, 1.5),
                    DType::Q3K => (43.0, 0.0),
                    DType::Q4K => (210.0, 7.5),
                    DType::Q5K => (430.0, 15.5),
                    DType::Q6K => (1366.0, 0.0),
                    _ => (74.0, 0.0),
                };
                // No smaller than a half that has all its bits.
                let factor = (wanted / spread).max(6.2e-5);
                let half = |x: f32| f16::from_f32(x).to_le_bytes();
                let values = [half(factor), half(factor * second)];
                let factors = blocks.factors().iter().copied().zip(values).collect();
                Fill::Blocks { bytes: blocks.block().1, factors }
            }
        }
    }

    fn block_bytes(&self) -> usize {
        match self {
            Fill::Ones | Fill::Floats { .. } => 4,
            Fill::Blocks { bytes, .. } => *bytes,
        }
    }
}
