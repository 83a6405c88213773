// y [n, out_height, out_width, channels] from x [n, height, width, channels].

struct Params {
    n: u32,
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

fn pixel(picture: u32, row: u32, column: u32, channel: u32) -> f32 {
    return x[((picture * p.height + row) * p.width + column) * p.channels + channel];
}

#include "each.wgsl"
