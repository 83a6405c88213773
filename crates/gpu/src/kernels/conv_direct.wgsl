// A convolution in groups, or of a number of channels that does not come in eights (pictures, latents): one invocation four
// results of a pixel, each over its group's channels. For groups of one channel see `depthwise.wgsl`.
#include "product_interface.wgsl"
#include "window.wgsl"
@auto var<storage, read> x: array<f32>;
#include "weight_${FORMAT}.wgsl"

#include "each.wgsl"

fn each(i: u32) {
    let quads = (p.n + 3u) / 4u;
    if (i >= p.rows * quads) {
        return;
    }
    let row = i / quads;
    // Columns past the end are read from the last one and not written.
    let column = (i % quads) * 4u;
    let columns = min(vec4<u32>(column, column + 1u, column + 2u, column + 3u), vec4<u32>(p.n - 1u));
    let at = place(row);
    // A weight's row is kernel · channels of one group; `channels` counts those of the picture.
    let per_group = p.k / p.taps;
    let groups = p.channels / per_group;
    let first = (vec4<u32>(p.first) + columns) / vec4<u32>(p.n_total / groups) * per_group;
    var total = vec4<f32>(0.0);
    for (var t = 0u; t < p.taps; t++) {
        let found = pixel_at(at, offset_of(t));
        if (found.y == 1u) {
            for (var c = 0u; c < per_group; c++) {
                let seen = first + vec4<u32>(found.x + c);
                let k = t * per_group + c;
                total += vec4<f32>(x[seen.x], x[seen.y], x[seen.z], x[seen.w])
                    * vec4<f32>(w1(columns.x, k), w1(columns.y, k), w1(columns.z, k), w1(columns.w, k));
            }
        }
    }
    put4(row, column, total);
}
