//! Logits against candle-transformers' dense Llama on dequantized weights, token by token.

mod common;

use std::rc::Rc;

use common::{
    F16_SCALES_BOUND, F32_BOUND, HALF_CACHE_BOUND, INT8_BOUND, Llama, SMALL, WIDE, agree, argmax, golden_ids, greedy,
    prompted, random_ids, random_model, reference, stories,
};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::LoadOptions;
use lantern_gpu::Tier;
use lantern_graph::Executor;
use lantern_weights::GgmlType;

/// Grouped and ungrouped heads, tied and separate output, an odd vocabulary, a feed-forward that is no power of two.
fn variants() -> Vec<Llama> {
    let mut all = Vec::new();
    for matrices in [GgmlType::F32, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_0] {
        all.push(Llama { matrices, ..SMALL });
        all.push(Llama { matrices, tied: true, heads: 8, kv_heads: 1, vocab: 67, ..SMALL });
        all.push(Llama { matrices, hidden: 96, heads: 6, kv_heads: 6, feed_forward: 224, layers: 3, ..SMALL });
    }
    all
}

/// Every position's logits within the bound, and another token only where the reference's margin is below it: logits that
/// each err by the bound change places when they are closer than two of it. With caches of f32, and with caches of halves
/// as chats have them.
fn holds<E: Executor>(executor: &Rc<E>, bytes: &[u8], ids: &[u32], bound: f32, what: &str) {
    for (kv_f16, bound) in [(false, bound), (true, bound.max(HALF_CACHE_BOUND))] {
        let options = LoadOptions { kv_f16, ..LoadOptions::default() };
        let ours = common::teacher_forced(executor, bytes, ids, &options);
        agree(&reference(bytes, ids), &ours, bound, &format!("{what}, halves {kv_f16}"));
    }
}

/// A file of one type with random weights, a prompt, and what the reference answers to it.
struct Answer {
    ggml: GgmlType,
    bytes: Vec<u8>,
    prompt: Vec<u32>,
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

impl Answer {
    fn of_each_type() -> impl Iterator<Item = Answer> {
        (400..).zip(GgmlType::READ).map(|(seed, ggml)| {
            let bytes = random_model(Llama { matrices: ggml, ..WIDE }, seed);
            let prompt = random_ids(WIDE.vocab, 11, seed);
            let (ids, logits) = greedy(&bytes, &prompt, 20);
            Answer { ggml, bytes, prompt, ids, logits }
        })
    }

    /// The logits that each of the reference's tokens is to be taken from; tokens are the reference's.
    fn given<E: Executor>(&self, executor: &Rc<E>) -> Vec<Vec<f32>> {
        prompted(executor, &self.bytes, &self.prompt, &self.ids[..self.ids.len() - 1])
    }
}

#[test]
fn every_type_gives_the_dense_models_tokens_on_the_cpu() {
    for answer in Answer::of_each_type() {
        let ggml = answer.ggml;
        let ours = answer.given(&Rc::new(Cpu::new(Mode::Exact)));
        agree(&answer.logits, &ours, F32_BOUND, &format!("{ggml}, cpu exact"));
        let tokens: Vec<u32> = ours.iter().map(|logits| argmax(logits) as u32).collect();
        assert_eq!(tokens, answer.ids, "{ggml}: the same tokens, one for one");
        // Quantized weights are multiplied by activations rounded to int8.
        let bound = if ggml.is_quantized() { INT8_BOUND } else { F32_BOUND };
        let ours = answer.given(&Rc::new(Cpu::new(Mode::Fast)));
        agree(&answer.logits, &ours, bound, &format!("{ggml}, cpu fast"));
    }
}

/// All types at one tier, the commonest at all: what tiers make of each type is compared in the GPU's own tests.
#[test]
fn every_type_gives_the_dense_models_tokens_on_the_gpu() {
    let answers: Vec<Answer> = Answer::of_each_type().collect();
    common::each_gpu(|gpu, tier| {
        let common = |ggml| matches!(ggml, GgmlType::Q4K | GgmlType::Q6K);
        for answer in answers.iter().filter(|answer| tier == Tier::Software || common(answer.ggml)) {
            let bound = match (tier, answer.ggml.block_len()) {
                (Tier::Dot, Some(32..)) => INT8_BOUND,
                (_, Some(256)) => F16_SCALES_BOUND,
                _ => F32_BOUND,
            };
            agree(&answer.logits, &answer.given(gpu), bound, &format!("tier {tier}, {}", answer.ggml));
        }
    });
}

#[test]
fn exact_on_random_weights() {
    for (seed, sizes) in (100..).zip(variants()) {
        let bytes = random_model(sizes, seed);
        let ids = random_ids(sizes.vocab, 40, seed);
        holds(&Rc::new(Cpu::new(Mode::Exact)), &bytes, &ids, F32_BOUND, &format!("{} seed {seed}", sizes.matrices));
    }
}

#[test]
fn fast_on_random_weights() {
    for (seed, sizes) in (200..).zip(variants()) {
        let bytes = random_model(sizes, seed);
        let ids = random_ids(sizes.vocab, 40, seed);
        let f32_activations = matches!(sizes.matrices, GgmlType::F32 | GgmlType::F16);
        let bound = if f32_activations { F32_BOUND } else { INT8_BOUND };
        holds(&Rc::new(Cpu::new(Mode::Fast)), &bytes, &ids, bound, &format!("{} seed {seed}", sizes.matrices));
    }
}

#[test]
fn a_real_model() {
    let (Some(f32_file), Some(q8_file), Some(golden)) =
        (stories("stories260K.f32.gguf"), stories("stories260K.q8_0.gguf"), golden_ids())
    else {
        return;
    };
    let ids: Vec<u32> = [1].into_iter().chain(golden).collect();
    for (mode, file, bound) in [
        (Mode::Exact, &f32_file, F32_BOUND),
        (Mode::Exact, &q8_file, F32_BOUND),
        (Mode::Fast, &f32_file, F32_BOUND),
        (Mode::Fast, &q8_file, INT8_BOUND),
    ] {
        holds(&Rc::new(Cpu::new(mode)), file, &ids, bound, &format!("stories260K, cpu {}", mode.name()));
    }
}

#[test]
fn every_gpu_tier_on_random_weights() {
    common::each_gpu(|gpu, tier| {
        for (seed, sizes) in (300..).zip(variants()) {
            let bytes = random_model(sizes, seed);
            let ids = random_ids(sizes.vocab, 20, seed);
            let rounds = tier == Tier::Dot && matches!(sizes.matrices, GgmlType::Q8_0 | GgmlType::Q4_0);
            let bound = if rounds { INT8_BOUND } else { F32_BOUND };
            holds(gpu, &bytes, &ids, bound, &format!("tier {tier}, {} seed {seed}", sizes.matrices));
        }
    });
}

#[test]
fn every_gpu_tier_on_a_real_model() {
    let (Some(file), Some(golden)) = (stories("stories260K.q8_0.gguf"), golden_ids()) else { return };
    let ids: Vec<u32> = [1].into_iter().chain(golden).take(64).collect();
    common::each_gpu(|gpu, tier| {
        let bound = if tier == Tier::Dot { INT8_BOUND } else { F32_BOUND };
        holds(gpu, &file, &ids, bound, &format!("stories260K, tier {tier}"));
    });
}
