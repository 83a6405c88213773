//! What an adapter can do at all: kernels that no graph has.

use crate::kernel::{Described, Kernel, Test, Variant};

pub fn all() -> Vec<Kernel> {
    vec![Kernel::Bandwidth, Kernel::Arithmetic, Kernel::Chain]
}

fn measures(name: &str, file: &'static str) -> Described {
    Described { name: name.into(), variants: vec![Variant::software(file)], test: Test::Measures }
}

pub fn bandwidth() -> Described {
    measures("bandwidth", "bench_copy.wgsl")
}

pub fn arithmetic() -> Described {
    measures("arithmetic", "bench_fma.wgsl")
}

pub fn chain() -> Described {
    measures("chain", "bench_chain.wgsl")
}
