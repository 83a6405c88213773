// 4 bits: eight values are one word, the first four in the low nibbles of its bytes, the next four in the high ones, so that
// either half is four packed bytes.
@auto var<storage, read> w: array<u32>;

// Eight values, a byte each.
fn packed8(row: u32, chunk: u32) -> vec2<u32> {
    let v = w[row * p.chunks + chunk];
    return vec2<u32>(v & 0x0f0f0f0fu, (v >> 4u) & 0x0f0f0f0fu);
}

fn low_nibbles(v: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(v, v >> 8u, v >> 16u, v >> 24u) & vec4<u32>(15u))) - vec4<f32>(${OFFSET}.0);
}

fn raw8(row: u32, chunk: u32) -> mat2x4<f32> {
    let v = w[row * p.chunks + chunk];
    return mat2x4<f32>(low_nibbles(v), low_nibbles(v >> 4u));
}

fn raw1(row: u32, column: u32) -> f32 {
    let v = w[row * p.chunks + column / 8u] >> (8u * (column % 4u) + (column & 4u));
    return low_nibbles(v).x;
}

#include "scaled.wgsl"
