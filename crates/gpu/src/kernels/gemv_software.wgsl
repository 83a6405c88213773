// One row of x, one invocation a column of w, no barriers: for adapters that are a CPU, where a barrier costs more than the
// arithmetic between two.
#include "${INTERFACE}_interface.wgsl"
#include "gemv_f32.wgsl"

const WG: u32 = 16u;
const COVERS_X: u32 = 16u;
const COVERS_Y: u32 = 1u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let column = (g % tiles) * COVERS_X + local;
    let row = g / tiles;
    if (column >= p.n || row >= p.rows) {
        return;
    }
    var total: Sum;
    for (var c = 0u; c < p.chunks; c++) {
        total += dots(row, column, c);
    }
    put(row, column, total);
}
