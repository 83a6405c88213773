// A list a workgroup. An element's place in the list is how many of its block are better: each invocation counts that for
// one, and one barrier does. A sorting network would do less work and take dozens of barriers, which is no faster on
// adapters that emulate them.

#include "top_k_interface.wgsl"

const WG: u32 = 256u;
const COVERS_X: u32 = 1u;

var<workgroup> keys: array<u32, 256>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let list = min(workgroup_number(id, count), p.lists - 1u);
    let one = candidate(list, local);
    keys[local] = one.x;
    workgroupBarrier();
    // Of equals the first of a block has the lowest place: of numbers, and of lists in the order of their blocks.
    var better = 0u;
    for (var i = 0u; i < min(p.columns, WG); i++) {
        better += select(0u, 1u, keys[i] > one.x || (keys[i] == one.x && i < local));
    }
    if (better < p.k) {
        put(list, better, one);
    }
}
