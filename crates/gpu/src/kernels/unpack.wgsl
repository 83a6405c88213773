// Halves of a state, two to a word, as floats.

struct Params {
    pairs: u32,
}

@auto var<storage, read> x: array<u32>;
@auto var<storage, read_write> y: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.pairs) {
        return;
    }
    y[i] = unpack2x16float(x[i]);
}
