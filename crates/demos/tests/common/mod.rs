//! Small models with random weights, the data's real one, and candle-transformers' dense Llama to hold them against.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod autoencoders;
pub mod variants;

use std::collections::HashMap;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama as dense, mistral};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{ChatModel, ChatSession, GenerateOptions, Generation, LoadOptions};
use lantern_gpu::{Gpu, GpuOptions, Tier};
use lantern_graph::{Cancel, Executor, Result};
pub use lantern_testing::{Llama, data};
use lantern_weights::{GgmlType, Gguf, GgufWriter, MemorySource, dequantize};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub fn stories(file: &str) -> Option<Vec<u8>> {
    data("weights/stories260K").map(|folder| std::fs::read(folder.join(file)).unwrap())
}

pub fn golden_ids() -> Option<Vec<u32>> {
    let bytes = stories("golden_greedy.json")?;
    let golden: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    Some(golden["greedy_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect())
}

pub const SMALL: Llama = Llama {
    vocab: 101,
    hidden: 64,
    feed_forward: 160,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_dim: None,
    context: 96,
    tied: false,
    matrices: GgmlType::F32,
};

/// Rows of every matrix are whole blocks of any type.
pub const WIDE: Llama = Llama { hidden: 256, feed_forward: 512, ..SMALL };

/// A GGUF with random weights, prepared but not finished, so that a test can spoil it.
pub fn random_writer(sizes: Llama, seed: u64) -> GgufWriter {
    let mut rng = SmallRng::seed_from_u64(seed);
    let special = ["<unk>", "<s>", "</s>"];
    let piece = |i: usize| special.get(i).map_or(format!("\u{2581}t{i}"), |s| s.to_string());
    let pieces: Vec<String> = (0..sizes.vocab).map(piece).collect();
    sizes.file(&pieces, |_, shape| match *shape {
        // Of such a spread that activations keep theirs.
        [rows, columns] => {
            let spread = (3.0 / columns as f32).sqrt();
            (0..rows * columns).map(|_| rng.random_range(-spread..spread)).collect()
        }
        _ => (0..shape[0]).map(|_| rng.random_range(0.7..1.3)).collect(),
    })
}

pub fn random_model(sizes: Llama, seed: u64) -> Vec<u8> {
    println!("random weights, seed {seed}");
    random_writer(sizes, seed).finish().unwrap()
}

pub fn random_ids(vocab: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut rng = SmallRng::seed_from_u64(seed);
    // Past the special tokens.
    (0..count).map(|_| rng.random_range(3..vocab as u32)).collect()
}

pub fn load<E: Executor>(executor: &Rc<E>, bytes: &[u8], options: &LoadOptions) -> Result<Rc<ChatModel<E>>> {
    let source = MemorySource::new(bytes);
    block_on(ChatModel::load(executor, &source, options, &mut |_| {}, &Cancel::new())).map(Rc::new)
}

pub fn open<E: Executor>(executor: &Rc<E>, bytes: &[u8], options: &LoadOptions) -> Result<ChatSession<E>> {
    block_on(load(executor, bytes, options)?.session(&mut |_| {}, &Cancel::new()))
}

pub fn generate<E: Executor>(
    session: &mut ChatSession<E>,
    prompt: &[u32],
    options: &GenerateOptions,
) -> Result<Generation> {
    block_on(session.generate(prompt, options, &Cancel::new(), &mut |_| {}))
}

/// The logits after each of `ids`, each token given whatever was predicted.
pub fn teacher_forced<E: Executor>(
    executor: &Rc<E>,
    bytes: &[u8],
    ids: &[u32],
    options: &LoadOptions,
) -> Vec<Vec<f32>> {
    let mut session = open(executor, bytes, options).unwrap();
    let cancel = Cancel::new();
    ids.iter().map(|id| block_on(session.logits(&[*id], &cancel)).unwrap()).collect()
}

/// The logits after a prompt, taken in at once, and after each of `ids`.
pub fn prompted<E: Executor>(executor: &Rc<E>, bytes: &[u8], prompt: &[u32], ids: &[u32]) -> Vec<Vec<f32>> {
    let mut session = open(executor, bytes, &LoadOptions { kv_f16: false, ..LoadOptions::default() }).unwrap();
    let cancel = Cancel::new();
    [prompt].into_iter().chain(ids.chunks(1)).map(|ids| block_on(session.logits(ids, &cancel)).unwrap()).collect()
}

/// Every position's logits within the bound, and the same token wherever the reference's margin is over two of it. Gives the
/// largest error.
pub fn agree(theirs: &[Vec<f32>], ours: &[Vec<f32>], bound: f32, what: &str) -> f32 {
    assert_eq!(theirs.len(), ours.len());
    let mut worst = 0f32;
    for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        let error = relative_error(theirs, ours);
        assert!(error < bound, "{what}, position {at}: relative error {error}");
        worst = worst.max(error);
        let ahead = margin(theirs);
        assert!(argmax(theirs) == argmax(ours) || ahead < 2.0 * bound, "{what}, position {at}: margin {ahead}");
    }
    println!("{what}: relative error {worst:.2e}");
    worst
}

/// candle-transformers' dense Llama on the dequantized weights of a file, or its Mistral where heads are of another size than
/// hidden / heads.
pub struct Dense {
    model: Theirs,
    at: usize,
}

enum Theirs {
    Llama(dense::Llama, dense::Cache),
    Mistral(mistral::Model),
}

impl Dense {
    pub fn new(bytes: &[u8]) -> Self {
        Self::with_scaling(bytes, None)
    }

    /// Its own rotary scaling stands in for the file's factors.
    pub fn with_scaling(bytes: &[u8], scaling: Option<dense::Llama3RopeConfig>) -> Self {
        let source = MemorySource::new(bytes);
        let gguf = block_on(Gguf::read(&source)).unwrap();
        let config = dense::Config { rope_scaling: scaling, ..their_config(&gguf) };
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let mut tensors = HashMap::new();
        for (name, (shape, mut values)) in dequantized(bytes) {
            let rotated = [("attn_q.", heads), ("attn_k.", kv_heads)].into_iter().find(|(p, _)| name.contains(p));
            if let Some((_, heads)) = rotated {
                values = pairs_to_halves(&values, &shape, heads);
            }
            if name != "rope_freqs.weight" {
                let values = Tensor::from_vec(values, shape.as_slice(), &Device::Cpu).unwrap();
                tensors.insert(their_name(&name), values);
            }
        }
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = match gguf.metadata.find_u32("llama.attention.key_length").unwrap() {
            Some(head_dim) => {
                let config = mistral::Config {
                    vocab_size: config.vocab_size,
                    hidden_size: config.hidden_size,
                    intermediate_size: config.intermediate_size,
                    num_hidden_layers: config.num_hidden_layers,
                    num_attention_heads: heads,
                    head_dim: Some(head_dim as usize),
                    num_key_value_heads: kv_heads,
                    hidden_act: candle_nn::Activation::Silu,
                    max_position_embeddings: config.max_position_embeddings,
                    rms_norm_eps: config.rms_norm_eps,
                    rope_theta: config.rope_theta.into(),
                    sliding_window: None,
                    use_flash_attn: false,
                };
                Theirs::Mistral(mistral::Model::new(&config, weights).unwrap())
            }
            None => {
                let model = dense::Llama::load(weights, &config).unwrap();
                Theirs::Llama(model, dense::Cache::new(true, DType::F32, &config, &Device::Cpu).unwrap())
            }
        };
        Self { model, at: 0 }
    }

    /// The logits after one more token.
    pub fn step(&mut self, id: u32) -> Vec<f32> {
        let input = Tensor::new(&[[id]], &Device::Cpu).unwrap();
        let logits = match &mut self.model {
            Theirs::Llama(model, cache) => model.forward(&input, self.at, cache).unwrap(),
            Theirs::Mistral(model) => model.forward(&input, self.at).unwrap(),
        };
        self.at += 1;
        logits.flatten_all().unwrap().to_vec1().unwrap()
    }
}

/// Shape and values of every tensor of a file, by name.
pub fn dequantized(bytes: &[u8]) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes))).unwrap();
    let mut tensors = HashMap::new();
    for tensor in &gguf.tensors {
        let raw = &bytes[tensor.offset as usize..(tensor.offset + tensor.bytes) as usize];
        let mut values = vec![0f32; tensor.elements() as usize];
        dequantize(tensor.ggml_type, raw, &mut values).unwrap();
        tensors.insert(tensor.name.clone(), (tensor.shape.clone(), values));
    }
    tensors
}

