// A picture, a word a pixel, onto a texture of its size whose colours are multiplied by alpha. Drawn, since every canvas can be
// drawn on; not every one can be written by a compute shader.

struct Params {
    stride: u32,
}

@group(0) @binding(0) var<storage, read> picture: array<u32>;
@group(0) @binding(1) var<uniform> p: Params;

// One triangle over everything.
@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    let far = vec2<f32>(vec2<u32>(i & 1u, i >> 1u)) * 4.0 - 1.0;
    return vec4<f32>(far, 0.0, 1.0);
}

@fragment
fn show(@builtin(position) place: vec4<f32>) -> @location(0) vec4<f32> {
    let at = vec2<u32>(place.xy);
    let word = picture[at.y * p.stride + at.x];
    let bytes = vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(255u);
    let v = vec4<f32>(bytes) / 255.0;
    return vec4<f32>(v.xyz * v.w, v.w);
}
