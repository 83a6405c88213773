// One row of f32 activations.
#include "product_interface.wgsl"
#include "activations.wgsl"
#include "weight_${FORMAT}.wgsl"

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    return weigh8(column, chunk, x8(row, chunk));
}

#include "gemv_lanes.wgsl"
