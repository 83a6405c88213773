// Products of one row with matrices that lie one behind the other, two rows of w at a time, and what is done with the two results:
// - as they are (TURNED): three matrices; of the first two, neighbouring results turn together (`rope.wgsl`), and the second's and
//   the third's go into rows of states;
// - else: two matrices, a gate and what it lets through: y = silu(x · gateᵀ) · (x · upᵀ); INT8: as int8 too.

struct Params {
    // Pairs.
    n: u32,
    rows: u32,
    chunks: u32,
    k: u32,
    x_base: u32,
#if TURNED
    // Pairs of the first matrix, and of the first two.
    queries: u32,
    keys_end: u32,
    half_dim: u32,
    position: u32,
    // Where the states' rows begin, in pairs.
    keys_to: u32,
    values_to: u32,
#endif
}

@auto var<uniform> p: Params;
#if TURNED
@auto var<storage, read_write> y: array<vec2<f32>>;
@auto var<storage, read> frequencies: array<f32>;
#if HALVES
@auto var<storage, read_write> keys: array<u32>;
@auto var<storage, read_write> values: array<u32>;
#include "half.wgsl"

fn stored(pair: vec2<f32>) -> u32 {
    return halves(pair);
}
#else
@auto var<storage, read_write> keys: array<vec2<f32>>;
@auto var<storage, read_write> values: array<vec2<f32>>;

fn stored(pair: vec2<f32>) -> vec2<f32> {
    return pair;
}
#endif
#include "turn.wgsl"
#else
@auto var<storage, read_write> y: array<f32>;
#if INT8
#include "int8_group.wgsl"

// A workgroup's results are a group.
var<workgroup> results: array<f32, 32>;

fn value4(i: u32) -> vec4<f32> {
    let at = i % 8u * 4u;
    return vec4<f32>(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
}
#endif

fn gated(sums: vec2<f32>) -> f32 {
    return sums.x / (1.0 + exp(-sums.x)) * sums.y;
}
#endif

alias Sum = vec2<f32>;

fn dots(row: u32, pair: u32, chunk: u32) -> Sum {
#if TURNED
    return vec2<f32>(dot8(row, 2u * pair, chunk), dot8(row, 2u * pair + 1u, chunk));
#else
    return vec2<f32>(dot8(row, pair, chunk), dot8(row, p.n + pair, chunk));
#endif
}

fn put(row: u32, pair: u32, sums: Sum) {
#if TURNED
    if (pair >= p.keys_end) {
        values[p.values_to + pair - p.keys_end] = stored(sums);
        return;
    }
    // Heads are whole runs of half_dim pairs.
    let turned = turn(sums, f32(p.position) * frequencies[pair % p.half_dim]);
    if (pair < p.queries) {
        y[pair] = turned;
    } else {
        keys[p.keys_to + pair - p.queries] = stored(turned);
    }
#else
    y[pair] = gated(sums);
#endif
}
