// Grouped-query attention, softmax online (Milakov and Gimelshein 2018). q and y [rows, heads, head_dim], k and v
// [keys, kv_heads, head_dim]; row r stands at position start + r and sees the last `window` keys up to there.
//
// A dispatch may have a run of the rows, and of the keys. What a run of keys leaves for the next is in y, not yet divided by the
// sum of weights, and in `so_far`.

struct Params {
    rows: u32,
    heads: u32,
    kv_heads: u32,
    // Of the first row of the dispatch, as a symbol and what is added to it.
    start: u32,
    first_row: u32,
    keys: u32,
    scale: f32,
    window: u32,
    first_key: u32,
    end_key: u32,
    is_last: u32,
    // Where the bound parts of q and y begin, in elements, and of so_far, in pairs.
    base: u32,
    so_far_base: u32,
}

#include "attention_operands.wgsl"
@auto var<storage, read_write> y: array<vec4<f32>>;
// [rows, heads]: the largest score, and the sum of weights.
@auto var<storage, read_write> so_far: array<vec2<f32>>;
@auto var<uniform> p: Params;

// The keys of this run that a row sees: from the first to before the second.
fn seen(row: u32) -> vec2<u32> {
    let end = p.start + p.first_row + row + 1u;
    return vec2<u32>(max(end - min(end, p.window), p.first_key), min(min(end, p.keys), p.end_key));
}

// Where a head's vectors begin in q and y.
fn head_at(row: u32, head: u32) -> u32 {
    return p.base / 4u + (row * p.heads + head) * QUADS;
}

fn continues() -> bool {
    return p.first_key > 0u;
}

fn score_before(row: u32, head: u32) -> vec2<f32> {
    if (continues()) {
        return so_far[p.so_far_base + row * p.heads + head];
    }
    return vec2<f32>(-1e30, 0.0);
}

fn total_before(i: u32) -> vec4<f32> {
    if (continues()) {
        return y[i];
    }
    return vec4<f32>(0.0);
}

fn keep_score(row: u32, head: u32, most: f32, sum: f32) {
    if (p.is_last == 0u) {
        so_far[p.so_far_base + row * p.heads + head] = vec2<f32>(most, sum);
    }
}

// The sum of weights is at least about one; nothing is seen where it is zero.
fn put(i: u32, total: vec4<f32>, sum: f32) {
    y[i] = select(total, total / max(sum, 1e-30), p.is_last == 1u);
}
