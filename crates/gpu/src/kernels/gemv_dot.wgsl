// One row of int8 activations, with packed integer dot products.
#include "${INTERFACE}_interface.wgsl"

@auto var<storage, read> x: array<vec2<u32>>;
@auto var<storage, read> x_scales: array<vec2<f32>>;
#include "weight_${FORMAT}.wgsl"

fn sum8(a: vec2<u32>) -> f32 {
    return f32(dot4I8Packed(a.x, 0x01010101u) + dot4I8Packed(a.y, 0x01010101u));
}

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    let a = x[row * p.chunks + chunk];
    let v = packed8(column, chunk);
    let s = scale8(column, chunk);
    let xs = x_scales[(row * p.chunks + chunk) / 4u];
    let d = f32(dot4I8Packed(a.x, v.x) + dot4I8Packed(a.y, v.y));
#if MINIMUM
    return xs.x * (s.x * d + s.y * sum8(a));
#else
#if WIDE_GROUPS
    // The offset once a group, whose sum is known.
    return s * xs.x * select(d, d - ${OFFSET}.0 * xs.y, chunk % 4u == 0u);
#else
    return s * xs.x * (d - ${OFFSET}.0 * sum8(a));
#endif
#endif
}

#include "gemv_lanes.wgsl"
