//! What a GGUF file must say and hold for this version to run it: everything is refused here, before a byte of weights
//! is read.

use std::collections::HashMap;

use lantern_graph::{DType, Error, Graph, Result, WeightSpec};
use lantern_models::llama::{self, Config};
use lantern_weights::{Gguf, Metadata, TensorInfo};

use super::LoadOptions;

/// A file that can be run, and the graphs that run it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub config: Config,
    pub decode: Graph,
    pub prefill: Graph,
    /// Bytes of weights in the file.
    pub weight_bytes: u64,
}

const OTHER_FILE: &str = "use a plain Llama file, such as Llama 2 or TinyLlama, in F16, Q8_0 or Q4_0";

fn unsupported(cause: String) -> Error {
    Error::new("llama.unsupported", cause, OTHER_FILE)
}

/// Reads the configuration and builds both graphs.
///
/// # Errors
/// `llama.architecture`, `llama.unsupported`, `llama.config`, `llama.context`, `llama.tensor`, `gguf.metadata`,
/// `gguf.type`: each names the key or tensor.
pub fn check(gguf: &Gguf, options: &LoadOptions) -> Result<Checked> {
    let config = config(gguf, options)?;
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
    let decode = llama::decode(&config, &dtype)?;
    let prefill = llama::prefill(&config, &dtype, options.prefill_chunk.min(config.context_length))?;

    let mut weight_bytes = 0;
    for spec in &decode.weights {
        let tensor = find(gguf, &spec.name)?;
        same_shape(spec, tensor)?;
        weight_bytes += tensor.bytes;
    }
    let used: HashMap<&str, ()> = decode.weights.iter().map(|w| (w.name.as_str(), ())).collect();
    if let Some(stranger) = gguf.tensors.iter().find(|t| !used.contains_key(t.name.as_str())) {
        return Err(unsupported(format!("the tensor {} is {}", stranger.name, what_it_is(&stranger.name))));
    }
    Ok(Checked { config, decode, prefill, weight_bytes })
}

fn what_it_is(tensor: &str) -> &'static str {
    if tensor.starts_with("rope_freqs") || tensor.starts_with("rope_factors") {
        "for rotary scaling (long context), which this version lacks"
    } else if tensor.ends_with(".bias") {
        "a bias, which this version's Llama lacks"
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
    // ggml pads shapes with ones on the outside.
    let ones = tensor.shape.iter().take_while(|n| **n == 1).count().min(tensor.shape.len() - 1);
    if tensor.shape[ones..] == spec.shape || tensor.shape == spec.shape {
        return Ok(());
    }
    Err(Error::new(
        "llama.tensor",
        format!("the tensor {} is {:?}, and the metadata ask for {:?}", spec.name, tensor.shape, spec.shape),
        "the file contradicts itself: convert it again",
    ))
}

fn config(gguf: &Gguf, options: &LoadOptions) -> Result<Config> {
    let m = &gguf.metadata;
    let architecture = m.str("general.architecture")?;
    if architecture != "llama" {
        return Err(Error::new(
            "llama.architecture",
            format!("the file's architecture is {architecture:?}; this version runs \"llama\""),
            OTHER_FILE,
        ));
    }
    let heads = number(m, "llama.attention.head_count")?;
    let hidden_size = number(m, "llama.embedding_length")?;
    let even = hidden_size.checked_div(heads).unwrap_or(0);
    let head_dim = find_number(m, "llama.attention.key_length")?.unwrap_or(even);
    let embedding = find(gguf, "token_embd.weight")?;
    let trained = number(m, "llama.context_length")?;
    let config = Config {
        vocab_size: if embedding.shape.len() == 2 { embedding.shape[0] } else { 0 },
        hidden_size,
        feed_forward_length: number(m, "llama.feed_forward_length")?,
        layers: number(m, "llama.block_count")?,
        heads,
        kv_heads: find_number(m, "llama.attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rope_theta: m.find_f32("llama.rope.freq_base")?.unwrap_or(10_000.0),
        rms_eps: m.f32("llama.attention.layer_norm_rms_epsilon")?,
        context_length: trained.min(options.context_length),
        tied: gguf.tensor("output.weight").is_none(),
    };
    refuse_variants(m, &config, trained)?;
    config.validate()?;
    Ok(config)
}

/// What other Llamas have and this version lacks. Ignoring one of these would answer with nonsense.
fn refuse_variants(m: &Metadata, config: &Config, trained_context: usize) -> Result<()> {
    if let Some(kind) = m.find_str("llama.rope.scaling.type")?.filter(|kind| *kind != "none") {
        return Err(unsupported(format!("the file asks for {kind:?} rotary scaling, which this version lacks")));
    }
    for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
        if let Some(factor) = m.find_f32(key)?.filter(|factor| *factor != 0.0 && *factor != 1.0) {
            return Err(unsupported(format!("{key} is {factor}: this version lacks rotary scaling")));
        }
    }
    if let Some(window) = find_number(m, "llama.attention.sliding_window")?
        && window > 0
        && window < trained_context
    {
        return Err(unsupported(format!("attention slides over {window} positions, which this version lacks")));
    }
    if let Some(experts) = find_number(m, "llama.expert_count")?.filter(|n| *n > 0) {
        return Err(unsupported(format!("it is a mixture of {experts} experts, which this version lacks")));
    }
    for (key, what) in [("llama.attention.value_length", "values"), ("llama.rope.dimension_count", "rotary positions")]
    {
        if let Some(n) = find_number(m, key)?.filter(|n| *n != config.head_dim) {
            return Err(unsupported(format!("{what} have {n} dimensions and heads {}: {key}", config.head_dim)));
        }
    }
    Ok(())
}

fn number(m: &Metadata, key: &str) -> Result<usize> {
    m.u32(key).map(|n| n as usize)
}

fn find_number(m: &Metadata, key: &str) -> Result<Option<usize>> {
    Ok(m.find_u32(key)?.map(|n| n as usize))
}
