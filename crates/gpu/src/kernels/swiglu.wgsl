// silu(gate) · up.

struct Params {
    n: u32,
}

@auto var<storage, read> gate: array<f32>;
@auto var<storage, read> up: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let g = gate[i];
    y[i] = g / (1.0 + exp(-g)) * up[i];
}
