//! What is held is counted for whoever holds it, and what would go over the budget is refused before it is had.

use std::rc::Rc;

use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Index, Session, StateOptions, Value};

const WIDTH: usize = 512;

/// A product, a state of that many rows, and a cache that grows.
fn graph(rows: usize) -> Graph {
    let mut g = Graph::new();
    let (past, len) = (g.symbol("past", 1 << 14), g.symbol("len", 1 << 14));
    let x = g.input("x", [1, WIDTH], DType::F32);
    let w = g.weight("w", &[WIDTH, WIDTH], DType::F32).unwrap();
    let y = g.linear(x, w).unwrap();
    let kept = g.state("kept", &[rows, WIDTH]).unwrap();
    let kept = g.write(kept, y, Index::Fixed(0)).unwrap();
    g.output("kept", kept);
    let cache = g.state_with("cache", &[1 << 14, WIDTH], StateOptions { growing: true, ..Default::default() }).unwrap();
    let cache = g.write(cache, y, Index::Symbol(past)).unwrap();
    let seen = g.slice(cache, 0, Index::Fixed(0), len).unwrap();
    let sum = g.sum(seen, 0).unwrap();
    g.output("sum", sum);
    g
}

/// Each session and each set of weights has an account of its own; the executor's is all of them, and nothing when they are gone.
pub fn each_owner_has_an_account<E: Executor>(executor: &E) {
    pollster::block_on(async {
        let before = executor.account().bytes();
        let g = graph(100);
        let weights = Rc::new(executor.allocate_weights(&g.weights).unwrap());
        let bytes = executor.weights_account(&weights).bytes();
        assert!(bytes >= (WIDTH * WIDTH * 4) as u64);
        let mut first = executor.session(Class::Token);
        let mut second = executor.session(Class::Picture);
        assert_eq!((first.account().bytes(), second.account().bytes()), (0, 0));
        let plan = first.compile(&g, &weights, &Cancel::new()).await.unwrap();
        let held = first.account().bytes();
        assert!(held >= ((100 + 256) * WIDTH * 4) as u64, "its states");
        assert_eq!(second.account().bytes(), 0);
        let other = second.compile(&graph(7), &weights, &Cancel::new()).await.unwrap();
        assert!(second.account().bytes() < held);
        assert_eq!(executor.weights_account(&weights).bytes(), bytes, "weights belong to no session");
        let all = || executor.account().bytes() - before;
        assert_eq!(all(), bytes + first.account().bytes() + second.account().bytes());
        // A cache that grows is its session's.
        let bindings = Bindings::new(&g, &[("past", 300), ("len", 301)]).unwrap();
        let inputs = [("x", Value::F32(vec![0.5; WIDTH]))];
        first.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
        assert_eq!(first.account().bytes(), held + (256 * WIDTH * 4) as u64);
        drop((first, plan));
        assert_eq!(all(), bytes + second.account().bytes());
        drop((second, other));
        assert_eq!(all(), bytes);
        drop(weights);
        assert_eq!(all(), 0);
    });
}

/// Of a budget that others have used up there is nothing left; what is there goes on, and there is room again when they go.
pub fn a_budget_is_for_all<E: Executor>(executor: &E, code: &str) {
    pollster::block_on(async {
        let g = graph(100);
        let weights = Rc::new(executor.allocate_weights(&g.weights).unwrap());
        let mut first = executor.session(Class::Token);
        let plan = first.compile(&g, &weights, &Cancel::new()).await.unwrap();
        executor.account().limit_to(Some(executor.account().bytes() + 100_000));

        let mut second = executor.session(Class::Token);
        let error = second.compile(&g, &weights, &Cancel::new()).await.err().expect("there is no room");
        assert_eq!(error.code, code);
        assert!(error.cause.contains(" MB") && error.cause.contains("taken"), "{error}");
        assert_eq!(second.account().bytes(), 0, "nothing of it was had");
        assert!(executor.allocate_weights(&g.weights).is_err());
        assert!(executor.check_weights(10_000_000).is_err() && executor.check_weights(1000).is_ok());

        // The first one runs as before, and is refused what does not fit.
        let inputs = [("x", Value::F32(vec![0.5; WIDTH]))];
        let bindings = |past: usize| Bindings::new(&g, &[("past", past), ("len", past + 1)]).unwrap();
        first.run(&plan, &bindings(10), &inputs, &Cancel::new()).await.unwrap();
        let error = first.run(&plan, &bindings(300), &inputs, &Cancel::new()).await.unwrap_err();
        assert_eq!((error.code, error.cause.contains("cache")), (code, true), "{error}");
        first.run(&plan, &bindings(11), &inputs, &Cancel::new()).await.unwrap();

        drop((first, plan));
        second.compile(&g, &weights, &Cancel::new()).await.unwrap();
        executor.account().limit_to(None);
    });
}
