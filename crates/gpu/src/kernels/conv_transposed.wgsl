// The adjoint of a convolution in its picture: x [n, height, width, groups · per_group] from y [n, out_height, out_width,
// outs] through w [outs, kernel · per_group]. One invocation a result: the windows that saw it.

struct Params {
    n: u32,
    chunks: u32,
    k: u32,
    height: u32,
    width: u32,
    per_group: u32,
    groups: u32,
    outs: u32,
    out_height: u32,
    out_width: u32,
    kernel: vec2<u32>,
    stride: vec2<u32>,
    dilation: vec2<u32>,
    padding: vec2<u32>,
}

@auto var<uniform> p: Params;
@auto var<storage, read_write> x: array<f32>;
@auto var<storage, read> y: array<f32>;
#include "weight_${FORMAT}.wgsl"

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let channels = p.groups * p.per_group;
    let at = coordinates(i, vec4<u32>(0u, p.height, p.width, channels));
    let group = at.w / p.per_group;
    let outs = p.outs / p.groups;
    let padded = at.yz + p.padding;
    var total = 0.0;
    for (var t = 0u; t < p.kernel.x * p.kernel.y; t++) {
        let reach = vec2<u32>(t / p.kernel.y, t % p.kernel.y) * p.dilation;
        let from_corner = padded - reach;
        let window = from_corner / p.stride;
        // Wrapped around below zero, a window's number is too large to exist.
        let exact = all(window * p.stride == from_corner) && all(padded >= reach);
        if (exact && window.x < p.out_height && window.y < p.out_width) {
            let base = ((at.x * p.out_height + window.x) * p.out_width + window.y) * p.outs + group * outs;
            let k = t * p.per_group + at.w % p.per_group;
            for (var o = 0u; o < outs; o++) {
                let row = group * outs + o;
                total += y[base + o] * w1(row, k);
            }
        }
    }
    x[i] = total;
}
