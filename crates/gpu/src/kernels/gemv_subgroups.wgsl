// One row of x: a subgroup a column of w, whatever its size (4 to 128 lanes): the subgroups of a workgroup take turns. One that is
// wider than the workgroup has as many lanes as that.
#include "${INTERFACE}_interface.wgsl"
#include "gemv_f32.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 8u;
const COVERS_Y: u32 = 1u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) subgroup_size: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let row = min(g / tiles, p.rows - 1u);
    let lanes = min(subgroup_size, WG);
    let subgroups = WG / lanes;
    // The loop is the same for the whole workgroup: browsers refuse subgroup operations in control flow that is not.
    for (var turn = 0u; turn < COVERS_X; turn += subgroups) {
        let mine = turn + local / lanes;
        let column = (g % tiles) * COVERS_X + mine;
        let inside = mine < COVERS_X && column < p.n;
        var total: Sum;
        if (inside) {
            for (var c = lane; c < p.chunks; c += lanes) {
                total += dots(row, column, c);
            }
        }
        let sum = subgroupAdd(total);
        if (inside && lane == 0u) {
            put(row, column, sum);
        }
    }
}
