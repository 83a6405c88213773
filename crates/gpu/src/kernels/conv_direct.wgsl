// A convolution in groups, or of a number of channels that does not come in eights (pictures, latents): one invocation a
// result, over its group's channels. For groups of one channel see `depthwise.wgsl`.
#include "product_interface.wgsl"
#include "window.wgsl"
@auto var<storage, read> x: array<f32>;
#include "weight_${FORMAT}.wgsl"

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.rows * p.n) {
        return;
    }
    let row = i / p.n;
    let column = i % p.n;
    let at = place(row);
    // A weight's row is kernel · channels of one group; `channels` counts those of the picture.
    let groups = p.channels * p.taps / p.k;
    let per_group = p.channels / groups;
    let first = ((p.first + column) / (p.n_total / groups)) * per_group;
    var total = 0.0;
    for (var k = 0u; k < p.k; k++) {
        let found = pixel_at(at, offset_of(k / per_group));
        let v = select(0.0, x[found.x + first + k % per_group], found.y == 1u);
        total += v * raw8(column, k / 8u)[(k / 4u) % 2u][k % 4u] * scale8(column, k / 8u);
    }
    put(row, column, total);
}
