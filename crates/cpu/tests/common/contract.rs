//! What every executor promises alike, whatever it runs on, and how each misuse is met: one suite, generic over the executor.

use std::rc::Rc;

use lantern_graph::{
    BUCKET_ROWS, Bindings, Cancel, Class, DType, Dim, Error, Executor, Graph, Index, Result, Session, StateOptions,
    Value, WeightSpec,
};
use pollster::block_on;

/// A test of each promise. `$each` runs what it is given with every executor there is.
macro_rules! keeps_the_contract {
    ($each:path) => {
        keeps_the_contract! { $each:
            inputs_are_checked
            a_plan_belongs_to_its_session
            an_output_is_there_after_a_whole_run
            a_stopped_run_leaves_nothing_to_read
            symbols_stay_inside
            a_state_has_one_shape_and_storage
            weights_are_whole_rows_of_one_shape
            nodes_read_types_that_they_can
            leaves_may_be_outputs
            rows_of_a_file_go_into_a_state
            weight_sets_go_one_by_one
            plans_share_their_temporaries
        }
    };
    ($each:path: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $each(|executor| contract::$name(executor));
            }
        )*
    };
}

type PlanOf<E> = <<E as Executor>::Session as Session>::Plan;

/// A session with one plan in it, over weights of zeros.
async fn open<E: Executor>(executor: &E, graph: &Graph) -> Result<(E::Session, PlanOf<E>)> {
    let mut session = executor.session(Class::Picture);
    let weights = Rc::new(executor.allocate_weights(&graph.weights)?);
    let plan = session.compile(graph, &weights, &Cancel::new()).await?;
    Ok((session, plan))
}

async fn refused<E: Executor>(executor: &E, graph: &Graph) -> &'static str {
    code(open(executor, graph).await.map(|_| ()))
}

fn code<T>(outcome: Result<T>) -> &'static str {
    match outcome {
        Ok(_) => "nothing",
        Err(Error { code, cause, remedy }) => {
            assert!(!cause.is_empty() && !remedy.is_empty(), "{code} says what and what to do");
            code
        }
    }
}

fn none(graph: &Graph) -> Bindings {
    Bindings::new(graph, &[]).unwrap()
}

fn times(len: usize, by: f32) -> Graph {
    let mut g = Graph::new();
    let x = g.input("x", [len], DType::F32);
    let y = g.affine(x, by, 0.0).unwrap();
    g.output("y", y);
    g
}

