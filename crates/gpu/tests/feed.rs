//! An output feeds the next run on the device, and is read while that one runs.

mod common;

use std::rc::Rc;

use common::each_adapter_and_tier;
use lantern_gpu::Tier;
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Session, Value};

/// The number that follows each.
const NEXT: [usize; 7] = [3, 5, 0, 6, 2, 4, 1];

/// `next` of `ids`, by a table with a one where it is.
fn follow() -> Graph {
    let mut graph = Graph::new();
    let one_hot = NEXT.iter().flat_map(|next| (0..7).map(move |i| f32::from(u8::from(i == *next))));
    let table = graph.constant([7, 7], &one_hot.collect::<Vec<f32>>()).unwrap();
    let ids = graph.input("ids", [1], DType::U32);
    let rows = graph.gather(table, ids).unwrap();
    let next = graph.argmax(rows).unwrap();
    graph.output("next", next);
    graph.output("rows", rows);
    graph
}

#[test]
fn an_output_feeds_the_next_run_and_is_read_while_it_runs() {
    each_adapter_and_tier(|gpu| {
        // It is the same at all of them.
        if gpu.tier() != Tier::Software {
            return;
        }
        pollster::block_on(async {
            let (graph, cancel) = (follow(), Cancel::new());
            let mut session = gpu.session(Class::Token);
            let plan = session.compile(&graph, &Rc::default(), &cancel).await.unwrap();
            let other = session.compile(&graph, &Rc::default(), &cancel).await.unwrap();
            let bindings = Bindings::new(&graph, &[]).unwrap();
            let first = [("ids", Value::U32(vec![2]))];
            session.run(&plan, &bindings, &first, &cancel).await.unwrap();
            for (what, to) in [("rows", "ids"), ("next", "nothing")] {
                let error = session.feed(&plan, what, &plan, to).err().unwrap();
                assert_eq!(error.code, "graph.input", "{what} to {to}: {error}");
            }
            let mut on_their_way = Vec::new();
            for i in 0..6 {
                // From plan to plan, as a prompt's feeds the first token's.
                let (from, to) = if i % 2 == 0 { (&plan, &other) } else { (&other, &plan) };
                let later = session.feed(from, "next", to, "ids").unwrap();
                on_their_way.push(later.expect("the device keeps its results"));
                session.run(to, &bindings, &[], &cancel).await.unwrap();
                let error = session.feed(from, "next", to, "ids").err().unwrap();
                assert_eq!(error.code, "graph.output", "another plan ran since: {error}");
            }
            let mut expected = 2;
            for later in on_their_way {
                expected = NEXT[expected];
                assert_eq!(later.await.unwrap(), Value::U32(vec![expected as u32]));
            }
            let last = session.read(&plan, "next").await.unwrap();
            assert_eq!(last, Value::U32(vec![NEXT[expected] as u32]));
            // What is given takes the place of what was fed.
            session.run(&plan, &bindings, &first, &cancel).await.unwrap();
            assert_eq!(session.read(&plan, "next").await.unwrap(), Value::U32(vec![0]));
        });
    });
}
