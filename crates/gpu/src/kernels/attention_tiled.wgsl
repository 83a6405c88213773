#include "attention_interface.wgsl"

// A workgroup a tile of queries that share a key head, neighbouring rows and the heads of a group: it reads keys and values once
// for all of them (Dao et al. 2022, "FlashAttention", arXiv 2205.14135), 64 keys a step. An invocation scores EACH queries
// against four keys, and gathers their COLUMNS vectors of v.
const WG: u32 = 64u;
const TILE: u32 = ${TILE}u;
const COVERS_X: u32 = ${TILE}u;
const COVERS_Y: u32 = 1u;
const EACH: u32 = TILE / 4u;
const COLUMNS: u32 = (QUADS + 15u) / 16u;
// Invocations to a query's weights.
const SHARES: u32 = WG / TILE;
// Vectors of a head that are fetched at once, and the distance of two of them in workgroup memory: other banks.
const DEPTH: u32 = 8u;
const KEYS: u32 = 65u;

var<workgroup> xs: array<vec4<f32>, 128>;
var<workgroup> ks: array<vec4<f32>, 520>;
var<workgroup> weights: array<f32, 1040>;
var<workgroup> parts: array<f32, 64>;
var<workgroup> mosts: array<f32, 16>;
var<workgroup> sums: array<f32, 16>;
var<workgroup> shrinks: array<f32, 16>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = p.heads / p.kv_heads;
    let queries = p.rows * group;
    let tiles = (queries + TILE - 1u) / TILE;
    // A workgroup past the end does the last key head again: barriers want all of them.
    let g = min(workgroup_number(id, count), tiles * p.kv_heads - 1u);
    let kv_head = g / tiles;
    let first = (g % tiles) * TILE;
    let last = min(first + TILE, queries) - 1u;
    let stride = p.kv_heads * QUADS;
    let begin = seen(first / group).x;
    let end = seen(last / group).y;

    // The query whose weights this invocation shares in, and the queries that it scores.
    let query = local / SHARES;
    let share = local % SHARES;
    let own = min(first + query, last);
    let own_row = own / group;
    let own_head = kv_head * group + own % group;
    let own_keys = seen(own_row);
    let lane = local % 16u;
    let mine = (local / 16u) * EACH;

    if (share == 0u) {
        let before = score_before(own_row, own_head);
        mosts[query] = before.x;
        sums[query] = before.y;
    }
    var total: array<vec4<f32>, EACH * COLUMNS>;
    for (var e = 0u; e < EACH; e++) {
        let t = min(first + mine + e, last);
        let at = head_at(t / group, kv_head * group + t % group);
        for (var c = 0u; c < COLUMNS; c++) {
            total[e * COLUMNS + c] = total_before(at + min(lane + 16u * c, QUADS - 1u));
        }
    }
    workgroupBarrier();

    for (var j0 = begin; j0 < end; j0 += WG) {
        var dots: array<vec4<f32>, EACH>;
        for (var e = 0u; e < EACH; e++) {
            dots[e] = vec4<f32>(0.0);
        }
        for (var d0 = 0u; d0 < QUADS; d0 += DEPTH) {
            for (var i = local; i < TILE * DEPTH; i += WG) {
                let t = min(first + i / DEPTH, last);
                let d = d0 + i % DEPTH;
                let x = q[head_at(t / group, kv_head * group + t % group) + min(d, QUADS - 1u)];
                xs[i] = select(vec4<f32>(0.0), x, d < QUADS);
            }
            for (var i = local; i < WG * DEPTH; i += WG) {
                let j = min(j0 + i / DEPTH, end - 1u);
                let d = min(d0 + i % DEPTH, QUADS - 1u);
                ks[(i % DEPTH) * KEYS + i / DEPTH] = four(k[j * stride + kv_head * QUADS + d]);
            }
            workgroupBarrier();
            for (var d = 0u; d < DEPTH; d++) {
                let k0 = ks[d * KEYS + lane];
                let k1 = ks[d * KEYS + lane + 16u];
                let k2 = ks[d * KEYS + lane + 32u];
                let k3 = ks[d * KEYS + lane + 48u];
                for (var e = 0u; e < EACH; e++) {
                    let x = xs[(mine + e) * DEPTH + d];
                    dots[e] += vec4<f32>(dot(x, k0), dot(x, k1), dot(x, k2), dot(x, k3));
                }
            }
            workgroupBarrier();
        }
        for (var e = 0u; e < EACH; e++) {
            for (var i = 0u; i < 4u; i++) {
                weights[(mine + e) * KEYS + lane + 16u * i] = dots[e][i] * p.scale;
            }
        }
        workgroupBarrier();

        var largest = -1e30;
        for (var t = share; t < WG; t += SHARES) {
            let inside = j0 + t >= own_keys.x && j0 + t < own_keys.y;
            largest = select(largest, max(largest, weights[query * KEYS + t]), inside);
        }
        parts[local] = largest;
        workgroupBarrier();
        let most = mosts[query];
        var next = most;
        for (var s = 0u; s < SHARES; s++) {
            next = max(next, parts[query * SHARES + s]);
        }
        workgroupBarrier();
        var sum = 0.0;
        for (var t = share; t < WG; t += SHARES) {
            let inside = j0 + t >= own_keys.x && j0 + t < own_keys.y;
            let weight = select(0.0, exp(weights[query * KEYS + t] - next), inside);
            weights[query * KEYS + t] = weight;
            sum += weight;
        }
        parts[local] = sum;
        workgroupBarrier();
        if (share == 0u) {
            let shrink = exp(most - next);
            sum = sums[query] * shrink;
            for (var s = 0u; s < SHARES; s++) {
                sum += parts[query * SHARES + s];
            }
            mosts[query] = next;
            sums[query] = sum;
            shrinks[query] = shrink;
        }
        workgroupBarrier();

        for (var e = 0u; e < EACH; e++) {
            for (var c = 0u; c < COLUMNS; c++) {
                total[e * COLUMNS + c] *= shrinks[mine + e];
            }
        }
        let batch = min(WG, end - j0);
        for (var t = 0u; t < batch; t++) {
            let at = (j0 + t) * stride + kv_head * QUADS;
            for (var c = 0u; c < COLUMNS; c++) {
                let value = four(v[at + min(lane + 16u * c, QUADS - 1u)]);
                for (var e = 0u; e < EACH; e++) {
                    total[e * COLUMNS + c] += weights[(mine + e) * KEYS + t] * value;
                }
            }
        }
        workgroupBarrier();
    }
    if (share == 0u && first + query <= last) {
        keep_score(own_row, own_head, mosts[query], sums[query]);
    }
    for (var e = 0u; e < EACH; e++) {
        let t = first + mine + e;
        for (var c = 0u; c < COLUMNS; c++) {
            let quad = lane + 16u * c;
            if (t <= last && quad < QUADS) {
                put(head_at(t / group, kv_head * group + t % group) + quad, total[e * COLUMNS + c], sums[mine + e]);
            }
        }
    }
}
