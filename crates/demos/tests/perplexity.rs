//! Perplexity against the same sum over the dense reference's logits.

mod common;

use std::rc::Rc;

use common::{Dense, F32_BOUND, INT8_BOUND, SMALL, golden_ids, load, random_ids, random_model, stories};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{LoadOptions, Perplexity, PerplexityOptions, perplexity};
use lantern_gpu::Tier;
use lantern_graph::{Cancel, Error, Executor};
use pollster::block_on;

fn ours<E: Executor>(
    executor: &Rc<E>,
    file: &[u8],
    ids: &[u32],
    options: &PerplexityOptions,
) -> Result<Perplexity, Error> {
    let model = load(executor, file, &LoadOptions { prefill_chunk: Some(16), ..LoadOptions::default() })?;
    block_on(perplexity(&model, ids, options, &mut |_| {}, &Cancel::new()))
}

/// Mean −ln p in f64 over the second half of each piece, BOS (1) in the place of its first token.
fn theirs(file: &[u8], ids: &[u32], context: usize) -> f64 {
    let mut scored = Vec::new();
    for piece in ids.chunks_exact(context) {
        let mut dense = Dense::new(file);
        for at in 0..context - 1 {
            let logits = dense.step(if at == 0 { 1 } else { piece[at] });
            if at >= context / 2 {
                let sum: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
                scored.push(sum.ln() - f64::from(logits[piece[at + 1] as usize]));
            }
        }
    }
    scored.iter().sum::<f64>() / scored.len() as f64
}

fn close<E: Executor>(executor: &Rc<E>, file: &[u8], ids: &[u32], context: usize, bound: f64) {
    let options = PerplexityOptions { context, ..PerplexityOptions::default() };
    let found = ours(executor, file, ids, &options).unwrap();
    let expected = theirs(file, ids, context);
    let device = executor.describe();
    println!("{} {}: {} nats, {expected} expected", device.device, device.tier, found.nll);
    assert!((found.nll - expected).abs() < bound, "{} {}: {} for {expected}", device.device, device.tier, found.nll);
    assert_eq!((found.pieces, found.context), (ids.len() / context, context));
    assert_eq!(found.scored_tokens, found.pieces * (context - context / 2 - 1));
    assert!((found.perplexity - found.nll.exp()).abs() < 1e-9 && found.standard_error > 0.0);
}

#[test]
fn on_random_weights_and_on_a_real_model() {
    let ids = random_ids(SMALL.vocab, 250, 31);
    let random = random_model(SMALL, 30);
    for (mode, bound) in [(Mode::Exact, F32_BOUND), (Mode::Fast, F32_BOUND)] {
        close(&Rc::new(Cpu::new(mode)), &random, &ids, 80, bound.into());
    }
    let (Some(file), Some(golden)) = (stories("stories260K.q8_0.gguf"), golden_ids()) else { return };
    close(&Rc::new(Cpu::new(Mode::Exact)), &file, &golden, 64, F32_BOUND.into());
    close(&Rc::new(Cpu::new(Mode::Fast)), &file, &golden, 64, INT8_BOUND.into());
}

#[test]
fn on_every_gpu_tier() {
    let ids = random_ids(SMALL.vocab, 100, 33);
    let random = random_model(SMALL, 32);
    common::each_gpu(|gpu, tier| {
        let bound = if tier == Tier::Dot { INT8_BOUND } else { F32_BOUND };
        close(gpu, &random, &ids, 50, bound.into());
    });
}

#[test]
fn a_text_too_short_and_a_piece_too_small_are_refused() {
    let random = random_model(SMALL, 34);
    let cpu = Rc::new(Cpu::new(Mode::Exact));
    let ids = random_ids(SMALL.vocab, 30, 35);
    let code = |ids: &[u32], context, pieces| {
        ours(&cpu, &random, ids, &PerplexityOptions { context, pieces }).map_err(|error| error.code)
    };
    assert_eq!(code(&ids[..3], 512, 9), Err("eval.too_short"));
    assert_eq!(code(&ids, 3, 9), Err("eval.context"));
    assert_eq!(code(&ids, 10, 0), Err("eval.context"));
    // A text shorter than a piece is one piece; more pieces than asked for are left.
    assert_eq!(code(&ids, 512, 9).map(|found| (found.pieces, found.context)), Ok((1, 30)));
    assert_eq!(code(&ids, 10, 2).map(|found| (found.pieces, found.context)), Ok((2, 10)));
}
