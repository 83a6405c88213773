// y = x / rms(x) · weight, a row a workgroup, as int8 too: what the products behind it read.

struct Params {
    rows: u32,
    columns: u32,
    eps: f32,
}

@auto var<storage, read> x: array<vec4<f32>>;
@auto var<storage, read> weight: array<vec4<f32>>;
@auto var<storage, read_write> y: array<vec4<f32>>;
#include "int8_group.wgsl"
@auto var<uniform> p: Params;

const WG: u32 = ${WG}u;
const COVERS_X: u32 = 1u;
const LANES: u32 = WG;

#include "tree.wgsl"

var<private> first: u32;
var<private> scale: f32;

fn value4(i: u32) -> vec4<f32> {
    return x[i] * scale * weight[i - first];
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = min(workgroup_number(id, count), p.rows - 1u);
    let quads = p.columns / 4u;
    first = row * quads;
    var squares = 0.0;
    for (var i = local; i < quads; i += WG) {
        squares += dot(x[first + i], x[first + i]);
    }
    tree[local] = squares;
    add_up(local);
    workgroupBarrier();
    scale = inverseSqrt(tree[0] / f32(p.columns) + p.eps);
    for (var i = local; i < quads; i += WG) {
        y[first + i] = value4(first + i);
    }
    for (var g = local; g < quads / 8u; g += WG) {
        put_group(first / 8u + g);
    }
}
