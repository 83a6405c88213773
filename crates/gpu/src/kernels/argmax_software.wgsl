// Index of the largest of each row; the first of equals. One invocation a row.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;

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
    var best = 0u;
    var most = x[row * p.columns];
    for (var i = 1u; i < p.columns; i++) {
        let v = x[row * p.columns + i];
        if (v > most) {
            most = v;
            best = i;
        }
    }
    y[row] = best;
}
