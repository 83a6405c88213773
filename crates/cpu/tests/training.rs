//! A small net trains through the graph as it does through candle's autograd.

#[path = "common/tiny_net.rs"]
mod tiny_net;

use lantern_cpu::{Cpu, Mode};
use lantern_graph::{DType, Graph};
use lantern_models::adam::{AdamOptions, adam};

/// f32 sums in another order differ by some 10⁻⁶ of a gradient; a step carries at most ten times that (see `tiny_net`).
const TOLERANCE: f32 = 1e-5;

#[test]
fn exact_trains_as_candle_does() {
    tiny_net::trains(&Cpu::new(Mode::Exact), TOLERANCE);
}

/// Trained parameters are f32: nothing is rounded to int8.
#[test]
fn fast_trains_as_candle_does() {
    tiny_net::trains(&Cpu::new(Mode::Fast), TOLERANCE);
}

#[test]
fn only_states_are_trained() {
    let mut g = Graph::new();
    let x = g.input("x", [1], DType::F32);
    let loss = g.mul(x, x).unwrap();
    assert_eq!(adam(&mut g, loss, &[x], AdamOptions::default()).unwrap_err().code, "graph.grad");
}
