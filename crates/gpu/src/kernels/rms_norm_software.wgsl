// y = x / rms(x) · weight, a row an invocation.

struct Params {
    rows: u32,
    columns: u32,
    eps: f32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read> weight: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

const WG: u32 = 1u;
const COVERS_X: u32 = 1u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>) {
    let row = workgroup_number(id, count);
    if (row >= p.rows) {
        return;
    }
    let base = row * p.columns;
    var squares = 0.0;
    for (var i = 0u; i < p.columns; i++) {
        squares += x[base + i] * x[base + i];
    }
    let scale = inverseSqrt(squares / f32(p.columns) + p.eps);
    for (var i = 0u; i < p.columns; i++) {
        y[base + i] = x[base + i] * scale * weight[i];
    }
}
