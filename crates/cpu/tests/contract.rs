//! The processor keeps the contract of executors, in both modes.

#[path = "common/contract.rs"]
mod contract;

use lantern_cpu::{Cpu, Mode};

fn each(test: impl Fn(&Cpu)) {
    for mode in [Mode::Exact, Mode::Fast] {
        println!("{}", mode.name());
        test(&Cpu::new(mode));
    }
}

#[test]
fn weight_sets_go_one_by_one() {
    each(contract::weight_sets_go_one_by_one);
}
