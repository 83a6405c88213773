// 4 bits, without a minimum less 8: eight values are one word, the first four in the low nibbles of its bytes, the next four in
// the high ones, so that either half is four packed bytes.
@auto var<storage, read> w: array<u32>;

fn low_nibbles(v: u32) -> vec4<f32> {
    let q = vec4<f32>((vec4<u32>(v, v >> 8u, v >> 16u, v >> 24u) & vec4<u32>(15u)));
#if MINIMUM
    return q;
#else
    return q - vec4<f32>(8.0);
#endif
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
