//! The graphics device's accounts and its budget.

#[path = "../../cpu/tests/common/memory.rs"]
mod memory;

mod common;

#[test]
fn each_owner_has_an_account() {
    common::each_adapter_and_tier(memory::each_owner_has_an_account);
}

#[test]
fn a_budget_is_for_all() {
    common::each_adapter_and_tier(|gpu| memory::a_budget_is_for_all(gpu, "gpu.memory"));
}
