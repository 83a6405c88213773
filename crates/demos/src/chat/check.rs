//! What a GGUF file must say and hold for this version to run it: everything is refused here, before a byte of weights
//! is read.

use std::collections::{BTreeSet, HashMap};

use lantern_graph::{DType, Error, Graph, Result, WeightSpec};
use lantern_models::llama::{self, Config, Rope, Scaling, Yarn};
use lantern_weights::{Gguf, Metadata, TensorInfo};

use super::LoadOptions;

/// A file that can be run, and the graphs that run it.
#[derive(Debug, Clone)]
pub struct Checked {
    pub config: Config,
    pub decode: Graph,
    pub prefill: Graph,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Bytes of weights in the file.
    pub weight_bytes: u64,
}

const OTHER_FILE: &str = "use a plain Llama file, such as Llama 2 or TinyLlama, in F16, Q8_0 or Q4_K";

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
    let trained_context = number(&gguf.metadata, "llama.context_length")?;
    Ok(Checked { config, decode, prefill, trained_context, weight_bytes })
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
    let window = find_number(m, "llama.attention.sliding_window")?.filter(|window| *window > 0 && *window < trained);
    let config = Config {
        vocab_size: if embedding.shape.len() == 2 { embedding.shape[0] } else { 0 },
        hidden_size,
        feed_forward_length: number(m, "llama.feed_forward_length")?,
        layers: number(m, "llama.block_count")?,
        heads,
        kv_heads: find_number(m, "llama.attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rope: rope(gguf, trained)?,
        attention_scale: m.find_f32("llama.attention.scale")?.filter(|scale| *scale != 0.0),
        sliding_window: window,
        rms_eps: m.f32("llama.attention.layer_norm_rms_epsilon")?,
        context_length: trained.min(options.context_length),
        tied: gguf.tensor("output.weight").is_none(),
        biases: biases(gguf),
        kv_f16: options.kv_f16,
    };
    refuse_variants(m, &config)?;
    config.validate()?;
    Ok(config)
}

/// How the file's heads are turned: llama.cpp's keys, defaults and meaning.
fn rope(gguf: &Gguf, trained_context: usize) -> Result<Rope> {
    let m = &gguf.metadata;
    let positive = |key: &str| Ok::<_, Error>(m.find_f32(key)?.filter(|factor| *factor != 0.0));
    let factor = match positive("llama.rope.scaling.factor")? {
        None => positive("llama.rope.scale_linear")?,
        factor => factor,
    };
    let kind = m.find_str("llama.rope.scaling.type")?.unwrap_or("linear");
    let scaling = match (kind, factor.filter(|factor| *factor != 1.0)) {
        ("none", _) | ("linear" | "yarn", None) => Scaling::None,
        ("linear", Some(factor)) => Scaling::Linear(factor),
        ("yarn", Some(factor)) => {
            let number = |key: &str, default: f32| {
                Ok::<_, Error>(m.find_f32(&format!("llama.rope.scaling.{key}"))?.unwrap_or(default))
            };
            let log_multiplier = number("yarn_log_multiplier", 0.0)?;
            if log_multiplier != 0.0 {
                return Err(unsupported(format!(
                    "llama.rope.scaling.yarn_log_multiplier is {log_multiplier}: this version sharpens attention by the \
                     paper's rule alone"
                )));
            }
            Scaling::Yarn(Yarn {
                factor,
                original_context: find_number(m, "llama.rope.scaling.original_context_length")?
                    .unwrap_or(trained_context),
                extrapolation: number("yarn_ext_factor", 1.0)?,
                attention_factor: number("attn_factor", 1.0)? * number("yarn_attn_factor", 1.0)?,
                beta_fast: number("yarn_beta_fast", 32.0)?,
                beta_slow: number("yarn_beta_slow", 1.0)?,
            })
        }
        (kind, _) => {
            return Err(unsupported(format!("the file asks for {kind:?} rotary scaling, which this version lacks")));
        }
    };
    let theta = m.find_f32("llama.rope.freq_base")?.unwrap_or(10_000.0);
    Ok(Rope { theta, scaling, factors: gguf.tensor("rope_freqs.weight").is_some() })
}

/// The biases of matrices: some conversions of Llama-like models have them.
fn biases(gguf: &Gguf) -> BTreeSet<String> {
    let matrices = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    let is_one = |name: &str| {
        let mut parts = name.split('.').skip(2);
        name.starts_with("blk.") && parts.next().is_some_and(|part| matrices.contains(&part)) && name.ends_with(".bias")
    };
    gguf.tensors.iter().map(|tensor| &tensor.name).filter(|name| is_one(name)).cloned().collect()
}

/// What other Llamas have and this version lacks. Ignoring one of these would answer with nonsense.
fn refuse_variants(m: &Metadata, config: &Config) -> Result<()> {
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
