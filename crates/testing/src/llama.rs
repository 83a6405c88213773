//! Small Llamas in GGUF: their numbers, their vocabulary, and their tensors in the order in which files have them.

use lantern_weights::{GgmlType, GgufWriter, Value};

/// What makes one Llama differ from another.
#[derive(Debug, Clone, Copy)]
pub struct Llama {
    pub vocab: usize,
    pub hidden: usize,
    pub feed_forward: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    /// Where it is not hidden / heads.
    pub head_dim: Option<usize>,
    pub context: usize,
    /// The embedding table is the output projection too.
    pub tied: bool,
    /// What matrices are stored as; norms are f32.
    pub matrices: GgmlType,
}

impl Llama {
    /// One block, over as many tokens as there are letters, and a few.
    pub const TINY: Llama = Llama {
        vocab: 40,
        hidden: 32,
        feed_forward: 64,
        layers: 1,
        heads: 2,
        kv_heads: 2,
        head_dim: None,
        context: 64,
        tied: false,
        matrices: GgmlType::F32,
    };

    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden / self.heads)
    }

    /// A file with its metadata, and no tensor. `pieces`: of its vocabulary; the first three are control tokens.
    pub fn metadata(&self, pieces: &[String]) -> GgufWriter {
        let mut w = GgufWriter::new(3);
        let mut put = |key: &str, value: Value| {
            w.metadata(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
        };
        let n = |n: usize| Value::U32(n as u32);
        put("general.architecture", Value::String("llama".into()));
        put("llama.context_length", n(self.context));
        put("llama.embedding_length", n(self.hidden));
        put("llama.block_count", n(self.layers));
        put("llama.feed_forward_length", n(self.feed_forward));
        put("llama.attention.head_count", n(self.heads));
        put("llama.attention.head_count_kv", n(self.kv_heads));
        put("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
        if let Some(head_dim) = self.head_dim {
            put("llama.rope.dimension_count", n(head_dim));
            put("llama.attention.key_length", n(head_dim));
            put("llama.attention.value_length", n(head_dim));
        }
        let each = |of: &dyn Fn(usize) -> Value| Value::Array((0..pieces.len()).map(of).collect());
        put("tokenizer.ggml.model", Value::String("llama".into()));
        put("tokenizer.ggml.tokens", each(&|i| Value::String(pieces[i].clone())));
        put("tokenizer.ggml.scores", each(&|i| Value::F32(-(i as f32))));
        put("tokenizer.ggml.token_type", each(&|i| Value::I32([2, 3, 3].get(i).copied().unwrap_or(1))));
        w
    }

    /// Names and shapes: `[out, in]`, norms `[hidden]`.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { vocab, hidden, feed_forward, .. } = *self;
        let (width, kv_width) = (self.head_dim() * self.heads, self.head_dim() * self.kv_heads);
        let mut tensors = vec![("token_embd.weight".to_owned(), vec![vocab, hidden])];
        for i in 0..self.layers {
            let parts = [
                ("attn_norm", vec![hidden]),
                ("attn_q", vec![width, hidden]),
                ("attn_k", vec![kv_width, hidden]),
                ("attn_v", vec![kv_width, hidden]),
                ("attn_output", vec![hidden, width]),
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

    /// The whole file, not finished, so that a test can spoil it. `values`: of a tensor's name and shape, called in the file's
    /// order.
    pub fn file(&self, pieces: &[String], mut values: impl FnMut(&str, &[usize]) -> Vec<f32>) -> GgufWriter {
        let mut w = self.metadata(pieces);
        for (name, shape) in self.tensors() {
            let ggml = if shape.len() == 1 { GgmlType::F32 } else { self.matrices };
            let values = values(&name, &shape);
            w.tensor_f32(&name, &shape, ggml, &values).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        w
    }
}

/// A vocabulary of single letters, filled up to `vocab` pieces.
pub fn letters(vocab: usize) -> Vec<String> {
    let pieces =
        ["<unk>", "<s>", "</s>", "\u{2581}"].map(String::from).into_iter().chain(('a'..='z').map(String::from));
    pieces.chain((30..).map(|i| format!("unused{i}"))).take(vocab).collect()
}
