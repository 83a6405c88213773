//! What a GGUF file must say and hold for this version to run it: everything is refused here, before a byte of weights
//! is read. Whoever runs a model, or says that it can be run, asks here.

use std::borrow::Cow;
use std::collections::HashMap;

use lantern_graph::{DType, Error, Executor, FEW_ROWS, Graph, Result, WeightSpec};
use lantern_models::Parameters;
use lantern_models::llama::{self, Config};
use lantern_tokenizer::Tokenizer;
use lantern_weights::{Gguf, TensorInfo, Value};

use super::LoadOptions;
use super::config::{Numbers, numbers};
use super::needs::needs;
use super::template::{ChatTemplate, Message};
use crate::models::{Needs, Processor};

/// A file that can be run, and what runs it.
pub struct Checked {
    pub config: Config,
    pub decode: Graph,
    pub prefill: Graph,
    /// Most tokens that `prefill` takes at once.
    pub prefill_chunk: usize,
    /// That was asked for, and is not to be chosen by the device.
    chunk_is_given: bool,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Bytes of weights in the file.
    pub weight_bytes: u64,
    pub tokenizer: Tokenizer,
    pub template: ChatTemplate,
    /// What a visitor should know of how the file was read. Nothing fails by it.
    pub notices: Vec<Error>,
}

pub(super) const OTHER_FILE: &str = "use a plain Llama file, such as Llama 2 or TinyLlama, in F16, Q8_0 or Q4_K";

pub(super) fn unsupported(cause: String) -> Error {
    Error::new("llama.unsupported", cause, OTHER_FILE)
}

/// Reads the configuration and the vocabulary, and builds both graphs.
///
/// # Errors
/// `gguf.split` for a part of a model; `llama.architecture`, `llama.unsupported`, `llama.config`, `llama.context`,
/// `llama.tensor`, `gguf.metadata`, `gguf.type`, `tensor.row`: each names the key or tensor; `tokenizer.*`.
pub fn check(gguf: &Gguf, options: &LoadOptions) -> Result<Checked> {
    gguf.check_whole()?;
    check_contents(gguf, options).map_err(|error| match error.code {
        // What is missing may be in another part.
        "llama.tensor" | "gguf.metadata" => gguf.unless_part(error),
        _ => error,
    })
}

fn check_contents(gguf: &Gguf, options: &LoadOptions) -> Result<Checked> {
    let Numbers { config, trained_context, mut notices } = numbers(gguf, options)?;
    let mut types = HashMap::new();
    for tensor in &gguf.tensors {
        tensor.supported()?;
        types.insert(tensor.name.as_str(), tensor.ggml_type.dtype());
    }
    // Looked for first, so that a file that announces a thousand blocks and holds none builds no graph.
    for i in 0..config.layers {
        find(gguf, &format!("blk.{i}.attn_q.weight"))?;
    }
    // A tensor that is not in the file gets any type: it is refused below.
    let dtype = |name: &str| types.get(name).copied().flatten().unwrap_or(DType::F32);
    let decode = llama::decode(&config, &Parameters::weights(&dtype))?;
    let prefill_chunk = options.prefill_chunk.unwrap_or(FEW_ROWS).min(config.context_length);
    let prefill = llama::prefill(&config, &Parameters::weights(&dtype), prefill_chunk)?;

    let mut weight_bytes = 0;
    for spec in &decode.weights {
        let tensor = find(gguf, &spec.name)?;
        same_shape(spec, tensor)?;
        tensor.check_rows(spec)?;
        weight_bytes += tensor.bytes;
    }
    let used: HashMap<&str, ()> = decode.weights.iter().map(|w| (w.name.as_str(), ())).collect();
    if let Some(stranger) = gguf.tensors.iter().find(|t| !used.contains_key(t.name.as_str())) {
        return Err(unsupported(format!("the tensor {} is {}", stranger.name, what_it_is(&stranger.name))));
    }
    let mut metadata = Cow::Borrowed(&gguf.metadata);
    if let Some(source) = &options.template {
        // Which of a vocabulary's tokens are control tokens depends on what the template writes.
        metadata.to_mut().set("tokenizer.chat_template", Value::String(source.clone()));
    }
    let tokenizer = Tokenizer::from_gguf(&metadata)?;
    if tokenizer.vocab_size() > config.vocab_size {
        return Err(Error::new(
            "llama.tensor",
            format!(
                "the vocabulary has {} tokens and the embedding {} rows",
                tokenizer.vocab_size(),
                config.vocab_size
            ),
            "the file contradicts itself: convert it again",
        ));
    }
    notices.extend_from_slice(tokenizer.notices());
    let template = match &options.template {
        Some(source) => ChatTemplate::given(source, &metadata, &tokenizer),
        None => ChatTemplate::from_gguf(&metadata, &tokenizer, &mut notices),
    };
    Ok(Checked {
        config,
        decode,
        prefill,
        prefill_chunk,
        chunk_is_given: options.prefill_chunk.is_some(),
        trained_context,
        weight_bytes,
        tokenizer,
        template,
        notices,
    })
}

