// x [outer, len, inner] over its middle dimension. One invocation a result: reductions on the hot path are fused kernels.

struct Params {
    n: u32,
    len: u32,
    inner: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = workgroup_number(id, count) * COVERS_X + local;
    if (i >= p.n) {
        return;
    }
    let base = (i / p.inner) * p.len * p.inner + i % p.inner;
    var total = x[base];
    for (var j = 1u; j < p.len; j++) {
        let v = x[base + j * p.inner];
        total = ${EXPRESSION};
    }
    y[i] = total;
}
