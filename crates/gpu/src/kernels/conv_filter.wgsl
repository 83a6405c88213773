// The adjoint of a convolution in its weight: w [outs, kernel, per_group] from x [pictures, height, width, channels] and y
// [pictures, out_height, out_width, outs]. One invocation a result, over all places of the window.

struct Params {
    n: u32,
    pictures: u32,
    height: u32,
    width: u32,
    per_group: u32,
    groups: u32,
    outs: u32,
    out_height: u32,
    out_width: u32,
    taps: u32,
    kernel: vec2<u32>,
    stride: vec2<u32>,
    dilation: vec2<u32>,
    padding: vec2<u32>,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read> y: array<f32>;
@auto var<storage, read_write> w: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let channels = p.groups * p.per_group;
    let out = i / (p.taps * p.per_group);
    let tap = (i / p.per_group) % p.taps;
    let channel = (out / (p.outs / p.groups)) * p.per_group + i % p.per_group;
    let reach = vec2<i32>(vec2<u32>(tap / p.kernel.y, tap % p.kernel.y) * p.dilation) - vec2<i32>(p.padding);
    var total = 0.0;
    for (var picture = 0u; picture < p.pictures; picture++) {
        for (var row = 0u; row < p.out_height; row++) {
            let seen_row = u32(i32(row * p.stride.x) + reach.x);
            if (seen_row >= p.height) {
                continue;
            }
            let x_row = (picture * p.height + seen_row) * p.width;
            let y_row = (picture * p.out_height + row) * p.out_width;
            for (var column = 0u; column < p.out_width; column++) {
                let seen = u32(i32(column * p.stride.y) + reach.y);
                let inside = seen < p.width;
                let v = x[(x_row + select(0u, seen, inside)) * channels + channel];
                total += select(0.0, v, inside) * y[(y_row + column) * p.outs + out];
            }
        }
    }
    w[i] = total;
}
