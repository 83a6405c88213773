//! Weights on the device: written in pieces, cut into shards, counted and given back.

mod common;

use std::rc::Rc;

use common::{Work, adapters_and_tiers, close, each_adapter_and_tier, floats, one_device, open, oracle, random};
use lantern_gpu::{GpuOptions, Tier};
use lantern_graph::{Bindings, Cancel, DType, Executor, Session, Value};
use rand::Rng;
use rand::rngs::SmallRng;

fn q8_0(rng: &mut SmallRng, rows: usize, columns: usize) -> Vec<u8> {
    (0..rows * columns / 32)
        .flat_map(|_| {
            let mut block = half::f16::from_f32(rng.random_range(-0.02..0.02)).to_le_bytes().to_vec();
            block.extend((0..32).map(|_| rng.random::<u8>()));
            block
        })
        .collect()
}

/// Rows of one group each: two rows' scales share a word, so every chunk below begins or ends within one.
#[test]
fn rows_may_come_in_any_pieces_and_again() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        let (rows, columns) = (7, 32);
        let bytes = q8_0(rng, rows, columns);
        let mut work = Work::new();
        let w = work.graph.weight("w", &[rows, columns], DType::Q8_0).unwrap();
        let ids = work.graph.input("ids", [rows], DType::U32);
        let y = work.graph.gather(w, ids).unwrap();
        work.graph.output("y", y);
        let inputs = [("ids", Value::U32((0..rows as u32).collect()))];
        let bindings = Bindings::new(&work.graph, &[]).unwrap();
        let expected = oracle().evaluate(&work.graph, &bindings, &[("w", bytes.clone())], &inputs).unwrap();
        pollster::block_on(async {
            let weights = gpu.allocate_weights(&work.graph.weights).unwrap();
            let mut first = 0;
            for count in [1, 3, 1, 2] {
                let part = &bytes[first * 34..(first + count) * 34];
                gpu.write_rows(&weights, "w", first, part).await.unwrap();
                first += count;
            }
            // A slot is refilled under a compiled plan: other numbers first, then the right ones again.
            let weights = Rc::new(weights);
            let mut session = gpu.session(&weights);
            let plan = session.compile(&work.graph, &Cancel::new()).await.unwrap();
            gpu.write_rows(&weights, "w", 2, &q8_0(rng, 3, columns)).await.unwrap();
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            assert_ne!(session.read(&plan, "y").await.unwrap(), expected[0], "the refilled rows are read");
            gpu.write_rows(&weights, "w", 2, &bytes[2 * 34..5 * 34]).await.unwrap();
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            close(&session.read(&plan, "y").await.unwrap(), &expected[0], 1e-6, "rows in pieces");
        });
    });
}

#[test]
fn a_weight_over_the_binding_limit_is_several_shards() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers() {
        let options = GpuOptions {
            tier: Some(tier),
            adapter: Some(adapter.clone()),
            binding_limit: Some(64 << 10),
            ..Default::default()
        };
        let gpu = open(&options).unwrap();
        let rng = &mut random();
        for (dtype, rows) in [(DType::Q8_0, 1500), (DType::F32, 301)] {
            let columns = 96;
            let mut work = Work::new();
            let bytes = match dtype {
                DType::Q8_0 => q8_0(rng, rows, columns),
                _ => floats(rng, rows * columns).into_iter().flat_map(f32::to_le_bytes).collect(),
            };
            work.weights.push(("w".into(), bytes));
            let w = work.graph.weight("w", &[rows, columns], dtype).unwrap();
            for (name, count) in [("one", 1), ("many", 3)] {
                let x = work.graph.input(name, [count, columns], DType::F32);
                work.inputs.push((name.into(), Value::F32(floats(rng, count * columns))));
                let y = work.graph.linear(x, w).unwrap();
                work.graph.output(&format!("linear {name}"), y);
                let back = work.graph.linear_transposed(y, w).unwrap();
                work.graph.output(&format!("transposed {name}"), back);
            }
            let ids = work.graph.input("ids", [5], DType::U32);
            let last = rows as u32 - 1;
            work.inputs.push(("ids".into(), Value::U32(vec![0, last, last / 2, last + 1, 7])));
            let picked = work.graph.gather(w, ids).unwrap();
            work.graph.output("gather", picked);
            // `dot` rounds activations to int8: 1/254 of a group's largest each.
            let tolerance = if tier == Tier::Dot { 3e-2 } else { 1e-4 };
            work.compare(&gpu, tolerance, &format!("{adapter}, {tier}, {} in shards", dtype.name()));
        }
    }
}

#[test]
fn dropping_everything_gives_all_memory_back() {
    each_adapter_and_tier(|gpu| {
        let before = gpu.memory_bytes();
        let mut work = Work::new();
        let x = work.graph.input("x", [1000], DType::F32);
        let state = work.graph.state("s", &[1000]).unwrap();
        let sum = work.graph.add(x, state).unwrap();
        let kept = work.graph.assign(state, sum).unwrap();
        let y = work.graph.affine(kept, 2.0, 0.0).unwrap();
        work.graph.output("y", y);
        pollster::block_on(async {
            let weights = Rc::new(gpu.allocate_weights(&[]).unwrap());
            let mut session = gpu.session(&weights);
            let plan = session.compile(&work.graph, &Cancel::new()).await.unwrap();
            assert!(gpu.memory_bytes() >= before + 3 * 4000, "input, state and result are counted");
            drop((session, plan));
        });
        assert_eq!(gpu.memory_bytes(), before);
    });
}

#[test]
fn a_cancelled_run_says_so_and_the_session_goes_on() {
    each_adapter_and_tier(|gpu| {
        let mut work = Work::new();
        let x = work.graph.input("x", [4], DType::F32);
        let y = work.graph.affine(x, 2.0, 0.0).unwrap();
        work.graph.output("y", y);
        let inputs = [("x", Value::F32(vec![1.0, 2.0, 3.0, 4.0]))];
        let bindings = Bindings::new(&work.graph, &[]).unwrap();
        pollster::block_on(async {
            let mut session = gpu.session(&Rc::new(gpu.allocate_weights(&[]).unwrap()));
            let plan = session.compile(&work.graph, &Cancel::new()).await.unwrap();
            let cancel = Cancel::new();
            cancel.cancel();
            let error = session.run(&plan, &bindings, &inputs, &cancel).await.unwrap_err();
            assert!(error.is_cancelled(), "{error}");
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            assert_eq!(session.read(&plan, "y").await.unwrap(), Value::F32(vec![2.0, 4.0, 6.0, 8.0]));
        });
    });
}
