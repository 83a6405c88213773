// A link of a chain: each dispatch reads what the one before it wrote, and has next to nothing to do. What a dispatch costs.

struct Params {
    n: u32,
}

@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i < p.n) {
        y[i] = fma(y[i], 0.5, 1.0);
    }
}