pub fn inputs_are_checked<E: Executor>(executor: &E) {
    block_on(async {
        let mut g = Graph::new();
        let (x, ids) = (g.input("x", [2, 3], DType::F32), g.input("ids", [2], DType::U32));
        let unread = g.input("unread", [5], DType::F32);
        g.affine(unread, 2.0, 0.0).unwrap();
        let y = g.gather(x, ids).unwrap();
        g.output("y", y);
        let cancel = Cancel::new();
        let (mut session, plan) = open(executor, &g).await.unwrap();
        let x = || ("x", Value::F32((0..6).map(|i| i as f32).collect()));
        let ids = || ("ids", Value::U32(vec![1, 0]));
        let expected = Value::F32(vec![3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
        session.run(&plan, &none(&g), &[ids(), x()], &cancel).await.unwrap();
        assert_eq!(session.read(&plan, "y").await.unwrap(), expected);
        let wrong: [Vec<(&str, Value)>; 8] = [
            vec![],
            vec![x()],
            vec![x(), ids(), ("z", Value::F32(vec![]))],
            vec![x(), ids(), x()],
            vec![("x", Value::F32(vec![0.0; 5])), ids()],
            vec![("x", Value::U32(vec![0; 6])), ids()],
            vec![x(), ("ids", Value::F32(vec![1.0, 0.0]))],
            vec![x(), ids(), ("unread", Value::F32(vec![0.0; 4]))],
        ];
        for inputs in &wrong {
            assert_eq!(code(session.run(&plan, &none(&g), inputs, &cancel).await), "graph.input", "{inputs:?}");
            assert_eq!(session.read(&plan, "y").await.unwrap(), expected, "what was there to read still is");
        }
    });
}

pub fn a_plan_belongs_to_its_session<E: Executor>(executor: &E) {
    block_on(async {
        let mut g = times(4, 2.0);
        let state = g.state("s", &[4]).unwrap();
        let next = g.affine(state, 1.0, 1.0).unwrap();
        g.assign(state, next).unwrap();
        let (cancel, inputs) = (Cancel::new(), [("x", Value::F32(vec![1.0; 4]))]);
        let (mut session, plan) = open(executor, &g).await.unwrap();
        session.run(&plan, &none(&g), &inputs, &cancel).await.unwrap();
        // One session that has nothing, and one that has plans and states of its own.
        let mut empty = executor.session(Class::Picture);
        let (mut other, own) = open(executor, &times(1, 3.0)).await.unwrap();
        for stranger in [&mut empty, &mut other] {
            assert_eq!(code(stranger.run(&plan, &none(&g), &inputs, &cancel).await), "graph.plan");
            assert_eq!(code(stranger.read(&plan, "y").await), "graph.plan");
        }
        other.run(&own, &none(&g), &[("x", Value::F32(vec![1.0]))], &cancel).await.unwrap();
        assert_eq!(other.read(&own, "y").await.unwrap(), Value::F32(vec![3.0]));
        assert_eq!(session.read(&plan, "y").await.unwrap(), Value::F32(vec![2.0; 4]));
        assert_eq!(session.read_state("s").await.unwrap(), Value::F32(vec![1.0; 4]), "it ran once");
    });
}

pub fn an_output_is_there_after_a_whole_run<E: Executor>(executor: &E) {
    block_on(async {
        let (small, large) = (times(100, 2.0), times(1000, 3.0));
        let (cancel, stopped) = (Cancel::new(), Cancel::new());
        stopped.cancel();
        let ones = |len: usize| [("x", Value::F32(vec![1.0; len]))];
        let twos = Value::F32(vec![2.0; 100]);
        let (mut session, first) = open(executor, &small).await.unwrap();
        assert_eq!(code(session.read(&first, "y").await), "graph.output");
        session.run(&first, &none(&small), &ones(100), &cancel).await.unwrap();
        assert_eq!(code(session.read(&first, "z").await), "graph.output");
        // What does not begin takes nothing away, and neither does compiling.
        assert!(session.run(&first, &none(&small), &ones(100), &stopped).await.unwrap_err().is_cancelled());
        assert!(session.compile(&large, &Rc::default(), &stopped).await.err().unwrap().is_cancelled());
        let second = session.compile(&large, &Rc::default(), &cancel).await.unwrap();
        assert_eq!(code(session.read(&second, "y").await), "graph.output");
        assert_eq!(session.read(&first, "y").await.unwrap(), twos);
        assert_eq!(session.read(&first, "y").await.unwrap(), twos, "as often as one likes");
        // Another plan's run does.
        session.run(&second, &none(&large), &ones(1000), &cancel).await.unwrap();
        let error = session.read(&first, "y").await.unwrap_err();
        assert!(error.code == "graph.output" && error.cause.contains("another plan"), "{error}");
        assert_eq!(session.read(&second, "y").await.unwrap(), Value::F32(vec![3.0; 1000]));
        // The memory of a plan that is gone is not mistaken for another's.
        drop(second);
        let third = session.compile(&large, &Rc::default(), &cancel).await.unwrap();
        assert_eq!(code(session.read(&third, "y").await), "graph.output");
        session.run(&first, &none(&small), &ones(100), &cancel).await.unwrap();
        assert_eq!(session.read(&first, "y").await.unwrap(), twos);
    });
}

/// `y = x · wᵀ · wᵀ …`, of so many products of so many floating-point operations each.
fn products(rows: usize) -> Graph {
    let mut g = Graph::new();
    let mut y = g.input("x", [rows, 1024], DType::F32);
    let w = g.weight("w", &[1024, 1024], DType::F32).unwrap();
    for _ in 0..4 {
        y = g.linear(y, w).unwrap();
    }
    let count = g.state("count", &[1]).unwrap();
    let next = g.affine(count, 1.0, 1.0).unwrap();
    g.assign(count, next).unwrap();
    g.output("y", y);
    g
}

pub fn a_stopped_run_leaves_nothing_to_read<E: Executor>(executor: &E) {
    block_on(async {
        // A fast device does the first in a single slice, and is not stopped.
        for rows in [64, 1 << 12, 1 << 15] {
            let g = products(rows);
            let (mut session, plan) = open(executor, &g).await.unwrap();
            let inputs = [("x", Value::F32(vec![1.0; rows * 1024]))];
            let cancel = Cancel::new();
            let mut stop = |_, _| cancel.cancel();
            match session.run_reporting(&plan, &none(&g), &inputs, &cancel, &mut stop).await {
                Ok(()) => continue,
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
            assert_eq!(code(session.read(&plan, "y").await), "graph.output");
            session.read_state("count").await.unwrap();
            session.write_state("count", &Value::F32(vec![6.0])).unwrap();
            session.run(&plan, &none(&g), &inputs, &Cancel::new()).await.unwrap();
            assert_eq!(session.read(&plan, "y").await.unwrap(), Value::F32(vec![0.0; rows * 1024]));
            assert_eq!(session.read_state("count").await.unwrap(), Value::F32(vec![7.0]));
            return;
        }
        panic!("no run took more than a slice");
    });
}

pub fn symbols_stay_inside<E: Executor>(executor: &E) {
    block_on(async {
        let mut g = Graph::new();
        let (start, len, at) = (g.symbol("start", 9), g.symbol("len", 9), g.symbol("at", 9));
        let x = g.input("x", [4, 2], DType::F32);
        let part = g.slice(x, 0, Index::Symbol(start), len).unwrap();
        let state = g.state("s", &[6, 2]).unwrap();
        let after = g.write(state, x, Index::Symbol(at)).unwrap();
        g.output("part", part);
        g.output("after", after);
        let cancel = Cancel::new();
        let (mut session, plan) = open(executor, &g).await.unwrap();
        let inputs = [("x", Value::F32((1..=8).map(|i| i as f32).collect()))];
        let bind = |start, len, at| Bindings::new(&g, &[("start", start), ("len", len), ("at", at)]).unwrap();
        session.run(&plan, &bind(1, 2, 2), &inputs, &cancel).await.unwrap();
        let part = Value::F32(vec![3.0, 4.0, 5.0, 6.0]);
        assert_eq!(session.read(&plan, "part").await.unwrap(), part);
        for (start, len, at) in [(1, 4, 0), (9, 1, 0), (0, 9, 0), (0, 1, 3), (0, 1, 9)] {
            let error = session.run(&plan, &bind(start, len, at), &inputs, &cancel).await.unwrap_err();
            assert_eq!(error.code, "graph.binding", "{start} {len} {at}: {error}");
        }
        // Symbols of other graphs: fewer, and over the bound.
        let mut wider = Graph::new();
        for name in ["start", "len", "at"] {
            wider.symbol(name, 100);
        }
        let over = Bindings::new(&wider, &[("start", 0), ("len", 1), ("at", 50)]).unwrap();
        for bindings in [none(&Graph::new()), over] {
            assert_eq!(code(session.run(&plan, &bindings, &inputs, &cancel).await), "graph.binding");
        }
        assert_eq!(session.read(&plan, "part").await.unwrap(), part, "what was there to read still is");
        let state = session.read_state("s").await.unwrap().into_f32().unwrap();
        assert_eq!(state, [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    });
}

pub fn a_state_has_one_shape_and_storage<E: Executor>(executor: &E) {
    block_on(async {
        let keeping = |names: &[&str], rows: usize, options: StateOptions| {
            let mut g = Graph::new();
            for name in names {
                let state = g.state_with(name, &[rows, 2], options).unwrap();
                let next = g.affine(state, 1.0, 1.0).unwrap();
                g.assign(state, next).unwrap();
            }
            g
        };
        let plain = StateOptions::default();
        let cancel = Cancel::new();
        let (mut session, _plan) = open(executor, &keeping(&["s"], 4, plain)).await.unwrap();
        let others = [
            keeping(&["t", "s"], 5, plain),
            keeping(&["t", "s"], 4, StateOptions { storage: DType::F16, growing: false }),
            keeping(&["t", "s"], 4, StateOptions { storage: DType::F32, growing: true }),
        ];
        for other in &others {
            assert_eq!(code(session.compile(other, &Rc::default(), &cancel).await), "graph.state");
            assert_eq!(code(session.read_state("t").await), "graph.state", "a plan that is refused leaves no state");
        }
        assert_eq!(code(session.read_state("none").await), "graph.state");
        assert_eq!(code(session.write_state("none", &Value::F32(vec![0.0; 8]))), "graph.state");
        for wrong in [Value::F32(vec![0.0; 7]), Value::F32(vec![0.0; 9]), Value::U32(vec![0; 8])] {
            assert_eq!(code(session.write_state("s", &wrong)), "graph.state");
        }
        assert_eq!(session.read_state("s").await.unwrap(), Value::F32(vec![0.0; 8]));

        let mut late = Graph::new();
        let state = late.state("u", &[2]).unwrap();
        let next = late.affine(state, 1.0, 1.0).unwrap();
        late.assign(state, next).unwrap();
        let again = late.affine(state, 1.0, 0.0).unwrap();
        late.output("again", again);
        assert_eq!(code(session.compile(&late, &Rc::default(), &cancel).await), "graph.state_order");
    });
}

pub fn weights_are_whole_rows_of_one_shape<E: Executor>(executor: &E) {
    block_on(async {
        let spec = |shape: &[usize], dtype: DType| WeightSpec { name: "w".into(), shape: shape.to_vec(), dtype };
        let impossible = [
            vec![spec(&[3], DType::U32)],
            vec![spec(&[3, 0], DType::F32)],
            vec![spec(&[0, 3], DType::F32)],
            vec![spec(&[], DType::F32)],
            vec![spec(&[3, 33], DType::Q8_0)],
            vec![spec(&[3, 4], DType::F32), spec(&[3, 4], DType::F32)],
        ];
        for specs in &impossible {
            assert_eq!(code(executor.allocate_weights(specs)), "graph.weight", "{specs:?}");
        }
        let stored = executor.allocate_weights(&[spec(&[3, 64], DType::Q8_0)]).unwrap();
        for (name, first, len) in [("v", 0, 68), ("w", 0, 67), ("w", 3, 68), ("w", 2, 136), ("w", usize::MAX, 68)] {
            let outcome = executor.write_rows(&stored, name, first, &vec![0; len]).await;
            assert_eq!(code(outcome), "graph.weight", "{name} {first} {len}");
        }
        let mut g = Graph::new();
        let (x, w) = (g.input("x", [2, 64], DType::F32), g.weight("w", &[3, 64], DType::Q8_0).unwrap());
        let y = g.linear(x, w).unwrap();
        g.output("y", y);
        let mut session = executor.session(Class::Picture);
        for specs in [vec![], vec![spec(&[3, 32], DType::Q8_0)], vec![spec(&[3, 64], DType::Q4_0)]] {
            let weights = Rc::new(executor.allocate_weights(&specs).unwrap());
            let error = session.compile(&g, &weights, &Cancel::new()).await.err().unwrap();
            assert!(error.code == "graph.weight" && error.cause.contains('w'), "{error}");
            assert_eq!(code(session.peak_bytes(&g, &weights, &Cancel::new()).await), "graph.weight");
        }
    });
}

/// Whoever builds a graph is told so at once; whoever changes one afterwards, here.
pub fn nodes_read_types_that_they_can<E: Executor>(executor: &E) {
    block_on(async {
        let mut ids_added = times(4, 2.0);
        (ids_added.inputs[0].dtype, ids_added.nodes[0].dtype) = (DType::U32, DType::U32);

        let mut gathered_by_floats = Graph::new();
        let x = gathered_by_floats.input("x", [4, 2], DType::F32);
        let ids = gathered_by_floats.input("ids", [4], DType::U32);
        let y = gathered_by_floats.gather(x, ids).unwrap();
        gathered_by_floats.output("y", y);
        (gathered_by_floats.inputs[1].dtype, gathered_by_floats.nodes[1].dtype) = (DType::F32, DType::F32);

        let mut halves_added = Graph::new();
        let (x, w) = (halves_added.input("x", [4], DType::F32), halves_added.weight("w", &[4], DType::F32).unwrap());
        let y = halves_added.add(x, w).unwrap();
        halves_added.output("y", y);
        (halves_added.weights[0].dtype, halves_added.nodes[1].dtype) = (DType::F16, DType::F16);

        let mut blocks_read = Graph::new();
        let w = blocks_read.weight("w", &[2, 32], DType::Q8_0).unwrap();
        blocks_read.output("w", w);

        for (number, g) in [ids_added, gathered_by_floats, halves_added, blocks_read].iter().enumerate() {
            assert_eq!(refused(executor, g).await, "graph.dtype", "graph {number}");
        }
    });
}

/// Outputs that are inputs, constants, weights or the same node twice.
pub fn leaves_may_be_outputs<E: Executor>(executor: &E) {
    block_on(async {
        let mut g = Graph::new();
        let (x, ids) = (g.input("x", [3, 2], DType::F32), g.input("ids", [2], DType::U32));
        let c = g.constant([2], &[5.0, 6.0]).unwrap();
        let w = g.weight("w", &[2, 2], DType::F32).unwrap();
        let second = g.slice(x, 0, Index::Fixed(1), 1).unwrap();
        let state = g.state("s", &[2]).unwrap();
        let flat = g.reshape(c, [2, 1]).unwrap();
        let leaves = [("x", x), ("again", x), ("ids", ids), ("c", c), ("w", w), ("second", second), ("s", state)];
        for (name, node) in leaves.into_iter().chain([("flat", flat)]) {
            g.output(name, node);
        }
        let weights = executor.allocate_weights(&g.weights).unwrap();
        let bytes: Vec<u8> = [1f32, 2.0, 3.0, 4.0].into_iter().flat_map(f32::to_le_bytes).collect();
        executor.write_rows(&weights, "w", 0, &bytes).await.unwrap();
        let (mut session, cancel) = (executor.session(Class::Picture), Cancel::new());
        let plan = session.compile(&g, &Rc::new(weights), &cancel).await.unwrap();
        session.write_state("s", &Value::F32(vec![8.0, 9.0])).unwrap();
        let inputs = [("x", Value::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), ("ids", Value::U32(vec![7, 8]))];
        session.run(&plan, &none(&g), &inputs, &cancel).await.unwrap();
        let floats = |values: &[f32]| Value::F32(values.to_vec());
        for (name, expected) in [
            ("x", inputs[0].1.clone()),
            ("again", inputs[0].1.clone()),
            ("ids", inputs[1].1.clone()),
            ("c", floats(&[5.0, 6.0])),
            ("w", floats(&[1.0, 2.0, 3.0, 4.0])),
            ("second", floats(&[3.0, 4.0])),
            ("s", floats(&[8.0, 9.0])),
            ("flat", floats(&[5.0, 6.0])),
        ] {
            assert_eq!(session.read(&plan, name).await.unwrap(), expected, "{name}");
        }
    });
}

/// Parameters that are trained come out of files as weights do: by whole rows, in the types of numbers that files have.
pub fn rows_of_a_file_go_into_a_state<E: Executor>(executor: &E) {
    block_on(async {
        let halved = StateOptions { storage: DType::F16, growing: true };
        let rows = 2 * BUCKET_ROWS + 7;
        let mut g = Graph::new();
        let p = g.state("p", &[3, 2]).unwrap();
        let bias = g.state("bias", &[3]).unwrap();
        let cache = g.state_with("cache", &[rows, 2], halved).unwrap();
        let len = g.symbol("len", rows);
        let seen = g.slice(cache, 0, Index::Fixed(0), Dim::Symbol(len)).unwrap();
        let sum = g.affine(p, 1.0, 0.5).unwrap();
        let bias = g.affine(bias, 2.0, 0.0).unwrap();
        for (name, node) in [("sum", sum), ("bias", bias), ("seen", seen)] {
            g.output(name, node);
        }
        let (mut session, plan) = open(executor, &g).await.unwrap();
        let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let f16s =
            |values: &[f32]| values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
        let bf16s =
            |values: &[f32]| values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
        session.write_state_rows("p", 1, DType::BF16, &bf16s(&[3.0, -4.0])).unwrap();
        session.write_state_rows("p", 2, DType::F16, &f16s(&[5.5, 6.0])).unwrap();
        session.write_state_rows("p", 0, DType::F32, &f32s(&[0.1, 2.0])).unwrap();
        session.write_state_rows("bias", 0, DType::F32, &f32s(&[1.0, 2.0, 3.0])).unwrap();
        session.write_state_rows("cache", BUCKET_ROWS + 1, DType::F32, &f32s(&[7.0, 0.1, 1e9, -1.0])).unwrap();
        session.write_state_rows("p", 3, DType::F32, &[]).unwrap();
        let p = session.read_state("p").await.unwrap();
        assert_eq!(p, Value::F32(vec![0.1, 2.0, 3.0, -4.0, 5.5, 6.0]));

        // Over the end, before the first byte is written; not whole; of no row at all; in a type that is blocks.
        for (name, first, dtype, bytes) in [
            ("p", 2, DType::F32, 16),
            ("p", 0, DType::F32, 7),
            ("p", 0, DType::F16, 6),
            ("p", 4, DType::F32, 0),
            ("p", usize::MAX, DType::F32, 8),
            ("none", 0, DType::F32, 8),
        ] {
            let outcome = session.write_state_rows(name, first, dtype, &vec![1; bytes]);
            assert_eq!(code(outcome), "graph.state", "{name} {first} {bytes}");
        }
        for dtype in [DType::Q8_0, DType::U32] {
            assert_eq!(code(session.write_state_rows("p", 0, dtype, &[1; 68])), "graph.dtype");
        }
        assert_eq!(session.read_state("p").await.unwrap(), p);

        let bindings = Bindings::new(&g, &[("len", rows)]).unwrap();
        session.run(&plan, &bindings, &[], &Cancel::new()).await.unwrap();
        assert_eq!(session.read(&plan, "sum").await.unwrap(), Value::F32(vec![0.6, 2.5, 3.5, -3.5, 6.0, 6.5]));
        assert_eq!(session.read(&plan, "bias").await.unwrap(), Value::F32(vec![2.0, 4.0, 6.0]));
        let mut expected = vec![0.0; 2 * rows];
        let rounded = half::f16::from_f32(0.1).to_f32();
        expected[2 * (BUCKET_ROWS + 1)..][..4].copy_from_slice(&[7.0, rounded, 65504.0, -1.0]);
        assert_eq!(session.read(&plan, "seen").await.unwrap(), Value::F32(expected));
    });
}

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

pub fn plans_share_their_temporaries<E: Executor>(executor: &E) {
    block_on(async {
        let (small, large) = (times(100, 2.0), times(100_000, 3.0));
        let cancel = Cancel::new();
        let before = executor.memory_bytes();
        let (mut session, _plan) = open(executor, &small).await.unwrap();
        let alone = executor.memory_bytes() - before;
        let peak = session.peak_bytes(&large, &Rc::default(), &cancel).await.unwrap();
        assert!(peak >= 400_000, "{peak}");
        assert_eq!(executor.memory_bytes() - before, alone, "nothing is taken for the answer");
        let plan = session.compile(&large, &Rc::default(), &cancel).await.unwrap();
        let after = session.peak_bytes(&small, &Rc::default(), &cancel).await.unwrap();
        assert!(after >= 400_000, "the largest plan counts: {after}");
        drop(plan);
        let after = session.peak_bytes(&small, &Rc::default(), &cancel).await.unwrap();
        assert!(after < 400_000, "as long as it is there: {after}");
        drop((session, _plan));
        assert_eq!(executor.memory_bytes(), before);
    });
}
