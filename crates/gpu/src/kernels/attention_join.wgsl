// What the workgroups of `attention_row.wgsl` left of one query's keys, together: a vector of y an invocation.

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
@auto var<uniform> p: Params;

#include "attention_pieces.wgsl"
#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
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
    y[i] = total / max(sum, 1e-30);
}
