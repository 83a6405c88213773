//! Every variant of the architecture that files may ask for, token by token: against candle's dense models where they have
//! it, and against a direct forward pass in f64, which is itself held against candle.

mod common;

use std::rc::Rc;

use candle_transformers::models::llama::{Llama3RopeConfig, Llama3RopeType};
use common::variants::{Direct, LLAMA3, PLAIN, Scaling, Variant, variants};
use common::{Dense, F32_BOUND, HALF_CACHE_BOUND, INT8_BOUND, Llama, SMALL, agree, open, random_ids};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::LoadOptions;
use lantern_graph::{Cancel, Executor};
use lantern_weights::GgmlType;
use pollster::block_on;

/// One rounding of each f32 operation of candle's, over some hundred terms a sum.
const F32_ROUNDINGS: f32 = 1e-5;

#[test]
fn the_direct_pass_is_candles_where_candle_has_it() {
    let Scaling::Llama3 { factor, low, high, original } = LLAMA3 else { unreachable!() };
    let scaling = Llama3RopeConfig {
        factor: factor as f32,
        low_freq_factor: low as f32,
        high_freq_factor: high as f32,
        original_max_position_embeddings: original,
        rope_type: Llama3RopeType::Llama3,
    };
    let wide = Variant { name: "wide heads", sizes: Llama { head_dim: Some(24), ..SMALL }, ..PLAIN };
    let llama3 = Variant { name: "llama 3", scaling: LLAMA3, ..PLAIN };
    for (variant, scaling) in [(PLAIN, None), (llama3, Some(scaling)), (wide, None)] {
        let bytes = variant.file(500);
        let ids = random_ids(variant.sizes.vocab, 60, 501);
        let mut dense = Dense::with_scaling(&bytes, scaling);
        let theirs: Vec<Vec<f32>> = ids.iter().map(|id| dense.step(*id)).collect();
        agree(&theirs, &Direct::new(&variant, &bytes).logits(&ids), F32_ROUNDINGS, variant.name);
    }
}

/// The first `at_once` tokens in chunks that begin inside windows, then `one_by_one`.
fn holds<E: Executor>(executor: &Rc<E>, at_once: usize, one_by_one: usize, kv_f16: bool, what: &str) {
    let tier = executor.describe().tier;
    for (seed, variant) in (510..).zip(variants()) {
        let bytes = variant.file(seed);
        let ids = random_ids(variant.sizes.vocab, at_once + one_by_one, seed);
        let expected = Direct::new(&variant, &bytes).logits(&ids);
        let rounds = variant.sizes.matrices == GgmlType::Q4_0 && ["fast", "dot"].contains(&tier.as_str());
        let bound = match kv_f16 {
            _ if rounds => INT8_BOUND,
            true => HALF_CACHE_BOUND,
            false => F32_BOUND,
        };
        let options = LoadOptions { kv_f16, prefill_chunk: Some(13), ..LoadOptions::default() };
        let mut session = open(executor, &bytes, &options).unwrap();
        let mut logits = |ids: &[u32]| block_on(session.logits(ids, &Cancel::new())).unwrap();
        let mut ours = vec![logits(&ids[..at_once])];
        ours.extend(ids[at_once..].iter().map(|id| logits(&[*id])));
        agree(&expected[at_once - 1..], &ours, bound, &format!("{what}, {}, halves {kv_f16}", variant.name));
    }
}

#[test]
fn both_modes_of_the_cpu() {
    for mode in [Mode::Exact, Mode::Fast] {
        for kv_f16 in [false, true] {
            let cpu = Rc::new(Cpu::new(mode));
            holds(&cpu, 1, 59, kv_f16, mode.name());
            holds(&cpu, 60, 0, kv_f16, mode.name());
        }
    }
}

#[test]
fn every_gpu_tier() {
    common::each_gpu(|gpu, tier| holds(gpu, 24, 2, true, &format!("tier {tier}")));
}

/// A variant that was read as the plain model would be heard: the bounds above tell them apart.
#[test]
fn scaling_and_windows_are_not_the_plain_model() {
    let changed = |variant: &Variant| variant.window.is_some() || !matches!(variant.scaling, Scaling::None);
    for (seed, variant) in (510..).zip(variants()).filter(|(_, variant)| changed(variant)) {
        let bytes = variant.file(seed);
        let ids = random_ids(variant.sizes.vocab, 30, seed);
        let plain = Variant { sizes: variant.sizes, theta: variant.theta, ..PLAIN };
        let (ours, plain) = (Direct::new(&variant, &bytes).logits(&ids), Direct::new(&plain, &bytes).logits(&ids));
        let error = common::relative_error(&plain[29], &ours[29]);
        assert!(error > 2.0 * HALF_CACHE_BOUND, "{}: {error}", variant.name);
    }
}
