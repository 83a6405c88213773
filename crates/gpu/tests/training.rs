//! The same small net that trains on the CPU trains on the GPU, step by step with candle's autograd, at every tier.

#[path = "../../cpu/tests/common/tiny_net.rs"]
mod tiny_net;

mod common;

#[test]
fn a_net_trains_as_candle_does() {
    // Shaders may be a few units in the last place off in exp, log and rsqrt (WGSL, accuracy of built-in functions).
    common::each_adapter_and_tier(|gpu| tiny_net::trains(gpu, 1e-3));
}
