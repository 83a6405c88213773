// y = f(a, b) with either side stretched: a stretched dimension has stride 0.

struct Params {
    dims: vec4<u32>,
    stride_a: vec4<u32>,
    stride_b: vec4<u32>,
    n: u32,
}

@auto var<storage, read> a: array<f32>;
@auto var<storage, read> b: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let position = coordinates(i, p.dims);
    let l = a[at(position, p.stride_a)];
    let r = b[at(position, p.stride_b)];
    y[i] = ${EXPRESSION};
}
