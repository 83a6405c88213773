#include "attention_interface.wgsl"

// One invocation a query head.
const WG: u32 = 1u;
const COVERS_X: u32 = 1u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>) {
    let i = workgroup_number(id, count);
    if (i >= p.rows * p.heads) {
        return;
    }
    let row = i / p.heads;
    let kv_head = (i % p.heads) / (p.heads / p.kv_heads);
    let stride = p.kv_heads * HEAD_DIM;
    let seen = min(p.start + row + 1u, p.kv_len);
    var query: array<f32, ${HEAD_DIM}>;
    var total: array<f32, ${HEAD_DIM}>;
    for (var d = 0u; d < HEAD_DIM; d++) {
        query[d] = q[i * HEAD_DIM + d] * p.scale;
        total[d] = 0.0;
    }
    var most = -1e30;
    var sum = 0.0;
    for (var j = 0u; j < seen; j++) {
        let base = j * stride + kv_head * HEAD_DIM;
        var score = 0.0;
        for (var d = 0u; d < HEAD_DIM; d++) {
            score += query[d] * k[base + d];
        }
        if (score > most) {
            let shrink = exp(most - score);
            sum *= shrink;
            for (var d = 0u; d < HEAD_DIM; d++) {
                total[d] *= shrink;
            }
            most = score;
        }
        let weight = exp(score - most);
        sum += weight;
        for (var d = 0u; d < HEAD_DIM; d++) {
            total[d] += weight * v[base + d];
        }
    }
    for (var d = 0u; d < HEAD_DIM; d++) {
        y[i * HEAD_DIM + d] = total[d] / sum;
    }
}