fn their_config(gguf: &Gguf) -> dense::Config {
    let m = &gguf.metadata;
    let n = |key: &str| m.u32(&format!("llama.{key}")).unwrap() as usize;
    let heads = n("attention.head_count");
    dense::Config {
        hidden_size: n("embedding_length"),
        intermediate_size: n("feed_forward_length"),
        vocab_size: gguf.tensor("token_embd.weight").unwrap().shape[0],
        num_hidden_layers: n("block_count"),
        num_attention_heads: heads,
        num_key_value_heads: m.find_u32("llama.attention.head_count_kv").unwrap().map_or(heads, |n| n as usize),
        use_flash_attn: false,
        rms_norm_eps: m.f32("llama.attention.layer_norm_rms_epsilon").unwrap().into(),
        rope_theta: m.find_f32("llama.rope.freq_base").unwrap().unwrap_or(10_000.0),
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: n("context_length"),
        tie_word_embeddings: gguf.tensor("output.weight").is_none(),
    }
}

/// The reference's logits after each of `ids`.
pub fn reference(bytes: &[u8], ids: &[u32]) -> Vec<Vec<f32>> {
    let mut dense = Dense::new(bytes);
    ids.iter().map(|id| dense.step(*id)).collect()
}

/// What the reference answers to a prompt at temperature 0: its tokens, and the logits each was taken from.
pub fn greedy(bytes: &[u8], prompt: &[u32], count: usize) -> (Vec<u32>, Vec<Vec<f32>>) {
    let mut dense = Dense::new(bytes);
    let mut logits = prompt.iter().map(|id| dense.step(*id)).last().unwrap();
    let (mut ids, mut all) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let id = argmax(&logits) as u32;
        ids.push(id);
        all.push(std::mem::replace(&mut logits, dense.step(id)));
    }
    (ids, all)
}

