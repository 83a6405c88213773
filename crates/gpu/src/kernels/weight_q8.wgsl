// int8: eight values are two words.
@auto var<storage, read> w: array<vec2<u32>>;

// Eight values, a byte each.
fn packed8(row: u32, chunk: u32) -> vec2<u32> {
    return w[row * p.chunks + chunk];
}

// Bit shifts rather than `unpack4xI8`, which not every browser's WGSL has.
fn signed_bytes(v: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(v << 24u, v << 16u, v << 8u, v)) >> vec4<u32>(24u));
}

fn raw8(row: u32, chunk: u32) -> mat2x4<f32> {
    let v = w[row * p.chunks + chunk];
    return mat2x4<f32>(signed_bytes(v.x), signed_bytes(v.y));
}

fn raw1(row: u32, column: u32) -> f32 {
    let word = w[row * p.chunks + column / 8u][(column / 4u) % 2u];
    return f32(bitcast<i32>(word << (24u - 8u * (column % 4u))) >> 24u);
}

#include "scaled.wgsl"
