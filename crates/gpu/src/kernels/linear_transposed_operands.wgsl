// The operands of `product_tiled.wgsl` for the gradient of a linear layer's input: k is the weight's rows.
#include "linear_transposed_interface.wgsl"

fn sizes() -> vec3<u32> {
    return vec3<u32>(p.rows, p.k, p.n);
}

fn batches() -> u32 {
    return 1u;
}

fn left_goes_by_k() -> bool {
    return true;
}

fn left4(batch: u32, row: u32, k: u32) -> vec4<f32> {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(p.rows - 1u));
    let at = rows * p.n_total + p.first + k;
    return vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
}

fn right4(batch: u32, k: u32, column: u32) -> vec4<f32> {
    let w = weight8(k, min(column / 8u, p.chunks - 1u));
    return select(w[0], w[1], (column & 4u) == 4u);
}

fn put(batch: u32, row: u32, column: u32, value: f32) {
    add(row, column, value);
}
