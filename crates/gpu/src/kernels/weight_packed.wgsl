// Integers of 2, 3, 5 or 6 bits. 32 values are as many words as they have bits: their low 2 bits (CRUMBS) or 4, then what is left
// of each (HIGH_BIT, HIGH_CRUMBS). A word's bytes have slots for some bits of four neighbours, so that four packed bytes are one
// shift and one mask.
@auto var<storage, read> w: array<u32>;

// Eight values, a byte each.
fn packed8(row: u32, chunk: u32) -> vec2<u32> {
    let t = row * p.chunks + chunk;
    let first = t / 4u * ${BITS}u;
    let i = t % 4u;
#if CRUMBS
    let low = vec2<u32>(w[first + i / 2u] >> (4u * (i % 2u)));
    var q = (low >> vec2<u32>(0u, 2u)) & vec2<u32>(0x03030303u);
#else
    let low = vec2<u32>(w[first + i]);
    var q = (low >> vec2<u32>(0u, 4u)) & vec2<u32>(0x0f0f0f0fu);
#endif
#if HIGH_BIT
    let high = vec2<u32>(w[first + ${LOW_BITS}u] >> (2u * i));
    q |= ((high >> vec2<u32>(0u, 1u)) & vec2<u32>(0x01010101u)) << vec2<u32>(${LOW_BITS}u);
#endif
#if HIGH_CRUMBS
    let high = vec2<u32>(w[first + ${LOW_BITS}u + i / 2u] >> (4u * (i % 2u)));
    q |= ((high >> vec2<u32>(0u, 2u)) & vec2<u32>(0x03030303u)) << vec2<u32>(${LOW_BITS}u);
#endif
    return q;
}

fn numbers(q: u32) -> vec4<f32> {
    return vec4<f32>(vec4<u32>(q, q >> 8u, q >> 16u, q >> 24u) & vec4<u32>(255u)) - vec4<f32>(${OFFSET}.0);
}

fn raw8(row: u32, chunk: u32) -> mat2x4<f32> {
    let q = packed8(row, chunk);
    return mat2x4<f32>(numbers(q.x), numbers(q.y));
}

fn raw1(row: u32, column: u32) -> f32 {
    return raw8(row, column / 8u)[(column / 4u) % 2u][column % 4u];
}

#include "scaled.wgsl"
