//! States that are stored as halves and grow in buckets, at every tier against `cpu exact`, which rounds alike.

mod common;

use std::rc::Rc;

use common::{close, each_adapter_and_tier, floats, random};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{
    Attention, BUCKET_ROWS, Bindings, Cancel, Class, DType, Dim, Executor, Graph, Index, Mask, NodeId, Result, Session,
    StateOptions, Value,
};
use rand::Rng;
use rand::rngs::SmallRng;

/// Both sides round the same numbers to the same halves, and sums run in another order.
const F32: f32 = 1e-4;

type Symbols = Vec<(&'static str, usize)>;
type Inputs = Vec<(&'static str, Value)>;

/// The outputs of each run of one plan, and the memory held after it, over what was held before its first.
fn outputs<E: Executor>(
    executor: &E,
    graph: &Graph,
    runs: &[(Symbols, Inputs)],
) -> Result<(Vec<Vec<Value>>, Vec<u64>)> {
    pollster::block_on(async {
        let cancel = Cancel::new();
        let mut session = executor.session(Class::Token);
        let plan = session.compile(graph, &Rc::default(), &cancel).await?;
        let before = executor.memory_bytes();
        let (mut values, mut memory) = (Vec::new(), Vec::new());
        let mut readings = 0;
        for (symbols, inputs) in runs {
            let held = executor.memory_bytes();
            session.run(&plan, &Bindings::new(graph, symbols)?, inputs, &cancel).await?;
            memory.push(executor.memory_bytes() - before - readings);
            let ran = executor.memory_bytes();
            assert!(ran >= held);
            let mut outputs = Vec::new();
            for (name, _) in &graph.outputs {
                outputs.push(session.read(&plan, name).await?);
            }
            // What reading back takes is not the states'.
            readings += executor.memory_bytes() - ran;
            values.push(outputs);
        }
        Ok((values, memory))
    })
}

const BOUND: usize = 1000;

/// A cache of `[BOUND, heads, head_dim]`, written from `start` on and seen up to `len`.
struct Cache {
    graph: Graph,
    rows: Dim,
    start: Index,
    len: Dim,
}

impl Cache {
    fn new() -> Cache {
        let mut graph = Graph::new();
        let (rows, start, len) = (graph.symbol("rows", 64), graph.symbol("start", BOUND), graph.symbol("len", BOUND));
        Cache { graph, rows: rows.into(), start: Index::Symbol(start), len: len.into() }
    }

    /// All that is seen of it after the write.
    fn cache(&mut self, name: &str, heads: usize, head_dim: usize, storage: DType) -> NodeId {
        let fresh = self.graph.input(name, [self.rows, heads.into(), head_dim.into()], DType::F32);
        let options = StateOptions { storage, growing: true };
        let state = self.graph.state_with(&format!("{name}.state"), &[BOUND, heads, head_dim], options).unwrap();
        let state = self.graph.write(state, fresh, self.start).unwrap();
        self.graph.slice(state, 0, Index::Fixed(0), self.len).unwrap()
    }
}

fn rows_of(rng: &mut SmallRng, name: &'static str, elements: usize) -> (&'static str, Value) {
    (name, Value::F32(floats(rng, elements)))
}

#[test]
fn a_growing_state_takes_memory_as_it_is_written() {
    each_adapter_and_tier(|gpu| {
        for (storage, bytes) in [(DType::F32, 4), (DType::F16, 2)] {
            let rng = &mut random();
            let mut c = Cache::new();
            let seen = c.cache("x", 3, 2, storage);
            // Whoever is no attention reads floats: an operation, another view, the host.
            let flat = c.graph.reshape(seen, [c.len, Dim::Fixed(6)]).unwrap();
            let doubled = c.graph.affine(flat, 2.0, 0.0).unwrap();
            let turned = c.graph.permute(seen, &[1, 0, 2]).unwrap();
            for (name, id) in [("seen", seen), ("doubled", doubled), ("turned", turned)] {
                c.graph.output(name, id);
            }
            let mut runs: Vec<(Symbols, Inputs)> = Vec::new();
            for (start, rows) in [(0, 64), (192, 64), (256, 1), (600, 40), (513, 7), (990, 10)] {
                let symbols = vec![("rows", rows), ("start", start), ("len", start + rows)];
                runs.push((symbols, vec![rows_of(rng, "x", rows * 6)]));
            }
            let (expected, _) = outputs(&Cpu::new(Mode::Exact), &c.graph, &runs).unwrap();
            let (got, memory) = outputs(gpu, &c.graph, &runs).unwrap();
            for (run, (got, expected)) in got.iter().zip(&expected).enumerate() {
                for (got, expected) in got.iter().zip(expected) {
                    close(got, expected, 0.0, &format!("{}, run {run}", storage.name()));
                }
            }
            // Sizes are multiples of 16 bytes, as these are.
            let grown = |rows: usize| ((rows - BUCKET_ROWS) * 6 * bytes) as u64;
            let whole = grown(BOUND).next_multiple_of(16);
            assert_eq!(memory, [0, 0, grown(512), whole, whole, whole], "{}", storage.name());
            assert_eq!(gpu.step_downs(), []);
        }
    });
}

/// Before and after the caches moved, with and without a window, on heads that fill a workgroup's vectors and do not.
#[test]
fn attention_reads_halves_across_buckets() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for (head_dim, window) in [(4, None), (64, Some(1)), (48, Some(100)), (128, Some(65)), (256, None)] {
            let (kv_heads, group) = (rng.random_range(1..4), rng.random_range(1..4));
            let mut c = Cache::new();
            let (k, v) = (c.cache("k", kv_heads, head_dim, DType::F16), c.cache("v", kv_heads, head_dim, DType::F16));
            let q = c.graph.input("q", [c.rows, kv_heads.into(), group.into(), head_dim.into()], DType::F32);
            let start = c.start;
            let mask = match window {
                Some(size) => Mask::Window { start, size },
                None => Mask::Causal { start },
            };
            let y = c.graph.attention(q, k, v, &Attention { scale: 0.9, mask }).unwrap();
            c.graph.output("y", y);
            let mut runs: Vec<(Symbols, Inputs)> = Vec::new();
            for (start, rows) in [(0, 40), (40, 1), (41, 60), (101, 60), (161, 60), (221, 60), (281, 1)] {
                let symbols = vec![("rows", rows), ("start", start), ("len", start + rows)];
                let row = rows * kv_heads * head_dim;
                runs.push((
                    symbols,
                    vec![rows_of(rng, "k", row), rows_of(rng, "v", row), rows_of(rng, "q", row * group)],
                ));
            }
            let (expected, _) = outputs(&Cpu::new(Mode::Exact), &c.graph, &runs).unwrap();
            let (got, _) = outputs(gpu, &c.graph, &runs).unwrap();
            for (run, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(&got[0], &expected[0], F32, &format!("head_dim {head_dim}, window {window:?}, run {run}"));
            }
            assert_eq!(gpu.step_downs(), []);
        }
    });
}

