// Four words an invocation from one buffer to another: the bandwidth kernels are held against.

struct Params {
    n: u32,
}

@auto var<storage, read> x: array<vec4<u32>>;
@auto var<storage, read_write> y: array<vec4<u32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i < p.n) {
        y[i] = x[i];
    }
}
