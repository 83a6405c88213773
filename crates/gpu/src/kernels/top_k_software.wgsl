// A list an invocation: a heap of the k best so far with the worst on top, then taken apart from the worst up. A sorted
// list would move half of its entries for each new one.

#include "top_k_interface.wgsl"

const WG: u32 = 4u;
const COVERS_X: u32 = 4u;

var<private> heap: array<vec2<u32>, 64>;

// Puts `best` on top of the first `len` and restores the order.
fn sink(best: vec2<u32>, len: u32) {
    var at = 0u;
    loop {
        var child = 2u * at + 1u;
        if (child >= len) {
            break;
        }
        child += select(0u, 1u, child + 1u < len && is_better(heap[child], heap[min(child + 1u, 63u)]));
        if (!is_better(best, heap[child])) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = best;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let list = workgroup_number(id, count) * COVERS_X + local;
    if (list >= p.lists) {
        return;
    }
    let k = min(p.k, 64u);
    for (var i = 0u; i < k; i++) {
        heap[i] = NOTHING;
    }
    let start = first_column(list);
    let end = min(start + p.block, p.columns);
    let row = first_element(list);
    var worst = 0u;
    // Of equals those in the heap came first: most elements are no better than the worst of it, and go.
    for (var column = start; column < end; column++) {
        var key = 0u;
        if (p.is_first == 1u) {
            key = key_of(x[row + column]);
        } else {
            key = x[2u * (row + column)];
        }
        if (key > worst) {
            sink(vec2<u32>(key, place_of(row, column)), k);
            worst = heap[0].x;
        }
    }
    for (var len = k; len > 0u; len--) {
        put(list, len - 1u, heap[0]);
        sink(heap[len - 1u], len - 1u);
    }
}
