// Activations to int8 in groups of 32 for `gemv_dot`: the words, and per group its f32 scale and the sum of its integers
// (which takes the offset out of 4-bit weights). One invocation a group.

struct Params {
    groups: u32,
}

@auto var<storage, read> x: array<vec4<f32>>;
@auto var<storage, read_write> words: array<u32>;
@auto var<storage, read_write> scales: array<vec2<f32>>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(g: u32) {
    if (g >= p.groups) {
        return;
    }
    var most = 0.0;
    for (var i = 0u; i < 8u; i++) {
        let v = abs(x[g * 8u + i]);
        most = max(most, max(max(v.x, v.y), max(v.z, v.w)));
    }
    let inverse = select(0.0, 127.0 / most, most > 0.0);
    var sum = 0;
    for (var i = 0u; i < 8u; i++) {
        let q = vec4<i32>(round(x[g * 8u + i] * inverse));
        sum += q.x + q.y + q.z + q.w;
        let bytes = vec4<u32>(q) & vec4<u32>(255u);
        words[g * 8u + i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    }
    scales[g] = vec2<f32>(most / 127.0, f32(sum));
}
