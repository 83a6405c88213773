// Adjacent pairs of x [rows, heads, head_dim] turned by (start + row) · frequency. One invocation a pair.

struct Params {
    pairs: u32,
    heads: u32,
    half_dim: u32,
    start: u32,
}

@auto var<storage, read> x: array<vec2<f32>>;
@auto var<storage, read> frequencies: array<f32>;
@auto var<storage, read_write> y: array<vec2<f32>>;
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
    if (i >= p.pairs) {
        return;
    }
    let row = i / (p.heads * p.half_dim);
    let angle = f32(p.start + row) * frequencies[i % p.half_dim];
    let c = cos(angle);
    let s = sin(angle);
    let v = x[i];
    y[i] = vec2<f32>(v.x * c - v.y * s, v.x * s + v.y * c);
}
