// What eight columns of k add to a result, from f32 activations.
#include "activations.wgsl"
#include "weight_${FORMAT}.wgsl"

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    return weigh8(column, chunk, x8(row, chunk));
}