/// GGUF turns rows 2i and 2i + 1 of a head together, candle i and i + half.
fn pairs_to_halves(values: &[f32], shape: &[usize], heads: usize) -> Vec<f32> {
    let (width, head_dim) = (shape[1], shape[0] / heads);
    let mut out = Vec::with_capacity(values.len());
    for head in 0..heads {
        for part in 0..2 {
            for i in 0..head_dim / 2 {
                let row = head * head_dim + 2 * i + part;
                out.extend_from_slice(&values[row * width..(row + 1) * width]);
            }
        }
    }
    out
}

fn their_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        ["token_embd", _] => "model.embed_tokens.weight".into(),
        ["output_norm", _] => "model.norm.weight".into(),
        ["output", _] => "lm_head.weight".into(),
        ["blk", i, part, _] => {
            let part = match part {
                "attn_norm" => "input_layernorm",
                "attn_q" => "self_attn.q_proj",
                "attn_k" => "self_attn.k_proj",
                "attn_v" => "self_attn.v_proj",
                "attn_output" => "self_attn.o_proj",
                "ffn_norm" => "post_attention_layernorm",
                "ffn_gate" => "mlp.gate_proj",
                "ffn_up" => "mlp.up_proj",
                "ffn_down" => "mlp.down_proj",
                other => panic!("{other}"),
            };
            format!("model.layers.{i}.{part}.weight")
        }
        _ => panic!("{name}"),
    }
}

/// Every adapter (or those whose name contains `LANTERN_ADAPTER`) at every tier it has. A machine without any says that it
/// skips, unless `LANTERN_NEEDS_GPU` is set.
pub fn each_gpu(test: impl FnMut(&Rc<Gpu>, Tier)) {
    each_gpu_with(None, test);
}

/// Those, binding no more bytes at once than that.
pub fn each_gpu_with(binding_limit: Option<u64>, mut test: impl FnMut(&Rc<Gpu>, Tier)) {
    let wanted = std::env::var("LANTERN_ADAPTER").unwrap_or_default().to_lowercase();
    let mut adapters = block_on(Gpu::adapters());
    adapters.retain(|a| a.caps.name.to_lowercase().contains(&wanted));
    if adapters.is_empty() {
        assert!(std::env::var_os("LANTERN_NEEDS_GPU").is_none(), "no graphics adapter, and LANTERN_NEEDS_GPU is set");
        eprintln!("skipped: no graphics adapter on this machine");
    }
    for adapter in adapters {
        for tier in adapter.tiers {
            println!("{}, tier {tier}", adapter.caps.name);
            let options = GpuOptions {
                tier: Some(tier),
                adapter: Some(adapter.caps.name.clone()),
                binding_limit,
                ..Default::default()
            };
            let gpu = block_on(Gpu::new(&options, Rc::new(Cpu::new(Mode::Exact)))).unwrap();
            test(&Rc::new(gpu), tier);
        }
    }
}

/// The largest difference, relative to the largest magnitude of `a`.
pub fn relative_error(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(b).fold(0f32, |m, (x, y)| if (x - y).is_nan() { f32::NAN } else { m.max((x - y).abs()) });
    worst / largest
}

pub fn argmax(values: &[f32]) -> usize {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
}

/// Where activations are f32.
pub const F32_BOUND: f32 = 1e-3;
/// Where keys and values are kept as halves: each is rounded by at most 2⁻¹¹ = 4.9e-4 of itself, and scores and mixtures
/// of every block carry a part of that on. Measured over the models of `reference.rs`: up to 1.7e-3.
pub const HALF_CACHE_BOUND: f32 = 4e-3;
/// Where activations are rounded to int8 in blocks of 32: the error of one rounding is 1/254 of a block's largest value,
/// and it goes through every block of the model.
pub const INT8_BOUND: f32 = 0.06;

/// Where weights are in `K` blocks and the GPU rounds their scales and minimums to f16, each by at most 2⁻¹¹ of itself: two or
/// three such errors in every weight, which partly cancel in sums, through every block of the model.
pub const F16_SCALES_BOUND: f32 = 5e-3;

/// How far the likeliest is ahead of the next, relative to the largest magnitude.
pub fn margin(values: &[f32]) -> f32 {
    let first = argmax(values);
    let second = values.iter().enumerate().filter(|(i, _)| *i != first).fold(f32::MIN, |m, (_, v)| m.max(*v));
    (values[first] - second) / values.iter().fold(0f32, |m, v| m.max(v.abs()))
}
