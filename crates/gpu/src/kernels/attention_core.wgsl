#include "attention_interface.wgsl"

// One workgroup a query head, 64 keys a step: an invocation scores one key, then gathers one or more columns of v.
const WG: u32 = 64u;
const COVERS_X: u32 = 1u;
const COLUMNS: u32 = (HEAD_DIM + 63u) / 64u;

var<workgroup> query: array<f32, ${HEAD_DIM}>;
var<workgroup> weights: array<f32, 64>;
var<workgroup> tree: array<f32, 64>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // A workgroup past the end does the last head again: barriers want all of them.
    let i = min(workgroup_number(id, count), p.rows * p.heads - 1u);
    let row = i / p.heads;
    let kv_head = (i % p.heads) / (p.heads / p.kv_heads);
    let stride = p.kv_heads * HEAD_DIM;
    let seen = min(p.start + row + 1u, p.kv_len);
    for (var d = local; d < HEAD_DIM; d += WG) {
        query[d] = q[i * HEAD_DIM + d] * p.scale;
    }
    workgroupBarrier();
    var total: array<f32, COLUMNS>;
    for (var c = 0u; c < COLUMNS; c++) {
        total[c] = 0.0;
    }
    var most = -1e30;
    var sum = 0.0;
    for (var j0 = 0u; j0 < seen; j0 += WG) {
        let j = j0 + local;
        var score = -1e30;
        if (j < seen) {
            let base = j * stride + kv_head * HEAD_DIM;
            score = 0.0;
            for (var d = 0u; d < HEAD_DIM; d++) {
                score += query[d] * k[base + d];
            }
        }
        tree[local] = score;
        for (var half = WG / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (local < half) {
                tree[local] = max(tree[local], tree[local + half]);
            }
        }
        workgroupBarrier();
        let next = max(most, tree[0]);
        let shrink = exp(most - next);
        most = next;
        weights[local] = select(0.0, exp(score - most), j < seen);
        workgroupBarrier();
        sum *= shrink;
        for (var c = 0u; c < COLUMNS; c++) {
            total[c] *= shrink;
        }
        let keys = min(WG, seen - j0);
        for (var t = 0u; t < keys; t++) {
            let weight = weights[t];
            sum += weight;
            let base = (j0 + t) * stride + kv_head * HEAD_DIM;
            for (var c = 0u; c < COLUMNS; c++) {
                let d = c * WG + local;
                if (d < HEAD_DIM) {
                    total[c] += weight * v[base + d];
                }
            }
        }
        workgroupBarrier();
    }
    for (var c = 0u; c < COLUMNS; c++) {
        let d = c * WG + local;
        if (d < HEAD_DIM) {
            y[i * HEAD_DIM + d] = total[c] / sum;
        }
    }
}
