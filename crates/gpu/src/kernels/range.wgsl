// y[i] = start + i · step; step 0 fills.

struct Params {
    n: u32,
    start: u32,
    step: u32,
}

@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    y[i] = f32(p.start + i * p.step);
}
