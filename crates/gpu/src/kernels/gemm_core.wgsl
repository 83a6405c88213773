// Many rows of x: a tile of 32 × 32 results a workgroup, 4 × 4 an invocation, k in steps of 32 through workgroup memory.
// The workgroup is 64 × 1: near-square ones are miscompiled by some Adreno drivers (executorch#22328).
#include "linear_interface.wgsl"
#include "activations.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 32u;
const COVERS_Y: u32 = 32u;
const TILE: u32 = 32u;

// [k][row] and [k][column]; a row is one longer than the tile, so that the lanes of a store hit different banks.
const PITCH: u32 = 33u;
var<workgroup> xs: array<f32, 1056>;
var<workgroup> ws: array<f32, 1056>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let column0 = (g % tiles) * COVERS_X;
    let row0 = (g / tiles) * COVERS_Y;
    let tx = (local % 8u) * 4u;
    let ty = (local / 8u) * 4u;
    var total = mat4x4<f32>();
    for (var c0 = 0u; c0 < p.chunks; c0 += 4u) {
        // 32 rows of 4 chunks each side: two chunks an invocation.
        for (var load = local; load < 128u; load += WG) {
            let line = load / 4u;
            let c = c0 + load % 4u;
            var a = mat2x4<f32>();
            var b = mat2x4<f32>();
            if (c < p.chunks) {
                if (row0 + line < p.rows) {
                    a = x8(row0 + line, c);
                }
                if (column0 + line < p.n) {
                    b = raw8(column0 + line, c) * scale8(column0 + line, c);
                }
            }
            let k0 = (load % 4u) * 8u;
            for (var i = 0u; i < 4u; i++) {
                xs[(k0 + i) * PITCH + line] = a[0][i];
                xs[(k0 + 4u + i) * PITCH + line] = a[1][i];
                ws[(k0 + i) * PITCH + line] = b[0][i];
                ws[(k0 + 4u + i) * PITCH + line] = b[1][i];
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE; k++) {
            let i = k * PITCH;
            let av = vec4<f32>(xs[i + ty], xs[i + ty + 1u], xs[i + ty + 2u], xs[i + ty + 3u]);
            let bv = vec4<f32>(ws[i + tx], ws[i + tx + 1u], ws[i + tx + 2u], ws[i + tx + 3u]);
            total[0] += av.x * bv;
            total[1] += av.y * bv;
            total[2] += av.z * bv;
            total[3] += av.w * bv;
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        for (var c = 0u; c < 4u; c++) {
            let row = row0 + ty + r;
            let column = column0 + tx + c;
            if (row < p.rows && column < p.n) {
                put(row, column, total[r][c]);
            }
        }
    }
}
