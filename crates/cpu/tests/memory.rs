//! The processor's accounts and its budget.

#[path = "common/memory.rs"]
mod memory;

use lantern_cpu::{Cpu, Mode};
use lantern_graph::{DType, Executor, WeightSpec};

#[test]
fn each_owner_has_an_account() {
    [Mode::Exact, Mode::Fast].into_iter().for_each(|mode| memory::each_owner_has_an_account(&Cpu::new(mode)));
}

#[test]
fn a_budget_is_for_all() {
    [Mode::Exact, Mode::Fast].into_iter().for_each(|mode| memory::a_budget_is_for_all(&Cpu::new(mode), "cpu.memory"));
}

/// In a page, weights have a ceiling: two models that fit one by one do not fit together.
#[test]
fn the_ceiling_of_weights_counts_all_models() {
    let spec = |rows| [WeightSpec { name: "w".into(), shape: vec![rows, 1024], dtype: DType::Q8_0 }];
    let cpu = Cpu::new(Mode::Fast).with_weight_limit(3_000_000);
    let first = cpu.allocate_weights(&spec(2048)).unwrap();
    assert_eq!(cpu.weights_account(&first).bytes(), 2048 * 32 * 34);
    let error = cpu.allocate_weights(&spec(1024)).err().expect("both are over the ceiling");
    assert_eq!((error.code, &*error.cause), ("cpu.ceiling", "the model takes 2 MB, and of 3 MB 3 are taken"));
    drop(first);
    cpu.allocate_weights(&spec(1024)).unwrap();
}
