//! Sessions of one graphics device take turns.

#[path = "../../cpu/tests/common/turns.rs"]
mod turns;

mod common;

use std::rc::Rc;

use lantern_gpu::{Gpu, GpuOptions};

fn each_adapter(test: impl Fn(&Gpu)) {
    let _device = common::one_device();
    let mut adapters: Vec<String> = common::adapters_and_tiers().into_iter().map(|(name, _)| name).collect();
    adapters.dedup();
    for adapter in adapters {
        println!("{adapter}");
        let clock = Some(Rc::new(|| 0.0) as lantern_graph::Clock);
        let slice_flops = Some(turns::SLICE_FLOPS);
        let options = GpuOptions { adapter: Some(adapter), clock, slice_flops, ..Default::default() };
        test(&common::open(&options).expect("the adapter opens"));
    }
}

#[test]
fn a_picture_and_tokens_interleave() {
    each_adapter(turns::a_picture_and_tokens_interleave);
}

#[test]
fn a_frame_waits_for_one_slice() {
    each_adapter(turns::a_frame_waits_for_one_slice);
}

#[test]
fn stop_is_heard_while_waiting() {
    each_adapter(|gpu| turns::stop_is_heard_while_waiting(gpu, gpu.queue()));
}
