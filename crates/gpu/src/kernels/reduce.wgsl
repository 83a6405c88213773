// x [outer, len, inner] over its middle dimension. One invocation a result: reductions on the hot path are fused kernels.

struct Params {
    n: u32,
    len: u32,
    inner: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let base = (i / p.inner) * p.len * p.inner + i % p.inner;
    var total = x[base];
    for (var j = 1u; j < p.len; j++) {
        let v = x[base + j * p.inner];
        total = ${EXPRESSION};
    }
    y[i] = total;
}
