// y[i] = start + i · step; step 0 fills.

struct Params {
    n: u32,
    start: u32,
    step: u32,
}

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
    y[i] = f32(p.start + i * p.step);
}
