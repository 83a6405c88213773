// Group norm, first pass: mean and sum of squared deviations of each part of a picture's pixels, per group of channels. Sums
// are taken from the part's first element, so that nothing cancels where the mean is far from zero.

struct Params {
    parts: u32,
    // Pixels of this dispatch, and of a part.
    pixels: u32,
    part_pixels: u32,
    channels: u32,
    groups: u32,
    first_part: u32,
    x_base: u32,
}

@auto var<storage, read> x: array<f32>;
// [parts, groups]: mean, sum of squared deviations.
@auto var<storage, read_write> y: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.parts * p.groups) {
        return;
    }
    let part = i / p.groups;
    let group = i % p.groups;
    let per_group = p.channels / p.groups;
    let first = part * p.part_pixels;
    let end = min(first + p.part_pixels, p.pixels);
    let origin = x[p.x_base + first * p.channels + group * per_group];
    var sum = 0.0;
    var squares = 0.0;
    for (var pixel = first; pixel < end; pixel++) {
        let base = p.x_base + pixel * p.channels + group * per_group;
        for (var c = 0u; c < per_group; c++) {
            let v = x[base + c] - origin;
            sum += v;
            squares += v * v;
        }
    }
    let count = f32((end - first) * per_group);
    let mean = sum / count;
    y[(p.first_part + part) * p.groups + group] = vec2<f32>(origin + mean, max(squares - sum * mean, 0.0));
}
