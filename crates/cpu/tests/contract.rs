//! The processor keeps the contract of executors, in both modes.

#[path = "common/contract.rs"]
#[macro_use]
mod contract;

use lantern_cpu::{Cpu, Mode};

fn each_mode(test: impl Fn(&Cpu)) {
    for mode in [Mode::Exact, Mode::Fast] {
        println!("{}", mode.name());
        test(&Cpu::new(mode));
    }
}

keeps_the_contract!(each_mode);
