// One row of f32 activations.
#include "product_interface.wgsl"
#include "activations.wgsl"
#include "weight_${FORMAT}.wgsl"

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    let v = raw8(column, chunk);
    let a = x8(row, chunk);
    return scale8(column, chunk) * (dot(v[0], a[0]) + dot(v[1], a[1]));
}

#include "gemv_lanes.wgsl"
