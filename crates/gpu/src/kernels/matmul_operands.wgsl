// The operands of `product_tiled.wgsl` where both are computed.
#include "matmul_interface.wgsl"

fn sizes() -> vec3<u32> {
    return vec3<u32>(p.dims.z, p.dims.w, p.k);
}

fn batches() -> u32 {
    return p.dims.x * p.dims.y;
}

fn left_goes_by_k() -> bool {
    return p.stride_a.w == 1u;
}

// Four rows of `a` at k.
fn left4(batch: u32, row: u32, k: u32) -> vec4<f32> {
    let base = (batch / p.dims.y) * p.stride_a.x + (batch % p.dims.y) * p.stride_a.y + k * p.stride_a.w;
    let at = vec4<u32>(base) + min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(p.dims.z - 1u)) * p.stride_a.z;
    return vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]);
}

// Four columns of `b` at k.
fn right4(batch: u32, k: u32, column: u32) -> vec4<f32> {
    let base = (batch / p.dims.y) * p.stride_b.x + (batch % p.dims.y) * p.stride_b.y + k * p.stride_b.z;
    let columns = min(vec4<u32>(column, column + 1u, column + 2u, column + 3u), vec4<u32>(p.dims.w - 1u));
    let at = vec4<u32>(base) + columns * p.stride_b.w;
    return vec4<f32>(b[at.x], b[at.y], b[at.z], b[at.w]);
}

fn put(batch: u32, row: u32, column: u32, value: f32) {
    y[(batch * p.dims.z + row) * p.dims.w + column] = value;
}
