//! The executor's own promises: states in place, weights that may be swapped, refusals, stopping, memory given back.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::{MODES, assert_close, floats, le_bytes, run, seeded, stored};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{
    Bindings, Cancel, Class, DType, Dim, Error, Executor, Graph, Index, NodeId, Oracle, Session, Value, WeightSpec,
};
use pollster::block_on;

fn linear_graph(dtype: DType, m: usize, k: usize, n: usize) -> Graph {
    let mut g = Graph::new();
    let x = g.input("x", [m, k], DType::F32);
    let w = g.weight("w", &[n, k], dtype).unwrap();
    let y = g.linear(x, w).unwrap();
    g.output("y", y);
    g
}

/// x · wᵀ in f64, and for each element `Σ |x| |w|` weighted by `error` per element of x.
fn product(x: &[f32], w: &[f32], (m, k, n): (usize, usize, usize), error: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut bound) = (Vec::new(), Vec::new());
    for r in 0..m {
        for c in 0..n {
            let pairs = || (0..k).map(|i| (r * k + i, c * k + i));
            y.push(pairs().map(|(i, j)| f64::from(x[i]) * f64::from(w[j])).sum::<f64>() as f32);
            bound.push(pairs().map(|(i, j)| error[i] * w[j].abs()).sum::<f32>());
        }
    }
    (y, bound)
}

/// Columns in whole blocks: at least as many.
fn whole(dtype: DType, columns: usize) -> usize {
    columns.next_multiple_of(dtype.block().0)
}

/// What one activation may err by when it is rounded to integers for a weight of that type; `None` where it stays f32. A step is
/// amax / 127 of a group of 32: at most amax / 254, and the f32 rounding of the step. Where candle multiplies, Q3_K and more on 64-bit
/// Arm, a whole block has one step, which may itself be rounded to half precision (relative 2⁻¹¹).
fn activation_errors(dtype: DType, x: &[f32]) -> Option<Vec<f32>> {
    let (group, step) = match dtype.block().0 {
        1 => return None,
        block if dtype == DType::Q3K || cfg!(target_arch = "aarch64") => (block, 1.0 / 2048.0),
        _ => (32, 1e-6),
    };
    let rounded = x.chunks(group).flat_map(|group| {
        let amax = group.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        vec![amax * (1.0 / 254.0 + step); group.len()]
    });
    Some(rounded.collect())
}

/// Exact, and fast on weights that are widened: f32 roundings alone. Fast on others: the rounding of activations.
#[test]
fn linear_stays_within_the_error_of_its_activations() {
    let mut rng = seeded(30);
    let shapes =
        [(1, 32, 1), (1, 96, 7), (1, 288, 130), (3, 64, 5), (17, 160, 33), (2, 2048, 67), (5, 512, 259), (33, 576, 7)];
    for dtype in DType::WEIGHTS {
        let mut worst = 0f32;
        for (m, k, n) in shapes {
            let k = whole(dtype, k) + usize::from(!dtype.is_quantized()) * (n % 8);
            let x = floats(&mut rng, m * k, -1.0, 1.0);
            let (bytes, w) = stored(dtype, &floats(&mut rng, n * k, -1.0, 1.0));
            let g = linear_graph(dtype, m, k, n);
            // Summation: √k roundings would be typical, a few dozen is generous for pairwise lanes.
            let summed: Vec<f32> = x.iter().map(|x| x.abs() * 32.0 * f32::EPSILON).collect();
            for mode in MODES {
                let rounded = activation_errors(dtype, &x).filter(|_| mode == Mode::Fast);
                let (wanted, bound) = product(&x, &w, (m, k, n), &rounded.unwrap_or_else(|| summed.clone()));
                let inputs = [("x", Value::F32(x.clone()))];
                let y = run(mode, &g, &[], &[("w", bytes.clone())], &inputs).unwrap().remove(0).into_f32().unwrap();
                for (i, ((y, wanted), bound)) in y.iter().zip(&wanted).zip(&bound).enumerate() {
                    let (error, bound) = ((y - wanted).abs(), bound + 1e-6);
                    let what = format!("{} {} [{m}, {k}] by [{n}, {k}]", mode.name(), dtype.name());
                    assert!(error <= bound, "{what}: element {i} is {y} for {wanted}, bound {bound}");
                    worst = worst.max(if mode == Mode::Fast { error / bound } else { 0.0 });
                }
            }
        }
        println!("{}: at most {worst:.2} of its bound", dtype.name());
    }
}

