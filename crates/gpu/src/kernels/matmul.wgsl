// Batched a · b with free strides: transposed and broadcast operands are strides. One invocation a result: what it is for
// (gradients, small nets) is not the hot path; products with weights are `linear`.

struct Params {
    dims: vec4<u32>,     // batch, batch, m, n
    stride_a: vec4<u32>, // batch, batch, m, k
    stride_b: vec4<u32>, // batch, batch, k, n
    n: u32,
    k: u32,
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
    let c = coordinates(i, p.dims);
    var ia = at(vec4<u32>(c.xyz, 0u), p.stride_a);
    var ib = at(vec4<u32>(c.xy, 0u, c.w), p.stride_b);
    var total = 0.0;
    for (var j = 0u; j < p.k; j++) {
        total += a[ia] * b[ib];
        ia += p.stride_a.w;
        ib += p.stride_b.z;
    }
    y[i] = total;
}
