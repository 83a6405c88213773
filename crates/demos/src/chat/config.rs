//! The numbers of a Llama out of a file's metadata: llama.cpp's keys, defaults and meaning. A number may be written in any type,
//! and once for all blocks or in a list with one for each.

use std::collections::BTreeSet;
use std::fmt::Display;

use lantern_graph::{Error, Result};
use lantern_models::llama::{Config, Rope, Scaling, Yarn};
use lantern_weights::{Gguf, Metadata, Value, passed_over};

use super::LoadOptions;
use super::check::{OTHER_FILE, find, unsupported};

/// What the metadata say of the network.
pub(super) struct Numbers {
    pub config: Config,
    /// Positions the model was trained for.
    pub trained_context: usize,
    /// Entries that could not be used.
    pub notices: Vec<Error>,
}

/// # Errors
/// `llama.architecture`, `llama.unsupported`, `llama.config`, `llama.context`, `llama.tensor`, `gguf.metadata`.
pub(super) fn numbers(gguf: &Gguf, options: &LoadOptions) -> Result<Numbers> {
    let mut m = Entries { metadata: &gguf.metadata, notices: Vec::new() };
    let architecture = m.metadata.str("general.architecture")?;
    if architecture != "llama" {
        return Err(Error::new(
            "llama.architecture",
            format!("the file's architecture is {architecture:?}; this version runs \"llama\""),
            OTHER_FILE,
        ));
    }
    let heads = m.number("llama.attention.head_count")?;
    let hidden_size = m.number("llama.embedding_length")?;
    let even = hidden_size.checked_div(heads).unwrap_or(0);
    let head_dim = m.find_number("llama.attention.key_length")?.unwrap_or(even);
    let embedding = find(gguf, "token_embd.weight")?;
    let trained_context = m.number("llama.context_length")?;
    let config = Config {
        vocab_size: if let [rows, _] = embedding.shape[..] { rows } else { 0 },
        hidden_size,
        feed_forward_length: m.number("llama.feed_forward_length")?,
        layers: m.number("llama.block_count")?,
        heads,
        kv_heads: m.find_number("llama.attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rope: m.rope(trained_context, gguf.tensor("rope_freqs.weight").is_some())?,
        attention_scale: m.find_factor("llama.attention.scale")?,
        sliding_window: m.window(trained_context)?,
        rms_eps: m.float("llama.attention.layer_norm_rms_epsilon")?,
        context_length: trained_context.min(options.context_length),
        tied: gguf.tensor("output.weight").is_none(),
        biases: biases(gguf),
        kv_f16: options.kv_f16,
    };
    m.refuse_variants(&config)?;
    config.validate()?;
    Ok(Numbers { config, trained_context, notices: m.notices })
}

struct Entries<'m> {
    metadata: &'m Metadata,
    notices: Vec<Error>,
}

