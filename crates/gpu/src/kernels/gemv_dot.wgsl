// One row of int8 activations, with packed integer dot products.
#include "product_interface.wgsl"

@auto var<storage, read> x: array<vec2<u32>>;
@auto var<storage, read> x_scales: array<vec2<f32>>;
#if Q8
@auto var<storage, read> w: array<vec2<u32>>;
#else
@auto var<storage, read> w: array<u32>;
#endif
#include "scales.wgsl"

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    let a = x[row * p.chunks + chunk];
    let v = w[column * p.chunks + chunk];
    let s = scale8(column, chunk);
    let xs = x_scales[(row * p.chunks + chunk) / 4u];
#if Q8
    let d = dot4I8Packed(a.x, v.x) + dot4I8Packed(a.y, v.y);
#else
    let d = dot4I8Packed(a.x, v & 0x0f0f0f0fu) + dot4I8Packed(a.y, (v >> 4u) & 0x0f0f0f0fu);
#endif
#if MINIMUM
    let sum = dot4I8Packed(a.x, 0x01010101u) + dot4I8Packed(a.y, 0x01010101u);
    return xs.x * (s.x * f32(d) + s.y * f32(sum));
#else
#if Q8
    return s * xs.x * f32(d);
#else
    // The offset of 8, once a group.
    if (chunk % 4u == 0u) {
        return s * xs.x * (f32(d) - 8.0 * xs.y);
    }
    return s * xs.x * f32(d);
#endif
#endif
}

#include "gemv_lanes.wgsl"
