// Group norm, between the passes: the parts of each picture together (Chan, Golub and LeVeque 1979), as a factor and an
// offset per channel.

struct Params {
    n: u32,
    parts: u32,
    pixels: u32,
    part_pixels: u32,
    channels: u32,
    groups: u32,
    eps: f32,
}

@auto var<storage, read> x: array<vec2<f32>>;
@auto var<storage, read> weight: array<f32>;
@auto var<storage, read> bias: array<f32>;
// [pictures, channels]: factor, offset.
@auto var<storage, read_write> y: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let channel = i % p.channels;
    let per_group = p.channels / p.groups;
    let base = (i / p.channels) * p.parts * p.groups + channel / per_group;
    var count = 0.0;
    var mean = 0.0;
    var squares = 0.0;
    for (var part = 0u; part < p.parts; part++) {
        let v = x[base + part * p.groups];
        let more = f32(min(p.part_pixels, p.pixels - part * p.part_pixels) * per_group);
        let delta = v.x - mean;
        let share = more / (count + more);
        mean += delta * share;
        squares += v.y + delta * delta * count * share;
        count += more;
    }
    let factor = weight[channel] * inverseSqrt(squares / count + p.eps);
    y[i] = vec2<f32>(factor, bias[channel] - mean * factor);
}
