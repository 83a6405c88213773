// y = x / rms(x) · weight, a row a workgroup.

struct Params {
    rows: u32,
    columns: u32,
    eps: f32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read> weight: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

const WG: u32 = 256u;
const COVERS_X: u32 = 1u;
const LANES: u32 = WG;

#include "tree.wgsl"

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = min(workgroup_number(id, count), p.rows - 1u);
    let base = row * p.columns;
    var squares = 0.0;
    for (var i = local; i < p.columns; i += WG) {
        squares += x[base + i] * x[base + i];
    }
    tree[local] = squares;
    add_up(local);
    workgroupBarrier();
    let scale = inverseSqrt(tree[0] / f32(p.columns) + p.eps);
    for (var i = local; i < p.columns; i += WG) {
        y[base + i] = x[base + i] * scale * weight[i];
    }
}
