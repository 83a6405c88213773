// What a convolution sees, as rows of a matrix that is never written: row = one pixel of the result, columns = the taps of
// its window, each with the channels there. Eight of them from column `chunk · 8`; zeros outside the picture. Channels come in eights.
#include "window.wgsl"

@auto var<storage, read> x: array<vec4<f32>>;

// Where the window looks for a chunk, and which channels there.
struct Tap {
    offset: vec2<i32>,
    quad: u32,
}

fn tap(chunk: u32) -> Tap {
    let number = shares(vec2<u32>(chunk), p.tap_share).x;
    return Tap(offset_of(number), (chunk - number * p.tap_chunks) * 2u);
}

fn x8(at: Place, t: Tap) -> mat2x4<f32> {
    let found = pixel_at(at, t.offset);
    let i = found.x / 4u + t.quad;
    let inside = found.y == 1u;
    return mat2x4<f32>(select(vec4<f32>(0.0), x[i], inside), select(vec4<f32>(0.0), x[i + 1u], inside));
}
