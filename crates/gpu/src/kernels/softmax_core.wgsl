// exp(x − max) / sum, a row a workgroup.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

const WG: u32 = 128u;
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
    var most = x[base];
    for (var i = local; i < p.columns; i += WG) {
        most = max(most, x[base + i]);
    }
    tree[local] = most;
    find_largest(local);
    workgroupBarrier();
    most = tree[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var i = local; i < p.columns; i += WG) {
        sum += exp(x[base + i] - most);
    }
    tree[local] = sum;
    add_up(local);
    workgroupBarrier();
    sum = tree[0];
    for (var i = local; i < p.columns; i += WG) {
        y[base + i] = exp(x[base + i] - most) / sum;
    }
}
