// Rows into a state of halves, two to a word.

struct Params {
    pairs: u32,
    to_offset: u32,
}

@auto var<storage, read> x: array<vec2<f32>>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

#include "each.wgsl"
#include "half.wgsl"

fn each(i: u32) {
    if (i >= p.pairs) {
        return;
    }
    y[p.to_offset + i] = halves(x[i]);
}
