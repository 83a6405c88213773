// What the workgroups of `attention_row.wgsl` left of one query's keys, together: a vector of y an invocation. INT8: as int8 too, what
// the product behind it reads.

struct Params {
    n: u32,
    // Vectors of four a head.
    quads: u32,
    keys: u32,
    window: u32,
    most_pieces: u32,
}

@auto var<storage, read> totals: array<vec4<f32>>;
@auto var<storage, read> marks: array<vec2<f32>>;
@auto var<storage, read_write> y: array<vec4<f32>>;
#if INT8
#include "int8.wgsl"
#endif
@auto var<uniform> p: Params;

#include "attention_pieces.wgsl"
const WG: u32 = 64u;
const COVERS_X: u32 = 64u;

fn joined(i: u32) -> vec4<f32> {
    let pieces = count_pieces(min(p.keys, p.window), p.most_pieces);
    let first = i / p.quads * pieces;
    var most = -1e30;
    for (var s = 0u; s < pieces; s++) {
        most = max(most, marks[first + s].x);
    }
    var total = vec4<f32>(0.0);
    var sum = 0.0;
    for (var s = 0u; s < pieces; s++) {
        let mark = marks[first + s];
        let weight = exp(mark.x - most);
        sum += mark.y * weight;
        total += totals[(first + s) * p.quads + i % p.quads] * weight;
    }
    // The sum is at least about one; nothing is seen where it is zero.
    return total / max(sum, 1e-30);
}

#if INT8
var<workgroup> tops: array<f32, WG>;
var<workgroup> sums: array<i32, WG>;
#endif

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = workgroup_number(id, count) * COVERS_X + local;
#if INT8
    // A group is eight neighbouring invocations, none or all of them past the end.
    let inside = i < p.n;
    var v = vec4<f32>(0.0);
    if (inside) {
        v = joined(i);
        y[i] = v;
    }
    tops[local] = largest(v);
    workgroupBarrier();
    let group = local / 8u * 8u;
    var most = 0.0;
    for (var t = 0u; t < 8u; t++) {
        most = max(most, tops[group + t]);
    }
    if (inside) {
        sums[local] = put_word(i, v, inverse_scale(most));
    }
    workgroupBarrier();
    if (inside && local == group) {
        var sum = 0;
        for (var t = 0u; t < 8u; t++) {
            sum += sums[group + t];
        }
        put_scale(i / 8u, most, sum);
    }
#else
    if (i < p.n) {
        y[i] = joined(i);
    }
#endif
}