#[test]
fn halves_are_read_and_written_by_hand_and_not_past_the_bound() {
    each_adapter_and_tier(|gpu| {
        let mut c = Cache::new();
        let seen = c.cache("x", 1, 2, DType::F16);
        let y = c.graph.affine(seen, 1.0, 0.0).unwrap();
        c.graph.output("y", y);
        pollster::block_on(async {
            let cancel = Cancel::new();
            let before = gpu.memory_bytes();
            let mut session = gpu.session(Class::Token);
            let plan = session.compile(&c.graph, &Rc::default(), &cancel).await.unwrap();
            let bind = |start: usize, len: usize| {
                Bindings::new(&c.graph, &[("rows", 2), ("start", start), ("len", len)]).unwrap()
            };
            // 1 + 2⁻¹¹ lies between two halves, 1 + 3·2⁻¹¹ too; beyond the largest is the largest; the smallest, and its half.
            let tie = 1.0 / 2048.0;
            let x = vec![1.0 + tie, 1.0 + 3.0 * tie, -1e6, 2f32.powi(-24)];
            let rounded = [1.0, 1.0 + 4.0 * tie, -65504.0, 2f32.powi(-24)];
            session.run(&plan, &bind(5, 7), &[("x", Value::F32(x))], &cancel).await.unwrap();
            let all = session.read_state("x.state").await.unwrap().into_f32().unwrap();
            assert_eq!((all.len(), &all[10..14]), (2 * BOUND, &rounded[..]));
            assert!(all[..10].iter().chain(&all[14..]).all(|v| *v == 0.0));

            let whole: Vec<f32> = (0..2 * BOUND).map(|i| i as f32 / 7.0).collect();
            session.write_state("x.state", &Value::F32(whole.clone())).unwrap();
            let half = |v: f32| half::f16::from_f32(v).to_f32();
            let mut expected: Vec<f32> = whole.iter().copied().map(half).collect();
            assert_eq!(session.read_state("x.state").await.unwrap(), Value::F32(expected.clone()));
            let two = Value::F32(vec![0.5; 4]);
            session.run(&plan, &bind(600, 900), &[("x", two.clone())], &cancel).await.unwrap();
            expected[1200..1204].fill(0.5);
            assert_eq!(session.read(&plan, "y").await.unwrap(), Value::F32(expected[..1800].to_vec()));

            let error = session.run(&plan, &bind(BOUND - 1, 1), &[("x", two)], &cancel).await.unwrap_err();
            assert!(error.code == "graph.binding" && error.cause.contains("1001 rows"), "{error}");
            assert_eq!(session.write_state("x.state", &Value::F32(vec![0.0; 4])).unwrap_err().code, "graph.state");
            drop((session, plan));
            assert_eq!(gpu.memory_bytes(), before);
        });
    });
}
