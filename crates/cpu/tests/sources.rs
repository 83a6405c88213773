//! One definition of a network runs from weights, learns in states, and learns a low-rank delta over a quantized base.

#[path = "common/sources.rs"]
mod sources;

use lantern_cpu::{Cpu, Mode};
use lantern_graph::{DType, Value};
use lantern_models::{LowRank, Parameters};
use sources::{NETS, f32_weights, open, q8_weights, seeded};

const MODES: [Mode; 2] = [Mode::Exact, Mode::Fast];

#[test]
fn weights_and_states_give_the_same() {
    MODES.into_iter().for_each(|mode| sources::runs_from_either(&Cpu::new(mode), 1e-5));
}

#[test]
fn parameters_learn_in_states() {
    MODES.into_iter().for_each(|mode| sources::learns(&Cpu::new(mode), 25));
}

#[test]
fn a_delta_learns_over_a_quantized_base() {
    MODES.into_iter().for_each(|mode| sources::learns_a_delta(&Cpu::new(mode), 40));
}

#[test]
fn gradients_of_parameters_are_right() {
    sources::has_right_gradients(&Cpu::new(Mode::Exact), || Parameters::weights(&f32_weights).trained("*"));
}

#[test]
fn gradients_of_deltas_are_right() {
    let delta = || Parameters::weights(&q8_weights).low_rank("*", LowRank { rank: 3, alpha: 6.0 });
    sources::has_right_gradients(&Cpu::new(Mode::Exact), delta);
}

/// `W + α / r · B A` written out is what a layer with a delta computes, of every kind of layer.
#[test]
fn a_delta_is_the_sum_it_stands_for() {
    let mut rng = seeded(75);
    let (rank, alpha) = (3, 6.0);
    for net in &NETS {
        let (mut values, inputs) = (sources::values(net, &mut rng), (net.inputs)(&mut rng));
        let params = Parameters::weights(&f32_weights).low_rank("*", LowRank { rank, alpha });
        let graph = (net.build)(&params).unwrap();
        let states = params.states();
        let cpu = Cpu::new(Mode::Exact);
        pollster::block_on(async {
            let mut opened = open(&cpu, &graph, &values, &states).await;
            for state in &states {
                let count: usize = state.shape.iter().product();
                let numbers: Vec<f32> = (0..count).map(|_| rand::Rng::random_range(&mut rng, -0.3..0.3)).collect();
                lantern_graph::Session::write_state(&mut opened.session, &state.name, &Value::F32(numbers)).unwrap();
            }
            for (name, shape, values) in values.iter_mut().filter(|(_, shape, _)| shape.len() > 1) {
                let mut factor = async |part: &str| {
                    let name = format!("{name}.lora_{part}");
                    lantern_graph::Session::read_state(&mut opened.session, &name).await.unwrap().into_f32().unwrap()
                };
                let (a, b) = (factor("a").await, factor("b").await);
                let columns: usize = shape[1..].iter().product();
                for (i, value) in values.iter_mut().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let product: f32 = (0..rank).map(|r| b[row * rank + r] * a[r * columns + column]).sum();
                    *value += alpha / rank as f32 * product;
                }
            }
            let with_delta = opened.run(&inputs).await;
            let plain = (net.build)(&Parameters::weights(&f32_weights)).unwrap();
            let summed = open(&cpu, &plain, &values, &[]).await.run(&inputs).await;
            assert!((with_delta - summed).abs() < 1e-4 * summed.abs(), "{}: {with_delta}, {summed}", net.what);
        });
    }
}

/// A pattern chooses what learns: nothing else gets a state, and nothing else is changed.
#[test]
fn what_is_not_named_stays_a_weight() {
    let params = Parameters::weights(&q8_weights).low_rank("blk.*.attn_q.weight", LowRank { rank: 2, alpha: 2.0 });
    let (graph, states) = sources::learning(&NETS[1], &params);
    let names: Vec<&str> = states.iter().map(|state| &*state.name).collect();
    let wanted = [0, 1].map(|i| ["a", "b"].map(|part| format!("blk.{i}.attn_q.weight.lora_{part}"))).concat();
    assert_eq!(names, wanted);
    assert!(graph.weights.iter().any(|weight| weight.dtype == DType::Q8_0 && weight.name == "blk.0.attn_q.weight"));
    // Two moments of each, and two corrections.
    assert_eq!(graph.states.len(), 4 * 3 + 2);
}