/// Prefill equals decode to the last bit: a row's product does not depend on the rows beside it.
#[test]
fn a_row_is_the_same_alone_and_in_company() {
    let mut rng = seeded(31);
    for dtype in DType::WEIGHTS {
        for (k, n) in [(64, 37), (512, 600)] {
            let k = whole(dtype, k);
            let x = floats(&mut rng, 35 * k, -1.0, 1.0);
            let (bytes, _) = stored(dtype, &floats(&mut rng, n * k, -1.0, 1.0));
            for mode in MODES {
                let run = |m: usize, x: &[f32]| {
                    let g = linear_graph(dtype, m, k, n);
                    let y = run(mode, &g, &[], &[("w", bytes.clone())], &[("x", Value::F32(x.to_vec()))]).unwrap();
                    y.into_iter().next().unwrap().into_f32().unwrap()
                };
                let together = run(35, &x);
                // Of the first and the last tile of rows, inside and outside of a block of them.
                for i in [0, 3, 14, 32, 33, 34] {
                    let (row, together) = (&x[i * k..][..k], &together[i * n..][..n]);
                    assert_eq!(run(1, row), together, "{} {} {k} {n}", mode.name(), dtype.name());
                }
            }
        }
    }
}

#[test]
fn transposed_linear_and_gather_read_every_type() {
    let mut rng = seeded(32);
    for dtype in DType::WEIGHTS {
        let k = whole(dtype, 64);
        let (bytes, w) = stored(dtype, &floats(&mut rng, 9 * k, -1.0, 1.0));
        let x = floats(&mut rng, 3 * 9, -1.0, 1.0);
        let mut g = Graph::new();
        let (nx, ids) = (g.input("x", [3, 9], DType::F32), g.input("ids", [4], DType::U32));
        let nw = g.weight("w", &[9, k], dtype).unwrap();
        let (y, rows) = (g.linear_transposed(nx, nw).unwrap(), g.gather(nw, ids).unwrap());
        g.output("y", y);
        g.output("rows", rows);
        let wanted: Vec<f32> = (0..3 * k).map(|i| (0..9).map(|j| x[i / k * 9 + j] * w[j * k + i % k]).sum()).collect();
        let inputs = [("x", Value::F32(x)), ("ids", Value::U32(vec![8, 0, 9, 3]))];
        for mode in MODES {
            let outputs = run(mode, &g, &[], &[("w", bytes.clone())], &inputs).unwrap();
            let what = format!("{} {}", mode.name(), dtype.name());
            assert_close(&what, &outputs[0].clone().into_f32().unwrap(), &wanted, 1e-5);
            let gathered = [&w[8 * k..9 * k], &w[..k], &vec![0.0; k][..], &w[3 * k..4 * k]].concat();
            assert_eq!(outputs[1], Value::F32(gathered), "{what}");
        }
    }
}

