// y [rows, k] += x [rows, n_total] · w for the n rows of w this shard holds, from column `first` of x on: the gradient of a
// linear layer's input. One invocation eight results; the first shard starts from zero.

struct Params {
    n: u32,
    rows: u32,
    chunks: u32,
    k: u32,
    first: u32,
    n_total: u32,
}

@auto var<uniform> p: Params;
@auto var<storage, read_write> y: array<f32>;
@auto var<storage, read> x: array<f32>;
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;
const COVERS_Y: u32 = 1u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.chunks + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let chunk = (g % tiles) * COVERS_X + local;
    let row = g / tiles;
    if (chunk >= p.chunks || row >= p.rows) {
        return;
    }
    var total = mat2x4<f32>();
    for (var j = 0u; j < p.n; j++) {
        total += weight8(j, chunk) * x[row * p.n_total + p.first + j];
    }
    for (var i = 0u; i < 8u; i++) {
        let column = chunk * 8u + i;
        if (column < p.k) {
            var before = 0.0;
            if (p.first > 0u) {
                before = y[row * p.k + column];
            }
            y[row * p.k + column] = before + total[i / 4u][i % 4u];
        }
    }
}
