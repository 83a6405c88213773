//! What an adapter can do at all: kernels that no graph has.

use crate::kernel::{Described, Kernel, Test, Variant};

pub fn all() -> Vec<Kernel> {
    vec![Kernel::Bandwidth, Kernel::Arithmetic]
}

pub fn bandwidth() -> Described {
    let variants = vec![Variant::software("bench_copy.wgsl")];
    Described { name: "bandwidth".into(), variants, test: Test::Measures }
}

pub fn arithmetic() -> Described {
    let variants = vec![Variant::software("bench_fma.wgsl")];
    Described { name: "arithmetic".into(), variants, test: Test::Measures }
}
