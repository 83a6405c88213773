// A block of up to four dimensions from one place and stride to another: permute, slice, pad, concat, broadcast, write.

struct Params {
    dims: vec4<u32>,
    source: vec4<u32>,
    to: vec4<u32>,
    n: u32,
    from_offset: u32,
    to_offset: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let position = coordinates(i, p.dims);
    y[p.to_offset + at(position, p.to)] = x[p.from_offset + at(position, p.source)];
}
