// Causal grouped-query attention, softmax online (Milakov and Gimelshein 2018). q [rows, heads, head_dim],
// k and v [kv_len, kv_heads, head_dim]; row r sees the last `window` keys up to position start + r.

struct Params {
    rows: u32,
    heads: u32,
    kv_heads: u32,
    start: u32,
    kv_len: u32,
    scale: f32,
    window: u32,
}

@auto var<storage, read> q: array<vec4<f32>>;
#if HALVES
@auto var<storage, read> k: array<vec2<u32>>;
@auto var<storage, read> v: array<vec2<u32>>;
#else
@auto var<storage, read> k: array<vec4<f32>>;
@auto var<storage, read> v: array<vec4<f32>>;
#endif
@auto var<storage, read_write> y: array<vec4<f32>>;
@auto var<uniform> p: Params;

// Vectors of four a head.
const QUADS: u32 = ${QUADS}u;

#if HALVES
fn four(halves: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
#else
fn four(floats: vec4<f32>) -> vec4<f32> {
    return floats;
}
#endif

// The keys a row sees: from the first to before the second.
fn seen(row: u32) -> vec2<u32> {
    let end = p.start + row + 1u;
    return vec2<u32>(end - min(end, p.window), min(end, p.kv_len));
}
