#include "attention_interface.wgsl"

// One invocation a query head; four to a workgroup, as many as SwiftShader has lanes.
const WG: u32 = 4u;
const COVERS_X: u32 = 4u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = workgroup_number(id, count) * COVERS_X + local;
    if (i >= p.rows * p.heads) {
        return;
    }
    let row = i / p.heads;
    let kv_head = (i % p.heads) / (p.heads / p.kv_heads);
    let stride = p.kv_heads * QUADS;
    let keys = seen(row);
    var query: array<vec4<f32>, QUADS>;
    var total: array<vec4<f32>, QUADS>;
    for (var d = 0u; d < QUADS; d++) {
        query[d] = q[i * QUADS + d] * p.scale;
        total[d] = vec4<f32>(0.0);
    }
    var most = -1e30;
    var sum = 0.0;
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
    for (var d = 0u; d < QUADS; d++) {
        y[i * QUADS + d] = total[d] / sum;
    }
}
