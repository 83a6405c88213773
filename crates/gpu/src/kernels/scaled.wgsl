// What kernels read of integer weights, from the integers alone: `raw8(row, chunk)` and `raw1(row, column)`.
#include "scales.wgsl"

#if MINIMUM
// Eight values.
fn weight8(row: u32, chunk: u32) -> mat2x4<f32> {
    let s = scale8(row, chunk);
    let v = raw8(row, chunk) * s.x;
    return mat2x4<f32>(v[0] + s.y, v[1] + s.y);
}

// Eight values times eight activations, added up: the minimum and the scale once.
fn weigh8(row: u32, chunk: u32, a: mat2x4<f32>) -> f32 {
    let v = raw8(row, chunk);
    let s = scale8(row, chunk);
    return s.x * (dot(v[0], a[0]) + dot(v[1], a[1])) + s.y * dot(a[0] + a[1], vec4<f32>(1.0));
}

// One value.
fn w1(row: u32, column: u32) -> f32 {
    let s = scale8(row, column / 8u);
    return raw1(row, column) * s.x + s.y;
}
#else
// Eight values.
fn weight8(row: u32, chunk: u32) -> mat2x4<f32> {
    return raw8(row, chunk) * scale8(row, chunk);
}

// Eight values times eight activations, added up: the scale once.
fn weigh8(row: u32, chunk: u32, a: mat2x4<f32>) -> f32 {
    let v = raw8(row, chunk);
    return scale8(row, chunk) * (dot(v[0], a[0]) + dot(v[1], a[1]));
}

// One value.
fn w1(row: u32, column: u32) -> f32 {
    return raw1(row, column) * scale8(row, column / 8u);
}
#endif
