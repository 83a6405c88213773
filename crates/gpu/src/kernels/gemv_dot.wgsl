// One row of int8 activations with packed integer dot products: 16 invocations along k for each of 4 columns, then a tree.
#include "linear_interface.wgsl"

@auto var<storage, read> x: array<vec2<u32>>;
@auto var<storage, read> x_scales: array<vec2<f32>>;
#if Q8
@auto var<storage, read> w: array<vec2<u32>>;
#else
@auto var<storage, read> w: array<u32>;
#endif
@auto var<storage, read> scales: array<u32>;

const WG: u32 = 64u;
const LANES: u32 = 16u;
const COVERS_X: u32 = 4u;
const COVERS_Y: u32 = 1u;

var<workgroup> sums: array<f32, 64>;

fn dot8(row: u32, column: u32, chunk: u32) -> f32 {
    let a = x[row * p.chunks + chunk];
    let v = w[column * p.chunks + chunk];
    let group = (column * p.chunks + chunk) / 4u;
    let s = unpack2x16float(scales[group / 2u])[group % 2u];
    let xs = x_scales[(row * p.chunks + chunk) / 4u];
#if Q8
    return s * xs.x * f32(dot4I8Packed(a.x, v.x) + dot4I8Packed(a.y, v.y));
#else
    var d = dot4I8Packed(a.x, v & 0x0f0f0f0fu) + dot4I8Packed(a.y, (v >> 4u) & 0x0f0f0f0fu);
    // The offset of 8, once a group.
    if (chunk % 4u == 0u) {
        return s * xs.x * (f32(d) - 8.0 * xs.y);
    }
    return s * xs.x * f32(d);
#endif
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let row = g / tiles;
    let column = (g % tiles) * COVERS_X + local / LANES;
    let lane = local % LANES;
    let inside = column < p.n && row < p.rows;
    var total = 0.0;
    if (inside) {
        for (var c = lane; c < p.chunks; c += LANES) {
            total += dot8(row, column, c);
        }
    }
    sums[local] = total;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            sums[local] += sums[local + half];
        }
    }
    if (inside && lane == 0u) {
        put(row, column, sums[local]);
    }
}
