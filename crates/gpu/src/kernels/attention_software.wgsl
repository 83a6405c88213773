#include "attention_interface.wgsl"

// One invocation a query head; four to a workgroup, as many as SwiftShader has lanes: neighbouring rows of a head, which read the
// same keys.
const WG: u32 = 4u;
const COVERS_X: u32 = 4u;
const COVERS_Y: u32 = 1u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = workgroup_number(id, count) * WG + local;
    if (i >= p.rows * p.heads) {
        return;
    }
    let row = i % p.rows;
    let head = i / p.rows;
    let kv_head = head / (p.heads / p.kv_heads);
    let stride = p.kv_heads * QUADS;
    let keys = seen(row);
    let at = head_at(row, head);
    var query: array<vec4<f32>, QUADS>;
    var total: array<vec4<f32>, QUADS>;
    for (var d = 0u; d < QUADS; d++) {
        query[d] = q[at + d] * p.scale;
        total[d] = total_before(at + d);
    }
    let before = score_before(row, head);
    var most = before.x;
    var sum = before.y;
    for (var j = keys.x; j < keys.y; j++) {
        let base = j * stride + kv_head * QUADS;
        var products = vec4<f32>(0.0);
        for (var d = 0u; d < QUADS; d += ${STEP}u) {
            ${PRODUCTS}
        }
        let score = products.x + products.y + products.z + products.w;
        let next = max(most, score);
        let shrink = exp(most - next);
        let weight = exp(score - next);
        most = next;
        sum = sum * shrink + weight;
        for (var d = 0u; d < QUADS; d += ${STEP}u) {
            ${TOTALS}
        }
    }
    keep_score(row, head, most, sum);
    for (var d = 0u; d < QUADS; d++) {
        put(at + d, total[d], sum);
    }
}
