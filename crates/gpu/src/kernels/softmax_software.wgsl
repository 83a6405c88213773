// exp(x − max) / sum, a row an invocation.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

const WG: u32 = 16u;
const COVERS_X: u32 = 16u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = workgroup_number(id, count) * COVERS_X + local;
    if (row >= p.rows) {
        return;
    }
    let base = row * p.columns;
    var most = x[base];
    for (var i = 1u; i < p.columns; i++) {
        most = max(most, x[base + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < p.columns; i++) {
        let e = exp(x[base + i] - most);
        sum += e;
        y[base + i] = e;
    }
    for (var i = 0u; i < p.columns; i++) {
        y[base + i] /= sum;
    }
}
