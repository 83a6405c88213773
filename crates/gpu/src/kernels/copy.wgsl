// A block of up to four dimensions from one place and stride to another: permute, slice, pad, concat, broadcast, write.

struct Params {
    dims: vec4<u32>,
    source: vec4<u32>,
    to: vec4<u32>,
    n: u32,
    from_offset: u32,
    to_offset: u32,
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
    let position = coordinates(i, p.dims);
    y[p.to_offset + at(position, p.to)] = x[p.from_offset + at(position, p.source)];
}
