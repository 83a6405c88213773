//! States that are stored as halves and grow in buckets. What is computed over them is held against primitives and other
//! executors elsewhere.

mod common;

use std::rc::Rc;

use common::{MODES, floats, seeded};
use half::f16;
use lantern_cpu::Cpu;
use lantern_graph::{
    BUCKET_ROWS, Bindings, Cancel, Class, DType, Dim, Executor, Graph, Index, Session, StateOptions, Value,
};
use pollster::block_on;

const BOUND: usize = 1000;

/// `rows` written from `start` on, and what stands before `len`.
fn cache(storage: DType) -> Graph {
    let mut g = Graph::new();
    let (rows, start, len) = (g.symbol("rows", 64), g.symbol("start", BOUND), g.symbol("len", BOUND));
    let x = g.input("x", [Dim::Symbol(rows), Dim::Fixed(2)], DType::F32);
    let state = g.state_with("s", &[BOUND, 2], StateOptions { storage, growing: true }).unwrap();
    let state = g.write(state, x, Index::Symbol(start)).unwrap();
    let seen = g.slice(state, 0, Index::Fixed(0), len).unwrap();
    g.output("seen", seen);
    g
}

/// One plan, whatever the length; the memory is that of the rows touched so far, in buckets, and is given back.
#[test]
fn a_state_grows_as_it_is_written() {
    let mut rng = seeded(40);
    for mode in MODES {
        for storage in [DType::F32, DType::F16] {
            block_on(async {
                let g = cache(storage);
                let cpu = Cpu::new(mode);
                let cancel = Cancel::new();
                let mut session = cpu.session(Class::Token);
                let plan = session.compile(&g, &Rc::default(), &cancel).await.unwrap();
                let fixed = cpu.memory_bytes() - (BUCKET_ROWS * 2 * 4) as u64;
                let mut expected = vec![0.0f32; 2 * BOUND];
                for (start, rows, room) in [(0, 3, 256), (200, 56, 256), (250, 7, 512), (998, 2, 1000), (4, 1, 1000)] {
                    let x = floats(&mut rng, 2 * rows, -9.0, 9.0);
                    let stored = x.iter().map(|x| if storage == DType::F16 { f16::from_f32(*x).to_f32() } else { *x });
                    expected.splice(2 * start..2 * (start + rows), stored);
                    let symbols = [("rows", rows), ("start", start), ("len", start + rows)];
                    let bindings = Bindings::new(&g, &symbols).unwrap();
                    session.run(&plan, &bindings, &[("x", Value::F32(x))], &cancel).await.unwrap();
                    let seen = session.read(&plan, "seen").await.unwrap();
                    assert_eq!(seen, Value::F32(expected[..2 * (start + rows)].to_vec()));
                    assert_eq!(cpu.memory_bytes(), fixed + room * 8, "{} rows from {start}", mode.name());
                }
                assert_eq!(session.read_state("s").await.unwrap(), Value::F32(expected));
                let past = Bindings::new(&g, &[("rows", 2), ("start", 999), ("len", 1)]).unwrap();
                let two = [("x", Value::F32(vec![0.0; 4]))];
                let error = session.run(&plan, &past, &two, &cancel).await.unwrap_err();
                assert_eq!(error.code, "graph.binding");
                // A graph that keeps the state another way does not share it.
                let other = if storage == DType::F16 { DType::F32 } else { DType::F16 };
                assert_eq!(
                    session.compile(&cache(other), &Rc::default(), &cancel).await.err().unwrap().code,
                    "graph.state"
                );
                drop((session, plan));
                assert_eq!(cpu.memory_bytes(), 0);
            });
        }
    }
}

#[test]
fn a_state_written_by_hand_is_rounded_too() {
    for mode in MODES {
        block_on(async {
            let g = cache(DType::F16);
            let cpu = Cpu::new(mode);
            let mut session = cpu.session(Class::Token);
            session.compile(&g, &Rc::default(), &Cancel::new()).await.unwrap();
            let values: Vec<f32> = (0..2 * BOUND).map(|i| i as f32 * 0.37 - 99.0).collect();
            session.write_state("s", &Value::F32(values.clone())).unwrap();
            let rounded = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
            assert_eq!(session.read_state("s").await.unwrap(), Value::F32(rounded));
            assert_eq!(session.write_state("s", &Value::F32(vec![0.0])).unwrap_err().code, "graph.state");
        });
    }
}
