//! Weights on the device: written in pieces, cut into shards, counted and given back.

mod common;

use std::rc::Rc;

use common::{
    Work, adapters_and_tiers, close, each_adapter_and_tier, file_bytes, floats, one_device, open, oracle, random,
    weight,
};
use lantern_gpu::{GpuOptions, Tier, weight_bytes};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Session, Value};

/// Rows of one block each: in q8_0 two rows' scales share a word, so every chunk below begins or ends within one; q4_1 has
/// pairs of scale and minimum; q6_k and q2_k have groups of 16, without minimums and with.
#[test]
fn rows_may_come_in_any_pieces_and_again() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for dtype in [DType::Q8_0, DType::Q4_1, DType::Q6K, DType::Q2K] {
            // Rows by number are the same kernel at every tier.
            if gpu.tier() > Tier::Software && dtype != DType::Q8_0 {
                continue;
            }
            let (columns, row_bytes) = dtype.block();
            let rows = 7;
            let bytes = file_bytes(rng, dtype, rows * columns);
            let mut work = Work::new();
            let w = work.graph.weight("w", &[rows, columns], dtype).unwrap();
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
                    let part = &bytes[first * row_bytes..(first + count) * row_bytes];
                    gpu.write_rows(&weights, "w", first, part).await.unwrap();
                    first += count;
                }
                // A slot is refilled under a compiled plan: other numbers first, then the right ones again.
                let weights = Rc::new(weights);
                let mut session = gpu.session(Class::Picture);
                let plan = session.compile(&work.graph, &weights, &Cancel::new()).await.unwrap();
                let other = file_bytes(rng, dtype, 3 * columns);
                gpu.write_rows(&weights, "w", 2, &other).await.unwrap();
                session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
                assert_ne!(session.read(&plan, "y").await.unwrap(), expected[0], "the refilled rows are read");
                gpu.write_rows(&weights, "w", 2, &bytes[2 * row_bytes..5 * row_bytes]).await.unwrap();
                session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
                // K blocks' factors are rounded to f16 (conformance.rs).
                let tolerance = if dtype.block().0 == 256 { 1.5e-3 } else { 1e-6 };
                let got = session.read(&plan, "y").await.unwrap();
                close(&got, &expected[0], tolerance, &format!("rows of {} in pieces", dtype.name()));
            });
        }
    });
}

#[test]
fn a_scale_that_no_half_holds_is_refused() {
    each_adapter_and_tier(|gpu| {
        let mut work = Work::new();
        work.graph.weight("w", &[1, 256], DType::Q6K).unwrap();
        // Scales of 127, a factor of 1000.
        let mut bytes = vec![127; 208];
        bytes.extend(half::f16::from_f32(1000.0).to_le_bytes());
        pollster::block_on(async {
            let weights = gpu.allocate_weights(&work.graph.weights).unwrap();
            let error = gpu.write_rows(&weights, "w", 0, &bytes).await.unwrap_err();
            assert!(error.code == "gpu.weight" && error.cause.contains("65504"), "{error}");
            let error = gpu.write_rows(&weights, "w", usize::MAX, &bytes).await.unwrap_err();
            assert_eq!(error.code, "graph.weight");
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
        // Shards of an odd number of rows among them, whose groups of 32 are odd too.
        for (dtype, rows, columns) in
            [(DType::Q8_0, 1500, 96), (DType::F32, 301, 96), (DType::Q4_1, 1500, 96), (DType::Q2K, 1100, 256)]
        {
            // How a weight is cut does not depend on the tier.
            if tier > Tier::Software && !matches!(dtype, DType::Q8_0 | DType::F32) {
                continue;
            }
            let mut work = Work::new();
            let w = weight(&mut work, rng, "w", &[rows, columns], dtype);
            assert!(weight_bytes(&work.graph.weights[0]) > 64 << 10);
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
            // `dot` rounds activations to int8: 1/254 of a group's largest each. Of K blocks see conformance.rs.
            let tolerance = match (tier, dtype) {
                (Tier::Dot, _) => 3e-2,
                (_, DType::Q2K) => 1.5e-3,
                _ => 1e-4,
            };
            work.compare(&gpu, tolerance, &format!("{adapter}, {tier}, {} in shards", dtype.name()));
        }
    }
}

/// What is counted beforehand is what allocation takes, but for the rounding of buffers to 16 bytes.
#[test]
fn a_weights_bytes_are_known_beforehand() {
    each_adapter_and_tier(|gpu| {
        for dtype in DType::WEIGHTS {
            let before = gpu.memory_bytes();
            let mut work = Work::new();
            work.graph.weight("w", &[33, 512], dtype).unwrap();
            let weights = gpu.allocate_weights(&work.graph.weights).unwrap();
            let taken = gpu.memory_bytes() - before;
            let told = weight_bytes(&work.graph.weights[0]);
            assert!((told..told + 32).contains(&taken), "{}: {told} told, {taken} taken", dtype.name());
            drop(weights);
        }
    });
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
            let mut session = gpu.session(Class::Picture);
            let plan = session.compile(&work.graph, &Rc::default(), &Cancel::new()).await.unwrap();
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
            let mut session = gpu.session(Class::Picture);
            let plan = session.compile(&work.graph, &Rc::default(), &Cancel::new()).await.unwrap();
            let cancel = Cancel::new();
            cancel.cancel();
            let error = session.run(&plan, &bindings, &inputs, &cancel).await.unwrap_err();
            assert!(error.is_cancelled(), "{error}");
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            assert_eq!(session.read(&plan, "y").await.unwrap(), Value::F32(vec![2.0, 4.0, 6.0, 8.0]));
        });
    });
}
