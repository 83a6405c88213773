// What attention reads: queries [rows, heads, head_dim], keys and values [keys, kv_heads, head_dim].
@auto var<storage, read> q: array<vec4<f32>>;
#if HALVES
@auto var<storage, read> k: array<vec2<u32>>;
@auto var<storage, read> v: array<vec2<u32>>;
#else
@auto var<storage, read> k: array<vec4<f32>>;
@auto var<storage, read> v: array<vec4<f32>>;
#endif

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
