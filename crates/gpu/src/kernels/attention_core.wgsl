#include "attention_interface.wgsl"

// One workgroup a query head, 64 keys a step: an invocation scores one key, then gathers one vector of v's columns. With
// fewer vectors than invocations the rest share the keys out: invocation i takes vector i % QUADS and every SPLIT-th key.
// For a row or two; many rows would read the keys as often.
const WG: u32 = 64u;
const COVERS_X: u32 = 1u;
const COVERS_Y: u32 = 1u;
const SPLIT: u32 = WG / QUADS;
const LANES: u32 = WG;

#include "tree.wgsl"

var<workgroup> query: array<vec4<f32>, QUADS>;
var<workgroup> weights: array<f32, WG>;
var<workgroup> parts: array<vec4<f32>, WG>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // A workgroup past the end does the last head again: barriers want all of them.
    let i = min(workgroup_number(id, count), p.rows * p.heads - 1u);
    let row = i / p.heads;
    let head = i % p.heads;
    let kv_head = head / (p.heads / p.kv_heads);
    let stride = p.kv_heads * QUADS;
    let keys = seen(row);
    let at = head_at(row, head);
    if (local < QUADS) {
        query[local] = q[at + local] * p.scale;
    }
    workgroupBarrier();
    let quad = local % QUADS;
    let share = local / QUADS;
    let before = score_before(row, head);
    var total = vec4<f32>(0.0);
    if (local < QUADS) {
        total = total_before(at + local);
    }
    var most = before.x;
    var sum = before.y;
    for (var j0 = keys.x; j0 < keys.y; j0 += WG) {
        let j = j0 + local;
        var score = -1e30;
        if (j < keys.y) {
            let base = j * stride + kv_head * QUADS;
            var products = vec4<f32>(0.0);
            for (var d = 0u; d < QUADS; d++) {
                products += query[d] * four(k[base + d]);
            }
            score = products.x + products.y + products.z + products.w;
        }
        tree[local] = score;
        find_largest(local);
        workgroupBarrier();
        let next = max(most, tree[0]);
        let shrink = exp(most - next);
        most = next;
        weights[local] = select(0.0, exp(score - most), j < keys.y);
        workgroupBarrier();
        total *= shrink;
        sum *= shrink;
        let batch = min(WG, keys.y - j0);
        for (var t = 0u; t < batch; t++) {
            sum += weights[t];
        }
        if (share < SPLIT) {
            for (var t = share; t < batch; t += SPLIT) {
                total += weights[t] * four(v[(j0 + t) * stride + kv_head * QUADS + quad]);
            }
        }
        workgroupBarrier();
    }
    parts[local] = total;
    workgroupBarrier();
    if (local == 0u) {
        keep_score(row, head, most, sum);
    }
    if (local < QUADS) {
        for (var s = 1u; s < SPLIT; s++) {
            total += parts[s * QUADS + local];
        }
        put(at + local, total, sum);
    }
}
