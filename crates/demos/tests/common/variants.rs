//! Other members of the Llama family, small and with random weights, and a slow forward pass in f64 for what candle's models
//! cannot express.

use std::collections::HashMap;
use std::f64::consts::TAU;

use lantern_weights::{GgmlType, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Llama, SMALL, dequantized, random_writer};

/// What a file says beyond its sizes.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    pub name: &'static str,
    pub sizes: Llama,
    pub theta: f64,
    pub scaling: Scaling,
    pub window: Option<usize>,
    pub attention_scale: Option<f64>,
    pub biases: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Scaling {
    None,
    /// Under the key that files name it by.
    Linear(&'static str, f64),
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: usize,
    },
    Yarn {
        factor: f64,
        original: usize,
        attention: f64,
        beta_fast: f64,
    },
}

pub const PLAIN: Variant = Variant {
    name: "plain",
    sizes: SMALL,
    theta: 10_000.0,
    scaling: Scaling::None,
    window: None,
    attention_scale: None,
    biases: false,
};

/// The first numbers of Llama 3.1's, for a first training on 64 positions.
pub const LLAMA3: Scaling = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 64 };

pub fn variants() -> Vec<Variant> {
    let heads_of_24 = Llama { head_dim: Some(24), ..SMALL };
    vec![
        Variant { name: "llama 3", scaling: LLAMA3, sizes: Llama { tied: true, ..SMALL }, ..PLAIN },
        Variant { name: "linear", scaling: Scaling::Linear("rope.scaling.factor", 4.0), ..PLAIN },
        Variant { name: "linear, old key", scaling: Scaling::Linear("rope.scale_linear", 2.5), ..PLAIN },
        Variant {
            name: "yarn",
            scaling: Scaling::Yarn { factor: 4.0, original: 24, attention: 1.0, beta_fast: 32.0 },
            ..PLAIN
        },
        Variant {
            name: "yarn with its own numbers",
            scaling: Scaling::Yarn { factor: 2.0, original: 48, attention: 0.8, beta_fast: 4.0 },
            theta: 1000.0,
            ..PLAIN
        },
        Variant { name: "mistral", window: Some(7), sizes: Llama { heads: 8, ..SMALL }, ..PLAIN },
        Variant { name: "mistral, wide heads", window: Some(16), sizes: heads_of_24, theta: 1e6, ..PLAIN },
        Variant { name: "a window of one", window: Some(1), ..PLAIN },
        Variant {
            name: "smollm 2",
            sizes: Llama { hidden: 72, heads: 9, kv_heads: 3, tied: true, vocab: 67, ..SMALL },
            theta: 1e5,
            ..PLAIN
        },
        Variant { name: "biases", biases: true, attention_scale: Some(0.11), ..PLAIN },
        Variant { name: "biases of q4_0", biases: true, sizes: Llama { matrices: GgmlType::Q4_0, ..SMALL }, ..PLAIN },
    ]
}

impl Variant {
    pub fn file(&self, seed: u64) -> Vec<u8> {
        println!("{}: random weights, seed {seed}", self.name);
        let Llama { layers, hidden, feed_forward, heads, kv_heads, .. } = self.sizes;
        let head_dim = self.sizes.head_dim();
        let mut w = random_writer(self.sizes, seed);
        let mut put = |key: &str, value: Value| {
            w.metadata(format!("llama.{key}"), value).unwrap();
        };
        let f = |x: f64| Value::F32(x as f32);
        put("rope.freq_base", f(self.theta));
        if let Some(window) = self.window {
            put("attention.sliding_window", Value::U32(window as u32));
        }
        if let Some(scale) = self.attention_scale {
            put("attention.scale", f(scale));
        }
        match self.scaling {
            Scaling::None | Scaling::Llama3 { .. } => {}
            Scaling::Linear(key, factor) => put(key, f(factor)),
            Scaling::Yarn { factor, original, attention, beta_fast } => {
                put("rope.scaling.type", Value::String("yarn".into()));
                put("rope.scaling.factor", f(factor));
                put("rope.scaling.original_context_length", Value::U32(original as u32));
                put("rope.scaling.attn_factor", f(attention));
                put("rope.scaling.yarn_beta_fast", f(beta_fast));
            }
        }
        if let Scaling::Llama3 { .. } = self.scaling {
            let factors: Vec<f32> = (0..head_dim / 2).map(|i| self.factor(i) as f32).collect();
            w.tensor_f32("rope_freqs.weight", &[head_dim / 2], GgmlType::F32, &factors).unwrap();
        }
        if self.biases {
            let mut rng = SmallRng::seed_from_u64(seed + 1);
            for i in 0..layers {
                for (part, width) in [
                    ("attn_q", heads * head_dim),
                    ("attn_k", kv_heads * head_dim),
                    ("attn_v", kv_heads * head_dim),
                    ("attn_output", hidden),
                    ("ffn_gate", feed_forward),
                    ("ffn_up", feed_forward),
                    ("ffn_down", hidden),
                ] {
                    let values: Vec<f32> = (0..width).map(|_| rng.random_range(-0.5..0.5)).collect();
                    w.tensor_f32(format!("blk.{i}.{part}.bias"), &[width], GgmlType::F32, &values).unwrap();
                }
            }
        }
        w.finish().unwrap()
    }

    fn frequency(&self, i: usize) -> f64 {
        self.theta.powf(-2.0 * i as f64 / self.sizes.head_dim() as f64)
    }

