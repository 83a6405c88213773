// Adjacent pairs of x [rows, heads, head_dim] turned by (start + row) · frequency. One invocation a pair.

struct Params {
    pairs: u32,
    heads: u32,
    half_dim: u32,
    start: u32,
}

@auto var<storage, read> x: array<vec2<f32>>;
@auto var<storage, read> frequencies: array<f32>;
@auto var<storage, read_write> y: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"
#include "turn.wgsl"

fn each(i: u32) {
    if (i >= p.pairs) {
        return;
    }
    let row = i / (p.heads * p.half_dim);
    let angle = f32(p.start + row) * frequencies[i % p.half_dim];
    y[i] = turn(x[i], angle);
}
