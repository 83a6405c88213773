// Group norm, last pass: x · factor + offset, channel by channel, then SiLU where asked.

struct Params {
    n: u32,
    channels: u32,
    // Elements of one picture; where the factors of the first picture of this dispatch begin.
    picture: u32,
    first: u32,
    silu: u32,
    base: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read> factors: array<vec2<f32>>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let f = factors[(p.first + i / p.picture) * p.channels + i % p.channels];
    let v = x[p.base + i] * f.x + f.y;
    y[p.base + i] = select(v, v / (1.0 + exp(-v)), p.silu == 1u);
}
