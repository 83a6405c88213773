// Pixel floor(i · in / out).
#include "resize_interface.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let at = coordinates(i, vec4<u32>(0u, p.out_height, p.out_width, p.channels));
    y[i] = pixel(at.x, at.y * p.height / p.out_height, at.z * p.width / p.out_width, at.w);
}