impl Entries<'_> {
    fn number(&self, key: &str) -> Result<usize> {
        // Where there is none, the metadata say what is missing or wrong.
        let number = self.alike(key, Value::as_u32)?.map_or_else(|| self.metadata.u32(key), Ok)?;
        Ok(number as usize)
    }

    fn float(&self, key: &str) -> Result<f32> {
        self.alike(key, Value::as_f32)?.map_or_else(|| self.metadata.f32(key), Ok)
    }

    fn find_number(&mut self, key: &str) -> Result<Option<usize>> {
        Ok(self.find(key, Value::as_u32)?.map(|number| number as usize))
    }

    fn find_float(&mut self, key: &str) -> Result<Option<f32>> {
        self.find(key, Value::as_f32)
    }

    /// 0 says that there is none.
    fn find_factor(&mut self, key: &str) -> Result<Option<f32>> {
        Ok(self.find_float(key)?.filter(|factor| *factor != 0.0))
    }

    fn find<T: Copy + Display + PartialEq>(&mut self, key: &str, read: fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.alike(key, read)? {
            None => Ok(self.metadata.optional(key, "a number", read, &mut self.notices)),
            number => Ok(number),
        }
    }

    /// A number, or a list of as many as there are blocks, all the same. `None` where it is neither.
    fn alike<T: Copy + Display + PartialEq>(&self, key: &str, read: fn(&Value) -> Option<T>) -> Result<Option<T>> {
        let listed = self.metadata.get(key).map(Value::as_list).unwrap_or_default();
        let Some(all) = listed.iter().map(read).collect::<Option<Vec<T>>>() else { return Ok(None) };
        let Some(first) = all.first() else { return Ok(None) };
        match all.iter().enumerate().skip(1).find(|(_, other)| *other != first) {
            None => Ok(Some(*first)),
            Some((block, other)) => Err(unsupported(format!(
                "{key} is {first} in block 0 and {other} in block {block}, and this version runs models whose blocks are alike"
            ))),
        }
    }

    /// How the file's heads are turned. `factors`: whether it brings divisors of the frequencies.
    fn rope(&mut self, trained_context: usize, factors: bool) -> Result<Rope> {
        let factor = match self.find_factor("llama.rope.scaling.factor")? {
            None => self.find_factor("llama.rope.scale_linear")?,
            factor => factor,
        };
        let text = |value: &Value| value.as_str().map(|kind| kind.trim().to_ascii_lowercase());
        let kind = self.metadata.optional("llama.rope.scaling.type", "a text", text, &mut self.notices);
        let scaling = match (kind.as_deref().unwrap_or_default(), factor.filter(|factor| *factor != 1.0)) {
            ("none" | "default", _) | ("" | "linear" | "yarn", None) => Scaling::None,
            // Whoever converted the file has worked them out.
            ("llama3", _) if factors => Scaling::None,
            ("" | "linear", Some(factor)) => Scaling::Linear(factor),
            ("yarn", Some(factor)) => Scaling::Yarn(self.yarn(factor, trained_context)?),
            (kind, _) => {
                return Err(unsupported(format!(
                    "the file asks for {kind:?} rotary scaling, which this version lacks"
                )));
            }
        };
        let theta = self.find_float("llama.rope.freq_base")?.unwrap_or(10_000.0);
        Ok(Rope { theta, scaling, factors })
    }

    fn yarn(&mut self, factor: f32, trained_context: usize) -> Result<Yarn> {
        let mut number = |key: &str, default: f32| {
            Ok::<_, Error>(self.find_float(&format!("llama.rope.scaling.{key}"))?.unwrap_or(default))
        };
        let log_multiplier = number("yarn_log_multiplier", 0.0)?;
        if log_multiplier != 0.0 {
            return Err(unsupported(format!(
                "llama.rope.scaling.yarn_log_multiplier is {log_multiplier}: this version sharpens attention by the paper's \
                 rule alone"
            )));
        }
        Ok(Yarn {
            factor,
            extrapolation: number("yarn_ext_factor", 1.0)?,
            attention_factor: number("attn_factor", 1.0)? * number("yarn_attn_factor", 1.0)?,
            beta_fast: number("yarn_beta_fast", 32.0)?,
            beta_slow: number("yarn_beta_slow", 1.0)?,
            original_context: self
                .find_number("llama.rope.scaling.original_context_length")?
                .unwrap_or(trained_context),
        })
    }

    /// Positions a query sees, where that is fewer than there are. Which blocks slide may be listed: all or none.
    fn window(&mut self, trained_context: usize) -> Result<Option<usize>> {
        const PATTERN: &str = "llama.attention.sliding_window_pattern";
        let window = self.find_number("llama.attention.sliding_window")?;
        let Some(window) = window.filter(|window| *window > 0 && *window < trained_context) else { return Ok(None) };
        match self.metadata.get(PATTERN) {
            None => Ok(Some(window)),
            Some(Value::Array(_) | Value::Bool(_)) => match self.alike(PATTERN, Value::as_u32)? {
                Some(slides) => Ok((slides != 0).then_some(window)),
                None => {
                    self.notices.push(passed_over(PATTERN, "it is no list of which blocks slide"));
                    Ok(Some(window))
                }
            },
            // Of so many blocks the last sees everything.
            Some(_) => match self.find_number(PATTERN)? {
                None | Some(0) => Ok(Some(window)),
                Some(1) => Ok(None),
                Some(every) => Err(unsupported(format!(
                    "{PATTERN} is {every}: every {every}th block sees all positions, and this version runs models whose blocks \
                     are alike"
                ))),
            },
        }
    }

    /// What other Llamas have and this version lacks. Ignoring one of these would answer with nonsense.
    fn refuse_variants(&mut self, config: &Config) -> Result<()> {
        if let Some(experts) = self.find_number("llama.expert_count")?.filter(|n| *n > 0) {
            return Err(unsupported(format!("it is a mixture of {experts} experts, which this version lacks")));
        }
        for (key, what) in
            [("llama.attention.value_length", "values"), ("llama.rope.dimension_count", "rotary positions")]
        {
            if let Some(n) = self.find_number(key)?.filter(|n| *n != config.head_dim) {
                return Err(unsupported(format!("{what} have {n} dimensions and heads {}: {key}", config.head_dim)));
            }
        }
        Ok(())
    }
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
