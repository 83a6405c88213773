// Many rows of x, no barriers: an invocation makes 4 rows × 4 columns in registers, neighbours take neighbouring rows and
// the same columns, so that a CPU behind WebGPU finds both operands in its caches.
#include "product_interface.wgsl"
#include "${ROWS}.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 16u;
const COVERS_X: u32 = 4u;
const COVERS_Y: u32 = 64u;

// What a chunk adds to one row of the tile.
fn dot4(a: mat2x4<f32>, w0: mat2x4<f32>, w1: mat2x4<f32>, w2: mat2x4<f32>, w3: mat2x4<f32>) -> vec4<f32> {
    return vec4<f32>(
        dot(a[0], w0[0]) + dot(a[1], w0[1]),
        dot(a[0], w1[0]) + dot(a[1], w1[1]),
        dot(a[0], w2[0]) + dot(a[1], w2[1]),
        dot(a[0], w3[0]) + dot(a[1], w3[1]),
    );
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let column = (g % tiles) * COVERS_X;
    let row = (g / tiles) * COVERS_Y + local * 4u;
    if (row >= p.rows) {
        return;
    }
    let r0 = place(row);
    let r1 = place(row + 1u);
    let r2 = place(row + 2u);
    let r3 = place(row + 3u);
    // Columns past the end are read from the last one and not written.
    let last = p.n - 1u;
    let c1 = min(column + 1u, last);
    let c2 = min(column + 2u, last);
    let c3 = min(column + 3u, last);
    var t0 = vec4<f32>(0.0);
    var t1 = vec4<f32>(0.0);
    var t2 = vec4<f32>(0.0);
    var t3 = vec4<f32>(0.0);
    for (var c = 0u; c < p.chunks; c++) {
        let t = tap(c);
        let w0 = raw8(column, c);
        let w1 = raw8(c1, c);
        let w2 = raw8(c2, c);
        let w3 = raw8(c3, c);
        let s = vec4<f32>(scale8(column, c), scale8(c1, c), scale8(c2, c), scale8(c3, c));
        t0 += s * dot4(x8(r0, t), w0, w1, w2, w3);
        t1 += s * dot4(x8(r1, t), w0, w1, w2, w3);
        t2 += s * dot4(x8(r2, t), w0, w1, w2, w3);
        t3 += s * dot4(x8(r3, t), w0, w1, w2, w3);
    }
    put4(row, column, t0);
    put4(row + 1u, column, t1);
    put4(row + 2u, column, t2);
    put4(row + 3u, column, t3);
}
