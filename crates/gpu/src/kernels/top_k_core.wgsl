// A list a workgroup: Batcher's bitonic sort (1968, "Sorting networks and their applications") of the block in the
// workgroup's memory.

#include "top_k_interface.wgsl"

const WG: u32 = 256u;
const COVERS_X: u32 = 1u;
const CAPACITY: u32 = 1024u;

var<workgroup> block: array<vec2<u32>, 1024>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let list = min(workgroup_number(id, count), p.lists - 1u);
    let sorted = min(p.sorted, CAPACITY);
    for (var i = local; i < sorted; i += WG) {
        block[i] = candidate(list, i);
    }
    for (var size = 2u; size <= sorted; size *= 2u) {
        for (var step = size / 2u; step > 0u; step /= 2u) {
            workgroupBarrier();
            for (var i = local; i < sorted / 2u; i += WG) {
                let left = 2u * step * (i / step) + i % step;
                let right = left + step;
                let a = block[left];
                let b = block[right];
                // Runs of `size` are sorted down and up in turns, the last one down.
                if (is_better(b, a) == ((left & size) == 0u)) {
                    block[left] = b;
                    block[right] = a;
                }
            }
        }
    }
    workgroupBarrier();
    for (var i = local; i < p.k; i += WG) {
        put(list, i, select(NOTHING, block[min(i, CAPACITY - 1u)], i < sorted));
    }
}
