// The gradient of a linear layer's input, one invocation eight results.
#include "linear_transposed_interface.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;
const COVERS_Y: u32 = 1u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.chunks + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let chunk = (g % tiles) * COVERS_X + local;
    let row = g / tiles;
    if (chunk >= p.chunks || row >= p.rows) {
        return;
    }
    var total = mat2x4<f32>();
    for (var j = 0u; j < p.n; j++) {
        total += weight8(j, chunk) * x[row * p.n_total + p.first + j];
    }
    for (var i = 0u; i < 8u; i++) {
        let column = chunk * 8u + i;
        if (column < p.k) {
            add(row, column, total[i / 4u][i % 4u]);
        }
    }
}
