// A picture, a word a pixel, from x [height, width, channels] of 1, 3 or 4 channels.
#include "frame_interface.wgsl"

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> picture: array<u32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn curve(v: f32) -> f32 {
    return select(1.055 * pow(max(v, 1e-6), 1.0 / 2.4) - 0.055, v * 12.92, v <= 0.0031308);
}

fn pixel(row: u32, column: u32) -> vec4<f32> {
    let at = p.from_base + (row * p.width + column) * p.channels;
    var v = vec4<f32>(x[at]);
    if (p.channels > 1u) {
        v.y = x[at + 1u];
        v.z = x[at + 2u];
    }
    let colour = (v.xyz - p.black) / (p.white - p.black);
    if (p.channels == 4u) {
        let alpha = clamp(x[at + 3u], 0.0, 1.0);
        return vec4<f32>(colour * alpha, alpha);
    }
    return vec4<f32>(colour, 1.0);
}

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let row = row_of(i);
    let mean = filtered(row, column_of(i));
    var v = mean;
    if (p.channels == 4u) {
        v = vec4<f32>(select(vec3<f32>(0.0), mean.xyz / max(mean.w, 1e-30), mean.w > 0.0), mean.w);
    } else {
        v.w = 1.0;
    }
    v = clamp(v, vec4<f32>(0.0), vec4<f32>(1.0));
    if (p.linear == 1u) {
        v = vec4<f32>(curve(v.x), curve(v.y), curve(v.z), v.w);
    }
    let bytes = vec4<u32>(floor(v * 255.0 + 0.5));
    picture[p.base + (i / p.out_width) * p.stride + i % p.out_width] =
        bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
