// The largest element under each window, channel by channel; what is outside the picture does not count.

struct Params {
    n: u32,
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    kernel: vec2<u32>,
    stride: vec2<u32>,
    padding: vec2<u32>,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let at = coordinates(i, vec4<u32>(0u, p.out_height, p.out_width, p.channels));
    let corner = vec2<i32>(at.yz * p.stride) - vec2<i32>(p.padding);
    let first = vec2<u32>(max(corner, vec2<i32>(0)));
    let end = min(vec2<u32>(corner + vec2<i32>(p.kernel)), vec2<u32>(p.height, p.width));
    var largest = x[((at.x * p.height + first.x) * p.width + first.y) * p.channels + at.w];
    for (var row = first.x; row < end.x; row++) {
        for (var column = first.y; column < end.y; column++) {
            largest = max(largest, x[((at.x * p.height + row) * p.width + column) * p.channels + at.w]);
        }
    }
    y[i] = largest;
}
