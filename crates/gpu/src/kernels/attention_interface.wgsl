// Causal grouped-query attention, softmax online (Milakov and Gimelshein 2018). q [rows, heads, head_dim],
// k and v [kv_len, kv_heads, head_dim]; row r sees the keys up to position start + r.

struct Params {
    rows: u32,
    heads: u32,
    kv_heads: u32,
    start: u32,
    kv_len: u32,
    scale: f32,
}

@auto var<storage, read> q: array<vec4<f32>>;
@auto var<storage, read> k: array<vec4<f32>>;
@auto var<storage, read> v: array<vec4<f32>>;
@auto var<storage, read_write> y: array<vec4<f32>>;
@auto var<uniform> p: Params;

// Vectors of four a head.
const QUADS: u32 = ${QUADS}u;
