// y [out_height, out_width, channels] from a picture, a word a pixel: red in the lowest byte, then green, blue, alpha.
#include "frame_interface.wgsl"

@auto var<storage, read> picture: array<u32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn light(v: f32) -> f32 {
    return select(pow((v + 0.055) / 1.055, 2.4), v / 12.92, v <= 0.04045);
}

fn pixel(row: u32, column: u32) -> vec4<f32> {
    let word = picture[p.from_base + row * p.stride + column];
    let bytes = vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(255u);
    let v = vec4<f32>(bytes) / 255.0;
    var colour = v.xyz;
    if (p.linear == 1u) {
        colour = vec3<f32>(light(v.x), light(v.y), light(v.z));
    }
    if (p.alpha == 0u) {
        return vec4<f32>(colour, 1.0);
    }
    let other = select(vec3<f32>(0.0), vec3<f32>(p.red, p.green, p.blue), p.alpha == 1u);
    return vec4<f32>(colour * v.w + other * (1.0 - v.w), v.w);
}

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let mean = filtered(row_of(i), column_of(i));
    var colour = mean.xyz;
    let at = p.base + i * p.channels;
    if (p.alpha == 2u) {
        colour = select(vec3<f32>(0.0), colour / max(mean.w, 1e-30), mean.w > 0.0);
        y[at + 3u] = mean.w;
    }
    colour = p.black + colour * (p.white - p.black);
    y[at] = colour.x;
    y[at + 1u] = colour.y;
    y[at + 2u] = colour.z;
}
