// From one buffer to another, four words at a time and four of those an invocation: the bandwidth kernels are held against.
// Neighbours read neighbours, and an invocation has four reads on their way before it writes.

struct Params {
    n: u32,
}

@auto var<storage, read> x: array<vec4<u32>>;
@auto var<storage, read_write> y: array<vec4<u32>>;
@auto var<uniform> p: Params;

const WG: u32 = 256u;
const COVERS_X: u32 = 1024u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = workgroup_number(id, count) * COVERS_X + local;
    if (i + 3u * WG < p.n) {
        let a = x[i];
        let b = x[i + WG];
        let c = x[i + 2u * WG];
        let d = x[i + 3u * WG];
        y[i] = a;
        y[i + WG] = b;
        y[i + 2u * WG] = c;
        y[i + 3u * WG] = d;
        return;
    }
    for (var j = i; j < p.n; j += WG) {
        y[j] = x[j];
    }
}
