//! A token of a language model: how few dispatches it takes, and that they compute what the single nodes do.

mod common;

use std::collections::BTreeSet;
use std::rc::Rc;

use common::{close, each_adapter_and_tier, file_bytes, random};
use lantern_cpu::{Cpu, Mode};
use lantern_gpu::Tier;
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Result, Session, Value, WeightSpec};
use lantern_models::Parameters;
use lantern_models::llama::{Config, Rope, decode, prefill};
use rand::rngs::SmallRng;

fn config(kv_f16: bool) -> Config {
    Config {
        vocab_size: 90,
        hidden_size: 128,
        feed_forward_length: 256,
        layers: 2,
        heads: 6,
        kv_heads: 2,
        head_dim: 64,
        rope: Rope::plain(10_000.0),
        attention_scale: None,
        sliding_window: None,
        rms_eps: 1e-5,
        context_length: 160,
        tied: false,
        biases: BTreeSet::new(),
        kv_f16,
    }
}

/// A small Llama of random numbers.
struct Model {
    prefill: Graph,
    decode: Graph,
    weights: Vec<(String, Vec<u8>)>,
}

/// More keys than a workgroup takes alone.
const PROMPT: usize = 140;

impl Model {
    fn new(rng: &mut SmallRng, config: &Config, dtype: &dyn Fn(&str) -> DType) -> Model {
        let parameters = Parameters::weights(dtype);
        let (prefill, decode) = (prefill(config, &parameters, PROMPT).unwrap(), decode(config, &parameters).unwrap());
        let bytes = |spec: &WeightSpec| file_bytes(rng, spec.dtype, spec.rows() * spec.columns());
        let weights = decode.weights.iter().map(|w| w.name.clone()).zip(decode.weights.iter().map(bytes)).collect();
        Model { prefill, decode, weights }
    }

    /// Logits of a token behind an empty context, of one behind a long one, and of one after a weight became another; and the
    /// dispatches of one.
    async fn talk<E: Executor>(&self, executor: &E, specs: &[WeightSpec], swap: &[u8]) -> Result<(Vec<Value>, usize)> {
        let weights = Rc::new(executor.allocate_weights(specs)?);
        for (name, bytes) in &self.weights {
            executor.write_rows(&weights, name, 0, bytes).await?;
        }
        let cancel = Cancel::new();
        let mut session = executor.session(Class::Token);
        let decode = session.compile(&self.decode, &weights, &cancel).await?;
        let prefill = session.compile(&self.prefill, &weights, &cancel).await?;
        let token = |past: usize| Bindings::new(&self.decode, &[("past", past), ("kv_len", past + 1)]);
        let mut logits = Vec::new();
        session.run(&decode, &token(0)?, &[("ids", Value::U32(vec![7]))], &cancel).await?;
        logits.push(session.read(&decode, "logits").await?);
        let prompt = (0..PROMPT as u32).map(|i| i * 31 % 90).collect();
        let symbols = [("past", 0), ("kv_len", PROMPT), ("rows", PROMPT), ("last", PROMPT - 1)];
        session
            .run(&prefill, &Bindings::new(&self.prefill, &symbols)?, &[("ids", Value::U32(prompt))], &cancel)
            .await?;
        session.run(&decode, &token(PROMPT)?, &[("ids", Value::U32(vec![8]))], &cancel).await?;
        logits.push(session.read(&decode, "logits").await?);
        executor.write_rows(&weights, "blk.1.attn_k.weight", 0, swap).await?;
        session.run(&decode, &token(PROMPT + 1)?, &[("ids", Value::U32(vec![9]))], &cancel).await?;
        logits.push(session.read(&decode, "logits").await?);
        Ok((logits, session.dispatches(&decode)))
    }
}

fn matrices(dtype: DType) -> impl Fn(&str) -> DType {
    move |_| dtype
}

#[test]
fn a_token_takes_eight_dispatches_a_block() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for (dtype, kv_f16) in [(DType::Q4_0, true), (DType::F16, false)] {
            let config = config(kv_f16);
            let model = Model::new(rng, &config, &matrices(dtype));
            let swap = file_bytes(rng, dtype, 128 * 128);
            let specs = &model.decode.weights;
            let (expected, _) = pollster::block_on(model.talk(&Cpu::new(Mode::Exact), specs, &swap)).unwrap();
            let (got, dispatches) = pollster::block_on(model.talk(gpu, specs, &swap)).unwrap();
            assert_eq!(gpu.step_downs(), []);
            // Halves of keys and values are rounded from sums in another order; int8 is another matter.
            let int8 = gpu.tier() == Tier::Dot && dtype == DType::Q4_0;
            let tolerance = if int8 { 0.1 } else { 2e-3 };
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(got, expected, tolerance, &format!("{}, logits {i}", dtype.name()));
            }
            // Row of the table, norm, product, their best, and a state for samplers.
            let a_block = if gpu.tier() == Tier::Software { 7 } else { 8 };
            assert_eq!(dispatches, a_block * config.layers + 5, "{}", dtype.name());
        }
    });
}

/// Matrices of several formats, and such as were allocated in another order, are no single matrix: each product by itself.
#[test]
fn matrices_that_lie_apart_are_multiplied_one_by_one() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        let config = config(true);
        let mixed =
            |name: &str| if name.contains("attn_v") || name.contains("ffn_up") { DType::Q8_0 } else { DType::Q4_0 };
        for (what, dtype, reversed) in
            [("mixed", &mixed as &dyn Fn(&str) -> DType, false), ("apart", &matrices(DType::Q4_0), true)]
        {
            let model = Model::new(rng, &config, dtype);
            let swap = file_bytes(rng, dtype("blk.1.attn_k.weight"), 128 * 128);
            let mut specs = model.decode.weights.clone();
            if reversed {
                specs.reverse();
            }
            let (expected, _) = pollster::block_on(model.talk(&Cpu::new(Mode::Exact), &specs, &swap)).unwrap();
            let (got, dispatches) = pollster::block_on(model.talk(gpu, &specs, &swap)).unwrap();
            assert_eq!(gpu.step_downs(), []);
            let tolerance = if gpu.tier() == Tier::Dot { 0.1 } else { 2e-3 };
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(got, expected, tolerance, &format!("{what}, logits {i}"));
            }
            assert!(dispatches >= 15 * config.layers + 5, "{what}: {dispatches}");
        }
    });
}