/// What is computed on the way may take so much, where it is more than a chunk of [`FEW_ROWS`] takes.
const CHUNK_BYTES: u64 = 128 << 20;

impl Checked {
    /// Makes `prefill` take as many tokens at once as suit the device, unless a number was asked for: as many as keep it
    /// busy, and fewer where its budget or [`CHUNK_BYTES`] do not hold what they take.
    ///
    /// # Errors
    /// None that building the graph did not have before.
    pub(super) fn suit<E: Executor>(&mut self, executor: &E) -> Result<()> {
        if self.chunk_is_given {
            return Ok(());
        }
        let config = &self.config;
        let processor = if executor.describe().device == "gpu" { Processor::Gpu } else { Processor::Cpu };
        let fits = |rows: usize| {
            let options = LoadOptions { prefill_chunk: Some(rows), ..LoadOptions::default() };
            let Needs { kept, work, .. } = needs(config, 0, &options, processor);
            work <= CHUNK_BYTES && executor.account().check("gpu.memory", "a prompt", kept + work, "").is_ok()
        };
        let mut rows = executor.rows_at_once().min(config.context_length);
        while rows > FEW_ROWS && !fits(rows) {
            rows = (rows / 2).max(FEW_ROWS);
        }
        if rows != self.prefill_chunk {
            let dtype = |name: &str| {
                self.decode.weights.iter().find(|spec| spec.name == name).map_or(DType::F32, |spec| spec.dtype)
            };
            self.prefill = llama::prefill(config, &Parameters::weights(&dtype), rows)?;
            self.prefill_chunk = rows;
        }
        Ok(())
    }

    /// Whether a conversation can be written down for the model: its chat template is tried on a first question. Without one,
    /// texts are continued, and that can always be.
    ///
    /// # Errors
    /// As [`ChatTemplate::prompt`].
    pub fn check_conversation(&self) -> Result<()> {
        self.template.prompt(&self.tokenizer, &[Message::new("user", "A")]).map(|_| ())
    }

    /// [`notices`](Self::notices), and [`ChatTemplate::notice`].
    pub fn all_notices(&self) -> Vec<Error> {
        self.notices.iter().cloned().chain(self.template.notice()).collect()
    }
}

fn what_it_is(tensor: &str) -> &'static str {
    if tensor.starts_with("rope_freqs") || tensor.starts_with("rope_factors") {
        "for a kind of rotary scaling (long context) that this version lacks"
    } else if tensor.ends_with(".bias") {
        "a bias where this version's Llama has none"
    } else if tensor.contains("_exp") || tensor.contains("ffn_gate_inp") {
        "of a mixture of experts, which this version lacks"
    } else {
        "none that this version knows: without it the answers would be wrong"
    }
}

pub(super) fn find<'g>(gguf: &'g Gguf, name: &str) -> Result<&'g TensorInfo> {
    gguf.tensor(name).ok_or_else(|| {
        Error::new("llama.tensor", format!("the file has no tensor {name}"), "get the whole file, or convert it again")
    })
}

fn same_shape(spec: &WeightSpec, tensor: &TensorInfo) -> Result<()> {
    if without_outer_ones(&tensor.shape) == without_outer_ones(&spec.shape) {
        return Ok(());
    }
    Err(Error::new(
        "llama.tensor",
        format!("the tensor {} is {:?}, and the metadata ask for {:?}", spec.name, tensor.shape, spec.shape),
        "the file contradicts itself: convert it again",
    ))
}

/// ggml does not count them.
fn without_outer_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|n| **n == 1).count().min(shape.len() - 1);
    &shape[ones..]
}
