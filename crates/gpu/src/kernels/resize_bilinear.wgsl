// Between the two nearest pixels of each axis; centres lie at half pixels.
#include "resize_interface.wgsl"

// First pixel, second pixel, and the second one's share. The place is a fraction of 2 · out: in whole numbers, since an f32
// would round it.
fn sources(i: u32, length: u32, out: u32) -> vec3<f32> {
    let twice = max(i32((2u * i + 1u) * length) - i32(out), 0);
    let first = min(u32(twice) / (2u * out), length - 1u);
    let rest = u32(twice) - first * 2u * out;
    return vec3<f32>(f32(first), f32(min(first + 1u, length - 1u)), f32(rest) / f32(2u * out));
}

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let at = coordinates(i, vec4<u32>(0u, p.out_height, p.out_width, p.channels));
    let rows = sources(at.y, p.height, p.out_height);
    let columns = sources(at.z, p.width, p.out_width);
    let top = mix(
        pixel(at.x, u32(rows.x), u32(columns.x), at.w),
        pixel(at.x, u32(rows.x), u32(columns.y), at.w),
        columns.z,
    );
    let bottom = mix(
        pixel(at.x, u32(rows.y), u32(columns.x), at.w),
        pixel(at.x, u32(rows.y), u32(columns.y), at.w),
        columns.z,
    );
    y[i] = mix(top, bottom, rows.z);
}
