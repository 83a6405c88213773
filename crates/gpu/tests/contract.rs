//! The GPU keeps the contract of executors, on every adapter and at every tier.

#[path = "../../cpu/tests/common/contract.rs"]
#[macro_use]
mod contract;

mod common;

use common::each_adapter_and_tier;

keeps_the_contract!(each_adapter_and_tier);