/// Rows arrive in any order and may be replaced under a compiled plan.
#[test]
fn swapped_weights_are_seen_without_compiling_again() {
    let mut rng = seeded(33);
    for mode in MODES {
        for dtype in DType::WEIGHTS {
            block_on(async {
                let k = whole(dtype, 64);
                let g = linear_graph(dtype, 1, k, 6);
                let cpu = Cpu::new(mode);
                let store = Rc::new(cpu.allocate_weights(&g.weights).unwrap());
                let mut session = cpu.session(Class::Picture);
                let cancel = Cancel::new();
                let plan = session.compile(&g, &store, &cancel).await.unwrap();
                let bindings = Bindings::new(&g, &[]).unwrap();
                let x = floats(&mut rng, k, -1.0, 1.0);
                for _ in 0..2 {
                    let (bytes, _) = stored(dtype, &floats(&mut rng, 6 * k, -1.0, 1.0));
                    let row = bytes.len() / 6;
                    cpu.write_rows(&store, "w", 4, &bytes[4 * row..]).await.unwrap();
                    cpu.write_rows(&store, "w", 0, &bytes[..4 * row]).await.unwrap();
                    let inputs = [("x", Value::F32(x.clone()))];
                    session.run(&plan, &bindings, &inputs, &cancel).await.unwrap();
                    let y = session.read(&plan, "y").await.unwrap();
                    assert_eq!(vec![y], run(mode, &g, &[], &[("w", bytes)], &inputs).unwrap());
                }
            });
        }
    }
}

/// A cache as decoders keep it: rows written in place, read by another plan, read and written by hand.
#[test]
fn states_are_shared_by_the_plans_of_a_session() {
    for mode in MODES {
        block_on(async {
            let mut writer = Graph::new();
            let (rows, start) = (writer.symbol("rows", 4), writer.symbol("start", 6));
            let x = writer.input("x", [Dim::Symbol(rows), Dim::Fixed(2)], DType::F32);
            let state = writer.state("s", &[6, 2]).unwrap();
            let after = writer.write(state, x, Index::Symbol(start)).unwrap();
            writer.output("after", after);

            let mut reader = Graph::new();
            let len = reader.symbol("len", 6);
            let state = reader.state("s", &[6, 2]).unwrap();
            let seen = reader.slice(state, 0, Index::Fixed(0), len).unwrap();
            let doubled = reader.affine(seen, 2.0, 0.0).unwrap();
            reader.output("seen", seen);
            reader.output("doubled", doubled);

            let cpu = Cpu::new(mode);
            let store = Rc::new(cpu.allocate_weights(&[]).unwrap());
            let (mut session, mut other) = (cpu.session(Class::Picture), cpu.session(Class::Picture));
            let cancel = Cancel::new();
            let write = session.compile(&writer, &store, &cancel).await.unwrap();
            let read = session.compile(&reader, &store, &cancel).await.unwrap();
            for (at, values) in [(0, vec![1.0, 2.0, 3.0, 4.0]), (2, vec![5.0, 6.0]), (5, vec![7.0, 8.0])] {
                let bindings = Bindings::new(&writer, &[("rows", values.len() / 2), ("start", at)]).unwrap();
                session.run(&write, &bindings, &[("x", Value::F32(values))], &cancel).await.unwrap();
            }
            let whole = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 7.0, 8.0];
            assert_eq!(session.read_state("s").await.unwrap(), Value::F32(whole.clone()));
            assert_eq!(session.read(&write, "after").await.unwrap(), Value::F32(whole));

            session.run(&read, &Bindings::new(&reader, &[("len", 3)]).unwrap(), &[], &cancel).await.unwrap();
            let seen = session.read(&read, "seen").await.unwrap();
            assert_eq!(seen, Value::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
            session.write_state("s", &Value::F32(vec![0.5; 12])).unwrap();
            session.run(&read, &Bindings::new(&reader, &[("len", 1)]).unwrap(), &[], &cancel).await.unwrap();
            assert_eq!(session.read(&read, "doubled").await.unwrap(), Value::F32(vec![1.0, 1.0]));

            assert_eq!(other.read_state("s").await.unwrap_err().code, "graph.state");
            other.compile(&reader, &store, &cancel).await.unwrap();
            assert_eq!(other.read_state("s").await.unwrap(), Value::F32(vec![0.0; 12]), "sessions do not share states");
        });
    }
}

