//! A vocabulary of Llama 3's size on a device that binds little at once: the embedding and the output are many shards.

mod common;

use std::rc::Rc;

use common::{HALF_CACHE_BOUND, Llama, SMALL, agree, load, random_model, teacher_forced};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{GenerateOptions, LoadOptions};
use lantern_gpu::Tier;
use lantern_graph::{Cancel, Executor};
use lantern_weights::GgmlType;
use pollster::block_on;

const VOCABULARY: usize = 128_256;

#[test]
fn embeddings_and_logits_of_128k_tokens_work_where_little_can_be_bound() {
    // The first and the last row, and rows of shards between.
    let ids = [0, VOCABULARY as u32 - 1, 40_000, 64_128, 100_001];
    let options = LoadOptions::default();
    let exact = Rc::new(Cpu::new(Mode::Exact));
    let models = [(90, true, GgmlType::Q8_0), (91, false, GgmlType::F16)].map(|(seed, tied, matrices)| {
        let bytes = random_model(Llama { vocab: VOCABULARY, layers: 1, tied, matrices, ..SMALL }, seed);
        let expected = teacher_forced(&exact, &bytes, &ids, &options);
        (bytes, expected, matrices)
    });
    // The output's 8 or 16 MB, in pieces of 1 MiB; the logits take half of one.
    common::each_gpu_with(Some(1 << 20), |gpu, tier| {
        // Weights are cut above the tiers, and every tier's kernels meet shards in the executor's own tests.
        if tier > Tier::Core {
            return;
        }
        for (bytes, expected, matrices) in &models {
            let bound = HALF_CACHE_BOUND;
            let what = format!("tier {tier}, {matrices}");
            let before = gpu.memory_bytes();
            let model = load(gpu, bytes, &options).unwrap();
            assert!(gpu.memory_bytes() - before > 8 << 20);
            let mut session = block_on(model.session(&mut |_| {}, &Cancel::new())).unwrap();
            let mut logits = |ids: &[u32]| {
                session.reset();
                block_on(session.logits(ids, &Cancel::new())).unwrap()
            };
            agree(&expected[..1], &[logits(&ids[..1])], bound, &format!("{what}, one token"));
            // Prefill's product, and the likeliest of all.
            let last = logits(&ids);
            agree(&expected[4..], std::slice::from_ref(&last), bound, &format!("{what}, in one chunk"));
            let one = GenerateOptions { max_tokens: 1, ..GenerateOptions::default() };
            session.reset();
            let answer = block_on(session.generate(&ids, &one, &Cancel::new(), &mut |_| {})).unwrap();
            assert_eq!(answer.tokens, [common::argmax(&last) as u32], "{what}");
        }
    });
}
