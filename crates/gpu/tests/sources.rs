//! The networks that learn on the CPU learn on the GPU, in states and in low-rank deltas over a quantized base.

#[path = "../../cpu/tests/common/sources.rs"]
mod sources;

mod common;

#[test]
fn weights_and_states_give_the_same() {
    common::each_adapter_and_tier(|gpu| sources::runs_from_either(gpu, 1e-3));
}

#[test]
fn parameters_learn_in_states() {
    common::each_adapter_and_tier(|gpu| sources::learns(gpu, 25));
}

#[test]
fn a_delta_learns_over_a_quantized_base() {
    common::each_adapter_and_tier(|gpu| sources::learns_a_delta(gpu, 40));
}
