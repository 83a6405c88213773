// One invocation a column of w and ${ROWS} rows of x, no barriers: for adapters that are a CPU, where a barrier costs more
// than the arithmetic between two.
#include "linear_interface.wgsl"
#include "activations.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 16u;
const COVERS_X: u32 = 16u;
const COVERS_Y: u32 = ${ROWS}u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let column = (g % tiles) * COVERS_X + local;
    let row = (g / tiles) * COVERS_Y;
    if (column >= p.n || row >= p.rows) {
        return;
    }
#if MANY
    // Rows past the end are read from the last row and not written.
    let last = p.rows - 1u;
    var total = vec4<f32>(0.0);
    for (var c = 0u; c < p.chunks; c++) {
        let s = scale8(column, c);
        let v = raw8(column, c);
        let a = x8(row, c);
        let b = x8(min(row + 1u, last), c);
        let d = x8(min(row + 2u, last), c);
        let e = x8(min(row + 3u, last), c);
        total += s * vec4<f32>(
            dot(v[0], a[0]) + dot(v[1], a[1]),
            dot(v[0], b[0]) + dot(v[1], b[1]),
            dot(v[0], d[0]) + dot(v[1], d[1]),
            dot(v[0], e[0]) + dot(v[1], e[1]),
        );
    }
    put(row, column, total.x);
    if (row + 1u < p.rows) {
        put(row + 1u, column, total.y);
    }
    if (row + 2u < p.rows) {
        put(row + 2u, column, total.z);
    }
    if (row + 3u < p.rows) {
        put(row + 3u, column, total.w);
    }
#else
    var total = 0.0;
    for (var c = 0u; c < p.chunks; c++) {
        let v = raw8(column, c);
        let a = x8(row, c);
        total += scale8(column, c) * (dot(v[0], a[0]) + dot(v[1], a[1]));
    }
    put(row, column, total);
#endif
}
