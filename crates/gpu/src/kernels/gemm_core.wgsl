// Many rows of x: a tile of 64 rows × 32 columns a workgroup, 8 × 4 an invocation, k in steps of 32 through workgroup memory.
// The workgroup is 64 × 1: near-square ones are miscompiled by some Adreno drivers (executorch#22328).
#include "product_interface.wgsl"
#include "${ROWS}.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 32u;
const COVERS_Y: u32 = 64u;

// [k][row / 4] and [k][column / 4].
var<workgroup> xs: array<vec4<f32>, 512>;
var<workgroup> ws: array<vec4<f32>, 256>;

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
    // This invocation fetches four rows of x (or columns of w), one chunk of eight k of each, turned so that k is outermost.
    let quad = local / 4u;
    let part = local % 4u;
    let r0 = place(row0 + quad * 4u);
    let r1 = place(row0 + quad * 4u + 1u);
    let r2 = place(row0 + quad * 4u + 2u);
    let r3 = place(row0 + quad * 4u + 3u);
    let last = p.n - 1u;
    let w_column = column0 + quad * 4u;
    // It makes rows ty.. and columns tx.. of the tile.
    let tx = local % 8u;
    let ty = (local / 8u) * 2u;
    // Where the tile reaches past the end there is nothing to fetch and nothing to multiply: a few pixels of many channels, or
    // three columns of many pixels, cost what they are.
    let busy = row0 + ty * 4u < p.rows && column0 + tx * 4u < p.n;
#include "tile_begin.wgsl"
    for (var c0 = 0u; c0 < p.chunks; c0 += 4u) {
        let c = c0 + part;
        let k0 = part * 8u;
        if (c < p.chunks && row0 + quad * 4u < p.rows) {
            let t = tap(c);
            let a0 = x8(r0, t);
            let a1 = x8(r1, t);
            let a2 = x8(r2, t);
            let a3 = x8(r3, t);
            for (var i = 0u; i < 4u; i++) {
                xs[(k0 + i) * 16u + quad] = vec4<f32>(a0[0][i], a1[0][i], a2[0][i], a3[0][i]);
                xs[(k0 + 4u + i) * 16u + quad] = vec4<f32>(a0[1][i], a1[1][i], a2[1][i], a3[1][i]);
            }
        }
        if (c < p.chunks && quad < 8u && w_column < p.n) {
            let n0 = min(w_column, last);
            let n1 = min(w_column + 1u, last);
            let n2 = min(w_column + 2u, last);
            let n3 = min(w_column + 3u, last);
            let b0 = weight8(n0, c);
            let b1 = weight8(n1, c);
            let b2 = weight8(n2, c);
            let b3 = weight8(n3, c);
            for (var i = 0u; i < 4u; i++) {
                ws[(k0 + i) * 8u + quad] = vec4<f32>(b0[0][i], b1[0][i], b2[0][i], b3[0][i]);
                ws[(k0 + 4u + i) * 8u + quad] = vec4<f32>(b0[1][i], b1[1][i], b2[1][i], b3[1][i]);
            }
        }
        workgroupBarrier();
        let steps = select(0u, min(4u, p.chunks - c0) * 8u, busy);
        for (var k = 0u; k < steps; k++) {
            let b = ws[k * 8u + tx];
            let a = xs[k * 16u + ty];
            let d = xs[k * 16u + ty + 1u];
            t0 += a.x * b;
            t1 += a.y * b;
            t2 += a.z * b;
            t3 += a.w * b;
            t4 += d.x * b;
            t5 += d.y * b;
            t6 += d.z * b;
            t7 += d.w * b;
        }
        workgroupBarrier();
    }
    let row = row0 + ty * 4u;
    let column = column0 + tx * 4u;
#include "tile_end.wgsl"
}