/// A value taken from a state before the state is written is what was there before.
#[test]
fn what_was_read_before_a_write_stays() {
    for mode in MODES {
        let mut g = Graph::new();
        let x = g.input("x", [2, 2], DType::F32);
        let state = g.state("s", &[4, 2]).unwrap();
        let top = g.slice(state, 0, Index::Fixed(0), 2).unwrap();
        let flat = g.reshape(top, [4]).unwrap();
        g.write(state, x, Index::Fixed(0)).unwrap();
        let late = g.affine(flat, 1.0, 1.0).unwrap();
        g.output("late", late);
        g.output("top", top);
        g.output("state", state);
        // The value of a write may be a part of the same state.
        let moved = g.state("m", &[4, 1]).unwrap();
        let tail = g.slice(moved, 0, Index::Fixed(0), 3).unwrap();
        g.write(moved, tail, Index::Fixed(1)).unwrap();
        block_on(async {
            let cpu = Cpu::new(mode);
            let store = Rc::new(cpu.allocate_weights(&[]).unwrap());
            let mut session = cpu.session(Class::Picture);
            let cancel = Cancel::new();
            let plan = session.compile(&g, &store, &cancel).await.unwrap();
            session.write_state("s", &Value::F32((0..8).map(|i| i as f32).collect())).unwrap();
            session.write_state("m", &Value::F32(vec![1.0, 2.0, 3.0, 4.0])).unwrap();
            let inputs = [("x", Value::F32(vec![9.0; 4]))];
            session.run(&plan, &Bindings::new(&g, &[]).unwrap(), &inputs, &cancel).await.unwrap();
            let read = async |session: &mut lantern_cpu::Session, name: &str| {
                session.read(&plan, name).await.unwrap().into_f32().unwrap()
            };
            assert_eq!(read(&mut session, "late").await, [1.0, 2.0, 3.0, 4.0]);
            assert_eq!(read(&mut session, "top").await, [0.0, 1.0, 2.0, 3.0]);
            assert_eq!(read(&mut session, "state").await, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
            let after = session.read_state("s").await.unwrap().into_f32().unwrap();
            assert_eq!(after, [9.0, 9.0, 9.0, 9.0, 4.0, 5.0, 6.0, 7.0]);
            assert_eq!(session.read_state("m").await.unwrap(), Value::F32(vec![1.0, 1.0, 2.0, 3.0]));
        });
    }
}

/// Outputs that are inputs, constants, weights or the same node twice.
#[test]
fn outputs_may_be_leaves() {
    let mut g = Graph::new();
    let (x, ids) = (g.input("x", [3, 2], DType::F32), g.input("ids", [2], DType::U32));
    let c = g.constant([2], &[5.0, 6.0]).unwrap();
    let w = g.weight("w", &[2, 2], DType::F32).unwrap();
    let second = g.slice(x, 0, Index::Fixed(1), 1).unwrap();
    for (name, node) in [("x", x), ("again", x), ("ids", ids), ("c", c), ("w", w), ("second", second)] {
        g.output(name, node);
    }
    let inputs = [("x", Value::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), ("ids", Value::U32(vec![7, 8]))];
    for mode in MODES {
        let outputs = run(mode, &g, &[], &[("w", le_bytes(&[1.0, 2.0, 3.0, 4.0]))], &inputs).unwrap();
        assert_eq!(outputs[0], inputs[0].1);
        assert_eq!(outputs[1], inputs[0].1);
        assert_eq!(outputs[2], inputs[1].1);
        assert_eq!(outputs[3], Value::F32(vec![5.0, 6.0]));
        assert_eq!(outputs[4], Value::F32(vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(outputs[5], Value::F32(vec![3.0, 4.0]));
    }
}

/// A product long enough for several slices, whose first pause stops it.
#[test]
fn a_stopped_run_ends_at_the_next_slice_and_leaves_states_usable() {
    let mut rng = seeded(34);
    for mode in MODES {
        let (m, k, n) = (64, 1024, 1024);
        let mut g = Graph::new();
        let x = g.input("x", [m, k], DType::F32);
        let w = g.weight("w", &[n, k], DType::Q8_0).unwrap();
        let count = g.state("count", &[1]).unwrap();
        let next = g.affine(count, 1.0, 1.0).unwrap();
        g.assign(count, next).unwrap();
        let mut y = x;
        for _ in 0..4 {
            let product = g.linear(y, w).unwrap();
            y = g.affine(product, 1.0 / 1024.0, 0.0).unwrap();
        }
        g.output("y", y);

        let (pauses, cancel) = (Rc::new(Cell::new(0)), Cancel::new());
        let (seen, stop) = (pauses.clone(), cancel.clone());
        let cpu = Cpu::new(mode).with_clock(Rc::new(|| 0.0)).with_yield(Rc::new(move || {
            seen.set(seen.get() + 1);
            if seen.get() == 2 {
                stop.cancel();
            }
            Box::pin(std::future::ready(()))
        }));
        block_on(async {
            let store = Rc::new(cpu.allocate_weights(&g.weights).unwrap());
            let (bytes, _) = stored(DType::Q8_0, &floats(&mut rng, n * k, -1.0, 1.0));
            cpu.write_rows(&store, "w", 0, &bytes).await.unwrap();
            let mut session = cpu.session(Class::Picture);
            let plan = session.compile(&g, &store, &cancel).await.unwrap();
            let bindings = Bindings::new(&g, &[]).unwrap();
            let inputs = [("x", Value::F32(floats(&mut rng, m * k, -1.0, 1.0)))];
            let stopped = session.run(&plan, &bindings, &inputs, &cancel).await.unwrap_err();
            assert!(stopped.is_cancelled(), "{stopped}");
            assert_eq!(pauses.get(), 2, "nothing runs after the pause that stopped it");
            assert_eq!(session.read(&plan, "y").await.unwrap_err().code, "graph.output");
            assert_eq!(session.read_state("count").await.unwrap(), Value::F32(vec![1.0]));

            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            // 4 products of 134 MFLOP in slices of 80: six to nine pauses, whatever was carried over.
            assert!((6..=11).contains(&pauses.get()), "{} pauses", pauses.get());
            assert_eq!(session.read_state("count").await.unwrap(), Value::F32(vec![2.0]));
            // What was cut into slices is what is computed whole.
            let whole = run(mode, &g, &[], &[("w", bytes)], &inputs).unwrap().remove(0);
            assert_eq!(session.read(&plan, "y").await.unwrap(), whole);
        });
    }
}

/// A run dropped while it waits gives its buffers back.
#[test]
fn a_dropped_run_leaves_the_plan_usable() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};
    let (m, k) = (64, 1024);
    let g = linear_graph(DType::F32, m, k, k);
    let wait = Rc::new(Cell::new(true));
    let waits = wait.clone();
    let cpu = Cpu::new(Mode::Fast).with_clock(Rc::new(|| 0.0)).with_yield(Rc::new(move || {
        let waits = waits.clone();
        Box::pin(std::future::poll_fn(move |_| if waits.get() { Poll::Pending } else { Poll::Ready(()) }))
    }));
    let store = Rc::new(cpu.allocate_weights(&g.weights).unwrap());
    let mut session = cpu.session(Class::Picture);
    let cancel = Cancel::new();
    let plan = block_on(session.compile(&g, &store, &cancel)).unwrap();
    let bindings = Bindings::new(&g, &[]).unwrap();
    let inputs = [("x", Value::F32(vec![1.0; m * k]))];
    {
        let mut run = Box::pin(session.run(&plan, &bindings, &inputs, &cancel));
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    wait.set(false);
    block_on(session.run(&plan, &bindings, &inputs, &cancel)).unwrap();
    assert_eq!(block_on(session.read(&plan, "y")).unwrap(), Value::F32(vec![0.0; m * k]));
}

#[test]
fn memory_is_counted_and_given_back() {
    for (mode, weight_bytes) in [(Mode::Exact, 4 * 64 * 32), (Mode::Fast, 34 * 64)] {
        let cpu = Cpu::new(mode);
        let mut g = linear_graph(DType::Q8_0, 5, 32, 64);
        let state = g.state("s", &[10, 3]).unwrap();
        let half = g.affine(state, 0.5, 0.0).unwrap();
        g.assign(state, half).unwrap();
        let store = Rc::new(cpu.allocate_weights(&g.weights).unwrap());
        assert_eq!(cpu.memory_bytes(), weight_bytes);
        let mut session = cpu.session(Class::Picture);
        let plan = block_on(session.compile(&g, &store, &Cancel::new())).unwrap();
        let buffers = 4 * (5 * 64 + 10 * 3);
        assert_eq!(cpu.memory_bytes(), weight_bytes + 4 * 30 + buffers);
        drop(plan);
        let small = block_on(session.compile(&Graph::new(), &store, &Cancel::new())).unwrap();
        assert_eq!(cpu.memory_bytes(), weight_bytes + 4 * 30, "as much as the plans that are left need");
        drop(small);
        drop(session);
        assert_eq!(cpu.memory_bytes(), weight_bytes);
        drop(store);
        assert_eq!(cpu.memory_bytes(), 0);
    }
}

/// The plans of a session use one arena in turn: it is as large as the largest needs, known before it is had, and an output
/// is gone once another plan ran.
#[test]
fn plans_of_a_session_share_their_memory() {
    let doubling = |len: usize, by: f32| {
        let mut g = Graph::new();
        let x = g.input("x", [len], DType::F32);
        let y = g.affine(x, by, 0.0).unwrap();
        g.output("y", y);
        g
    };
    let (small, large) = (doubling(100, 2.0), doubling(1000, 3.0));
    for mode in MODES {
        block_on(async {
            let cpu = Cpu::new(mode);
            let store = Rc::new(cpu.allocate_weights(&[]).unwrap());
            let mut session = cpu.session(Class::Picture);
            let cancel = Cancel::new();
            let bindings = Bindings::new(&small, &[]).unwrap();
            let ones = |len: usize| [("x", Value::F32(vec![1.0; len]))];

            assert_eq!(session.peak_bytes(&large, &store, &cancel).await.unwrap(), 4000);
            assert_eq!(cpu.memory_bytes(), 0, "nothing was taken for the answer");
            let first = session.compile(&small, &store, &cancel).await.unwrap();
            assert_eq!(cpu.memory_bytes(), 400);
            session.run(&first, &bindings, &ones(100), &cancel).await.unwrap();
            // Compiling alone leaves what there is to read.
            let second = session.compile(&large, &store, &cancel).await.unwrap();
            assert_eq!(cpu.memory_bytes(), 4000, "the most, not the sum");
            assert_eq!(session.peak_bytes(&small, &store, &cancel).await.unwrap(), 4000);
            assert_eq!(session.read(&first, "y").await.unwrap(), Value::F32(vec![2.0; 100]));

            session.run(&second, &bindings, &ones(1000), &cancel).await.unwrap();
            let error = session.read(&first, "y").await.unwrap_err();
            assert_eq!(error.code, "graph.output");
            assert!(error.cause.contains("another plan"), "{error}");
            assert_eq!(session.read(&second, "y").await.unwrap(), Value::F32(vec![3.0; 1000]));
            session.run(&first, &bindings, &ones(100), &cancel).await.unwrap();
            assert_eq!(session.read(&first, "y").await.unwrap(), Value::F32(vec![2.0; 100]));

            // Inputs that do not fit stop a run before it starts: the last one's outputs stay.
            session.run(&first, &bindings, &ones(7), &cancel).await.unwrap_err();
            session.read(&first, "y").await.unwrap();
        });
    }
}

/// Slots are reused: a long chain holds a few buffers, not one per node, and computes the same.
#[test]
fn a_chain_reuses_its_buffers() {
    let mut g = Graph::new();
    let x = g.input("x", [1000], DType::F32);
    let mut y = x;
    for i in 0..50 {
        let next = g.affine(y, 0.5, i as f32).unwrap();
        y = g.add(next, y).unwrap();
    }
    g.output("y", y);
    let cpu = Cpu::new(Mode::Exact);
    let store = Rc::new(cpu.allocate_weights(&[]).unwrap());
    let mut session = cpu.session(Class::Picture);
    let plan = block_on(session.compile(&g, &store, &Cancel::new())).unwrap();
    assert!(cpu.memory_bytes() <= 4 * 4000, "{} bytes", cpu.memory_bytes());
    drop(plan);
    let wanted = (0..50).fold(1.0f32, |y, i| (y * 0.5 + i as f32) + y);
    let got = run(Mode::Exact, &g, &[], &[], &[("x", Value::F32(vec![1.0; 1000]))]).unwrap().remove(0);
    assert_eq!(got, Value::F32(vec![wanted; 1000]));
}

#[test]
fn refusals_name_what_is_wrong() {
    block_on(async {
        let cpu = Cpu::new(Mode::Fast);
        let g = linear_graph(DType::Q8_0, 2, 64, 3);
        let cancel = Cancel::new();
        let code = |error: Error| error.code;
        let spec = |shape: &[usize], dtype: DType| WeightSpec { name: "w".into(), shape: shape.to_vec(), dtype };

        let store = cpu.allocate_weights(&g.weights).unwrap();
        for (name, first, len) in [("v", 0, 68), ("w", 0, 67), ("w", 3, 68), ("w", 2, 136), ("w", usize::MAX, 68)] {
            let error = cpu.write_rows(&store, name, first, &vec![0; len]).await.unwrap_err();
            assert_eq!(error.code, "graph.weight", "{name} {first} {len}");
        }
        assert_eq!(
            code(cpu.allocate_weights(&[g.weights[0].clone(), g.weights[0].clone()]).err().unwrap()),
            "graph.weight"
        );
        assert_eq!(code(cpu.allocate_weights(&[spec(&[3], DType::U32)]).err().unwrap()), "graph.weight");

        for specs in [vec![], vec![spec(&[3, 32], DType::Q8_0)], vec![spec(&[3, 64], DType::Q4_0)]] {
            let store = Rc::new(cpu.allocate_weights(&specs).unwrap());
            let error = cpu.session(Class::Picture).compile(&g, &store, &cancel).await.err().unwrap();
            assert_eq!(error.code, "graph.weight", "{error}");
            assert!(error.cause.contains('w'), "{error}");
        }

        let store = Rc::new(store);
        let mut session = cpu.session(Class::Picture);
        let plan = session.compile(&g, &store, &cancel).await.unwrap();
        let bindings = Bindings::new(&g, &[]).unwrap();
        let x = || Value::F32(vec![0.0; 128]);
        let wrong: [Vec<(&str, Value)>; 5] = [
            vec![],
            vec![("x", Value::F32(vec![0.0; 127]))],
            vec![("x", Value::U32(vec![0; 128]))],
            vec![("x", x()), ("x", x())],
            vec![("x", x()), ("y", x())],
        ];
        for inputs in wrong {
            let error = session.run(&plan, &bindings, &inputs, &cancel).await.unwrap_err();
            assert_eq!(error.code, "graph.input", "{error}");
        }
        assert_eq!(code(session.read(&plan, "y").await.unwrap_err()), "graph.output");
        session.run(&plan, &bindings, &[("x", x())], &cancel).await.unwrap();
        assert_eq!(code(session.read(&plan, "z").await.unwrap_err()), "graph.output");
        assert_eq!(code(session.read_state("s").await.unwrap_err()), "graph.state");
        assert_eq!(code(session.write_state("s", &x()).unwrap_err()), "graph.state");
        assert_eq!(code(cpu.session(Class::Picture).read(&plan, "y").await.unwrap_err()), "graph.plan");

        // States of one name and two shapes.
        let stateful = |rows: usize| {
            let mut g = Graph::new();
            let state = g.state("s", &[rows, 2]).unwrap();
            let (start, len) = (g.symbol("start", 9), g.symbol("len", 9));
            let part = g.slice(state, 0, Index::Symbol(start), len).unwrap();
            let inner = g.slice(part, 1, Index::Symbol(start), 1).unwrap();
            g.output("part", part);
            g.output("inner", inner);
            g
        };
        let four = stateful(4);
        let plan = session.compile(&four, &store, &cancel).await.unwrap();
        assert_eq!(code(session.compile(&stateful(5), &store, &cancel).await.err().unwrap()), "graph.state");
        assert_eq!(code(session.write_state("s", &x()).unwrap_err()), "graph.state");
        for (start, len) in [(1, 4), (9, 1), (2, 1)] {
            let bindings = Bindings::new(&four, &[("start", start), ("len", len)]).unwrap();
            let error = session.run(&plan, &bindings, &[], &cancel).await.unwrap_err();
            assert_eq!(error.code, "graph.binding", "{start} {len}: {error}");
        }
        // Bindings of another graph.
        let error = session.run(&plan, &Bindings::new(&g, &[]).unwrap(), &[], &cancel).await.unwrap_err();
        assert_eq!(error.code, "graph.binding");
        let mut wider = Graph::new();
        wider.symbol("start", 100);
        wider.symbol("len", 100);
        let bindings = Bindings::new(&wider, &[("start", 50), ("len", 50)]).unwrap();
        assert_eq!(code(session.run(&plan, &bindings, &[], &cancel).await.unwrap_err()), "graph.binding");

        let stopped = Cancel::new();
        stopped.cancel();
        assert!(session.compile(&four, &store, &stopped).await.err().unwrap().is_cancelled());
    });
}

#[test]
fn states_read_past_their_write_are_refused() {
    let read_late = |read: &dyn Fn(&mut Graph, NodeId) -> NodeId| {
        let mut g = Graph::new();
        let state = g.state("s", &[2]).unwrap();
        let next = g.affine(state, 1.0, 1.0).unwrap();
        g.assign(state, next).unwrap();
        let again = read(&mut g, state);
        let y = g.affine(again, 1.0, 0.0).unwrap();
        g.output("y", y);
        for mode in MODES {
            assert_eq!(run(mode, &g, &[], &[], &[]).unwrap_err().code, "graph.state_order");
        }
    };
    read_late(&|_, state| state);
    // The same state, asked for again.
    read_late(&|g, _| g.state("s", &[2]).unwrap());
}

#[test]
fn the_oracle_is_exact_and_takes_states_as_zeros() {
    let mut rng = seeded(35);
    let mut g = linear_graph(DType::Q8_0, 2, 64, 3);
    let state = g.state("s", &[2, 3]).unwrap();
    let y = g.outputs[0].1;
    let sum = g.add(y, state).unwrap();
    let after = g.assign(state, sum).unwrap();
    g.output("after", after);
    let (bytes, w) = stored(DType::Q8_0, &floats(&mut rng, 3 * 64, -1.0, 1.0));
    let x = floats(&mut rng, 128, -1.0, 1.0);
    let (wanted, _) = product(&x, &w, (2, 64, 3), &x);
    for mode in MODES {
        let bindings = Bindings::new(&g, &[]).unwrap();
        let inputs = [("x", Value::F32(x.clone()))];
        let outputs = Cpu::new(mode).evaluate(&g, &bindings, &[("w", bytes.clone())], &inputs).unwrap();
        for output in outputs {
            assert_close("oracle", &output.into_f32().unwrap(), &wanted, 1e-5);
        }
    }
}
