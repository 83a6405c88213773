//! The GPU keeps the contract of executors, on every adapter and at every tier.

#[path = "../../cpu/tests/common/contract.rs"]
mod contract;

mod common;

use common::each_adapter_and_tier;

#[test]
fn weight_sets_go_one_by_one() {
    each_adapter_and_tier(contract::weight_sets_go_one_by_one);
}
