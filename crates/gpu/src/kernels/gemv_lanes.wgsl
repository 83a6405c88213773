// One row of x: 16 invocations along k for each of 4 results, then a tree. Neighbours read neighbouring words. What eight columns
// of k add to a result is `dots(row, result, chunk)` of the interface, and that is `dot8` of the file that includes this.

const WG: u32 = 64u;
const LANES: u32 = 16u;
const COVERS_X: u32 = 4u;
const COVERS_Y: u32 = 1u;

#include "tree.wgsl"

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let row = g / tiles;
    let column = (g % tiles) * COVERS_X + local / LANES;
    let lane = local % LANES;
    let inside = column < p.n && row < p.rows;
    var total: Sum;
    if (inside) {
        for (var c = lane; c < p.chunks; c += LANES) {
            total += dots(row, column, c);
        }
    }
    tree[local] = total;
    add_up(local);
    if (inside && lane == 0u) {
        put(row, column, tree[local]);
    }
}
