// One row of x: LANES invocations along k for each of a few results, then a tree. Neighbours read neighbouring words. What eight
// columns of k add to a result is `dots(row, result, chunk)` of the interface, and that is `dot8` of the file that includes this.

const LANES: u32 = ${LANES}u;
const COVERS_X: u32 = ${RESULTS}u;
const WG: u32 = LANES * COVERS_X;
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
        var c = lane;
#if AHEAD
        // Several reads on their way at once: what a GPU waits for is memory.
        for (; c + 3u * LANES < p.chunks; c += 4u * LANES) {
            let near = dots(row, column, c) + dots(row, column, c + LANES);
            total += near + (dots(row, column, c + 2u * LANES) + dots(row, column, c + 3u * LANES));
        }
#endif
        for (; c < p.chunks; c += LANES) {
            total += dots(row, column, c);
        }
    }
    tree[local] = total;
    add_up(local);
    if (inside && lane == 0u) {
        put(row, column, tree[local]);
    }
#if INT8
    if (lane == 0u) {
        results[local / LANES] = gated(tree[local]);
    }
    workgroupBarrier();
    // Results are whole groups.
    if (inside && local == 0u) {
        put_group(g);
    }
#endif
}
