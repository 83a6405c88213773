// A convolution of each channel by itself: one invocation four channels of a pixel.
#include "product_interface.wgsl"
#include "window.wgsl"
@auto var<storage, read> x: array<vec4<f32>>;
// [channels, taps].
@auto var<storage, read> w: array<f32>;

#include "each.wgsl"

fn each(i: u32) {
    let quads = p.channels / 4u;
    if (i >= p.rows * quads) {
        return;
    }
    let row = i / quads;
    let channel = (i % quads) * 4u;
    let at = place(row);
    var total = vec4<f32>(0.0);
    for (var t = 0u; t < p.taps; t++) {
        let found = pixel_at(at, offset_of(t));
        let v = select(vec4<f32>(0.0), x[(found.x + channel) / 4u], found.y == 1u);
        let j = channel * p.taps + t;
        total += v * vec4<f32>(w[j], w[j + p.taps], w[j + 2u * p.taps], w[j + 3u * p.taps]);
    }
    put4(row, channel, total);
}
