// Dense rows of 16 bits, f16 or bfloat16, padded with zeros to chunks of eight.
@auto var<storage, read> w: array<vec4<u32>>;

fn widened(v: u32) -> vec2<f32> {
#if BF16
    return bitcast<vec2<f32>>(vec2<u32>(v << 16u, v & 0xffff0000u));
#else
    // Core WGSL: no f16 capability needed.
    return unpack2x16float(v);
#endif
}

fn weight8(row: u32, chunk: u32) -> mat2x4<f32> {
    let v = w[row * p.chunks + chunk];
    return mat2x4<f32>(vec4<f32>(widened(v.x), widened(v.y)), vec4<f32>(widened(v.z), widened(v.w)));
}

// One value.
fn w1(row: u32, column: u32) -> f32 {
    return widened(w[row * p.chunks + column / 8u][(column / 2u) % 4u])[column % 2u];
}

#include "dense.wgsl"
