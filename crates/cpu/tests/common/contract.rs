//! What every executor promises alike, whatever it runs on: a suite that is generic over it.

use std::rc::Rc;

use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Session, Value};
use pollster::block_on;

const COLUMNS: usize = 4096;

/// `sum ← sum + x · wᵀ`, for a state `sum` of 8 numbers.
fn sums() -> Graph {
    let mut g = Graph::new();
    let x = g.input("x", [1, COLUMNS], DType::F32);
    let w = g.weight("w", &[8, COLUMNS], DType::F32).unwrap();
    let sum = g.state("sum", &[1, 8]).unwrap();
    let y = g.linear(x, w).unwrap();
    let y = g.add(sum, y).unwrap();
    let after = g.assign(sum, y).unwrap();
    g.output("after", after);
    g
}

/// Two sets of weights under the plans of one session: the plans share its states, and each set is freed with the last that
/// holds it.
pub fn weight_sets_go_one_by_one<E: Executor>(executor: &E) {
    block_on(async {
        let (g, cancel) = (sums(), Cancel::new());
        let before = executor.memory_bytes();
        let set_bytes = (8 * COLUMNS * 4) as u64;
        let load = async |value: f32| {
            let weights = executor.allocate_weights(&g.weights).unwrap();
            let row: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), COLUMNS).flatten().collect();
            for at in 0..8 {
                executor.write_rows(&weights, "w", at, &row).await.unwrap();
            }
            Rc::new(weights)
        };
        let (ones, threes) = (load(1.0).await, load(3.0).await);
        let mut session = executor.session(Class::Picture);
        let one = session.compile(&g, &ones, &cancel).await.unwrap();
        let arenas = executor.memory_bytes();
        let three = session.compile(&g, &threes, &cancel).await.unwrap();
        assert!(executor.memory_bytes() - arenas < set_bytes, "plans share the session's memory");
        let bindings = Bindings::new(&g, &[]).unwrap();
        // Powers of two: every order of summation gives the same.
        let inputs = [("x", Value::F32(vec![1.0 / COLUMNS as f32; COLUMNS]))];
        let step = async |session: &mut E::Session, plan: &<E::Session as Session>::Plan, expected: f32| {
            session.run(plan, &bindings, &inputs, &cancel).await.unwrap();
            assert_eq!(session.read(plan, "after").await.unwrap(), Value::F32(vec![expected; 8]));
        };
        step(&mut session, &one, 1.0).await;
        step(&mut session, &three, 4.0).await;
        step(&mut session, &one, 5.0).await;

        let both = executor.memory_bytes();
        drop(ones);
        assert_eq!(executor.memory_bytes(), both, "the plan holds its weights");
        drop(one);
        assert!(executor.memory_bytes() <= both - set_bytes, "{} of {both} bytes", executor.memory_bytes());
        step(&mut session, &three, 8.0).await;
        drop((session, three, threes));
        assert_eq!(executor.memory_bytes(), before);
    });
}
