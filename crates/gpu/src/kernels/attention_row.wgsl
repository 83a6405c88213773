// One query of each head, softmax online (Milakov and Gimelshein 2018). A workgroup takes HEADS query heads that share a key head,
// and every so many-th block of keys: so few heads would leave most of a GPU idle ("Flash-Decoding", Dao et al. 2023). Keys and
// values are read once for its heads. Where there is one piece, y is the result; else y is left to the dispatch that joins.

struct Params {
    heads: u32,
    kv_heads: u32,
    // The query's position; it sees the last `window` keys up to there.
    start: u32,
    keys: u32,
    scale: f32,
    window: u32,
    most_pieces: u32,
    // Where one piece is all, it is not left to be joined.
    ends_alone: u32,
}

#include "attention_operands.wgsl"
@auto var<storage, read_write> y: array<vec4<f32>>;
// [heads, pieces, head_dim] sums of weighted values, and [heads, pieces]: the largest score, and the sum of weights.
@auto var<storage, read_write> totals_of: array<vec4<f32>>;
@auto var<storage, read_write> marks: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "attention_pieces.wgsl"

const WG: u32 = 256u;
const COVERS_X: u32 = 1u;
const HEADS: u32 = ${HEADS}u;
// Invocations to a key's score: neighbours read neighbouring vectors.
const LANES: u32 = WG / BLOCK;
// Parts that a head's scores are compared in.
const EIGHTHS: u32 = 8u;
// Invocations to a vector of v's columns: each takes every SHARES-th key.
const SHARES: u32 = WG / QUADS;

var<workgroup> queries: array<vec4<f32>, HEADS * QUADS>;
var<workgroup> products: array<f32, HEADS * WG>;
var<workgroup> weights: array<f32, HEADS * BLOCK>;
var<workgroup> tops: array<f32, HEADS * EIGHTHS>;
var<workgroup> folds: array<vec4<f32>, WG>;
var<workgroup> folded_sums: array<f32, WG>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = p.heads / p.kv_heads;
    let teams = (group + HEADS - 1u) / HEADS;
    let pieces = count_pieces(min(p.keys, p.window), p.most_pieces);
    // A workgroup past the end does the last piece again: barriers want all of them.
    let g = min(workgroup_number(id, count), p.kv_heads * teams * pieces - 1u);
    let piece = g % pieces;
    let kv_head = g / pieces / teams;
    let first = kv_head * group + g / pieces % teams * HEADS;
    let last = (kv_head + 1u) * group - 1u;
    let stride = p.kv_heads * QUADS;
    let base = kv_head * QUADS;
    let begin = p.start + 1u - min(p.start + 1u, p.window);
    let end = min(p.start + 1u, p.keys);

    for (var i = local; i < HEADS * QUADS; i += WG) {
        queries[i] = q[min(first + i / QUADS, last) * QUADS + i % QUADS] * p.scale;
    }
    workgroupBarrier();

    let key = local / LANES;
    let lane = local % LANES;
    // The score that this invocation keeps: one head's of one key.
    let own_head = min(local / BLOCK, HEADS - 1u);
    let own_key = local % BLOCK;
    let keeps = local < HEADS * BLOCK;
    let quad = local % QUADS;
    let share = local / QUADS;

    var own_most = -1e30;
    var most: array<f32, HEADS>;
    var sums: array<f32, HEADS>;
    var totals: array<vec4<f32>, HEADS>;
    for (var h = 0u; h < HEADS; h++) {
        most[h] = -1e30;
        sums[h] = 0.0;
        totals[h] = vec4<f32>(0.0);
    }
    for (var j0 = begin + piece * BLOCK; j0 < end; j0 += pieces * BLOCK) {
        var dots: array<f32, HEADS>;
        for (var h = 0u; h < HEADS; h++) {
            dots[h] = 0.0;
        }
        let at = min(j0 + key, end - 1u) * stride + base;
        for (var d = lane; d < QUADS; d += LANES) {
            let x = four(k[at + d]);
            for (var h = 0u; h < HEADS; h++) {
                dots[h] += dot(queries[h * QUADS + d], x);
            }
        }
        for (var h = 0u; h < HEADS; h++) {
            products[h * WG + local] = dots[h];
        }
        workgroupBarrier();
        var score = -1e30;
        if (keeps) {
            let i = own_head * WG + own_key * LANES;
            let sum = products[i] + products[i + 1u] + products[i + 2u] + products[i + 3u];
            score = select(-1e30, sum, j0 + own_key < end);
            weights[local] = score;
        }
        workgroupBarrier();
        if (local < HEADS * EIGHTHS) {
            var top = -1e30;
            for (var t = 0u; t < BLOCK / EIGHTHS; t++) {
                top = max(top, weights[local * (BLOCK / EIGHTHS) + t]);
            }
            tops[local] = top;
        }
        workgroupBarrier();
        for (var h = 0u; h < HEADS; h++) {
            var next = most[h];
            for (var t = 0u; t < EIGHTHS; t++) {
                next = max(next, tops[h * EIGHTHS + t]);
            }
            let shrink = exp(most[h] - next);
            most[h] = next;
            sums[h] *= shrink;
            totals[h] *= shrink;
        }
        for (var t = 0u; t < EIGHTHS; t++) {
            own_most = max(own_most, tops[own_head * EIGHTHS + t]);
        }
        if (keeps) {
            weights[local] = select(0.0, exp(score - own_most), j0 + own_key < end);
        }
        workgroupBarrier();
        if (share < SHARES) {
            let batch = min(BLOCK, end - j0);
            for (var t = share; t < batch; t += SHARES) {
                let x = four(v[(j0 + t) * stride + base + quad]);
                for (var h = 0u; h < HEADS; h++) {
                    let weight = weights[h * BLOCK + t];
                    sums[h] += weight;
                    totals[h] += weight * x;
                }
            }
        }
    }
    for (var h = 0u; h < HEADS; h++) {
        folds[local] = totals[h];
        folded_sums[local] = sums[h];
        workgroupBarrier();
        if (local < QUADS && first + h <= last) {
            var total = folds[local];
            var sum = folded_sums[local];
            for (var s = 1u; s < SHARES; s++) {
                total += folds[s * QUADS + local];
                sum += folded_sums[s * QUADS + local];
            }
            let head = first + h;
            if (pieces == 1u && p.ends_alone == 1u) {
                // The sum is at least about one; nothing is seen where it is zero.
                y[head * QUADS + local] = total / max(sum, 1e-30);
            } else {
                totals_of[(head * pieces + piece) * QUADS + local] = total;
                if (local == 0u) {
                    marks[head * pieces + piece] = vec2<f32>(most[h], sum);
                }
            }
        }
        workgroupBarrier();
    }
}