    /// What converters write for Llama 3.1: 1 where a turn is short, `factor` where it is long, between them smooth.
    fn factor(&self, i: usize) -> f64 {
        let Scaling::Llama3 { factor, low, high, original } = self.scaling else { return 1.0 };
        let turns = original as f64 * self.frequency(i) / TAU;
        if turns > high {
            return 1.0;
        }
        if turns < low {
            return factor;
        }
        let smooth = (turns - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    }

    /// Pair `i` at a position: its angle, and the length it is turned at.
    fn turn(&self, i: usize, position: usize) -> (f64, f64) {
        let own = position as f64 * self.frequency(i);
        match self.scaling {
            Scaling::None => (own, 1.0),
            Scaling::Llama3 { .. } => (own / self.factor(i), 1.0),
            Scaling::Linear(_, factor) => (own / factor, 1.0),
            Scaling::Yarn { factor, original, attention, beta_fast } => {
                let d = self.sizes.head_dim() as f64;
                let pair = |turns: f64| d * (original as f64 / (turns * TAU)).ln() / (2.0 * self.theta.ln());
                let (low, high) = (pair(beta_fast).floor().max(0.0), pair(1.0).ceil().min(d - 1.0));
                let slow = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                (own * (1.0 - slow) + own / factor * slow, attention * (1.0 + 0.1 * factor.ln()))
            }
        }
    }
}

/// The forward pass as the papers write it, in f64, one token at a time.
pub struct Direct {
    variant: Variant,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    /// Keys and values of each block and position.
    cache: Vec<Vec<[Vec<f64>; 2]>>,
    at: usize,
}

impl Direct {
    pub fn new(variant: &Variant, bytes: &[u8]) -> Self {
        let cache = vec![Vec::new(); variant.sizes.layers];
        Self { variant: *variant, tensors: dequantized(bytes), cache, at: 0 }
    }

    /// The logits after each of `ids`.
    pub fn logits(mut self, ids: &[u32]) -> Vec<Vec<f32>> {
        ids.iter().map(|id| self.step(*id).into_iter().map(|x| x as f32).collect()).collect()
    }

    fn step(&mut self, id: u32) -> Vec<f64> {
        let Llama { hidden, heads, kv_heads, layers, .. } = self.variant.sizes;
        let head_dim = self.variant.sizes.head_dim();
        let embedding = &self.tensors["token_embd.weight"].1;
        let mut x: Vec<f64> = embedding[id as usize * hidden..][..hidden].iter().map(|v| f64::from(*v)).collect();
        for block in 0..layers {
            let normed = self.norm(&format!("blk.{block}.attn_norm"), &x);
            let mut q = self.linear(&format!("blk.{block}.attn_q"), &normed);
            let mut k = self.linear(&format!("blk.{block}.attn_k"), &normed);
            let v = self.linear(&format!("blk.{block}.attn_v"), &normed);
            self.rotate(&mut q);
            self.rotate(&mut k);
            self.cache[block].push([k, v]);
            let first = self.variant.window.map_or(0, |window| (self.at + 1).saturating_sub(window));
            let scale = self.variant.attention_scale.unwrap_or(1.0 / (head_dim as f64).sqrt());
            let mut mixed = Vec::with_capacity(heads * head_dim);
            for head in 0..heads {
                let shared = head / (heads / kv_heads) * head_dim;
                let seen = &self.cache[block][first..];
                let query = &q[head * head_dim..][..head_dim];
                let scores: Vec<f64> = seen.iter().map(|[k, _]| scale * dot(query, &k[shared..])).collect();
                let most = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let value = |i: usize| -> f64 { seen.iter().zip(&weights).map(|([_, v], w)| w * v[shared + i]).sum() };
                mixed.extend((0..head_dim).map(|i| value(i) / sum));
            }
            add(&mut x, &self.linear(&format!("blk.{block}.attn_output"), &mixed));
            let normed = self.norm(&format!("blk.{block}.ffn_norm"), &x);
            let gate = self.linear(&format!("blk.{block}.ffn_gate"), &normed);
            let up = self.linear(&format!("blk.{block}.ffn_up"), &normed);
            let gated: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            add(&mut x, &self.linear(&format!("blk.{block}.ffn_down"), &gated));
        }
        self.at += 1;
        let x = self.norm("output_norm", &x);
        self.linear(if self.variant.sizes.tied { "token_embd" } else { "output" }, &x)
    }

    fn rotate(&self, x: &mut [f64]) {
        for head in x.chunks_exact_mut(self.variant.sizes.head_dim()) {
            for (i, pair) in head.chunks_exact_mut(2).enumerate() {
                let (angle, length) = self.variant.turn(i, self.at);
                let (sin, cos) = angle.sin_cos();
                let (a, b) = (pair[0], pair[1]);
                (pair[0], pair[1]) = (length * (a * cos - b * sin), length * (a * sin + b * cos));
            }
        }
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = &self.tensors[&format!("{name}.weight")].1;
        let scale = 1.0 / (dot(x, x) / x.len() as f64 + 1e-5).sqrt();
        x.iter().zip(weight).map(|(x, w)| x * scale * f64::from(*w)).collect()
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (_, weight) = &self.tensors[&format!("{name}.weight")];
        let product = |row: &[f32]| -> f64 { row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum() };
        let mut y: Vec<f64> = weight.chunks_exact(x.len()).map(product).collect();
        if let Some((_, bias)) = self.tensors.get(&format!("{name}.bias")) {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += f64::from(*b));
        }
        y
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
