// Many rows of x, no barriers: an invocation makes 8 rows × 4 columns in registers, neighbours take neighbouring rows and
// the same columns, so that a CPU behind WebGPU finds both operands in its caches.
#include "product_interface.wgsl"
#include "${ROWS}.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = 16u;
const COVERS_X: u32 = 4u;
const COVERS_Y: u32 = 128u;

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
    // Tiles are counted through, so that few rows leave no invocation idle; the grid has at least as many as there are.
    let row_tiles = (p.rows + 7u) / 8u;
#if SPLIT
    let tiles = row_tiles * ((p.n + 3u) / 4u);
    let numbered = workgroup_number(id, count) * WG + local;
    let i = numbered % tiles;
    let part = numbered / tiles;
    let begin = part * p.part_chunks;
    let end = min(begin + p.part_chunks, p.chunks);
    if (begin >= p.chunks) {
        return;
    }
    part_base = part * p.rows * p.n_total;
#else
    let i = workgroup_number(id, count) * WG + local;
    let begin = 0u;
    let end = p.chunks;
#endif
    let column = (i / row_tiles) * 4u;
    let row = (i % row_tiles) * 8u;
    if (column >= p.n) {
        return;
    }
    let r0 = place(row);
    let r1 = place(row + 1u);
    let r2 = place(row + 2u);
    let r3 = place(row + 3u);
    let r4 = place(row + 4u);
    let r5 = place(row + 5u);
    let r6 = place(row + 6u);
    let r7 = place(row + 7u);
    // Columns past the end are read from the last one and not written.
    let last = p.n - 1u;
    let c1 = min(column + 1u, last);
    let c2 = min(column + 2u, last);
    let c3 = min(column + 3u, last);
#include "tile_begin.wgsl"
    for (var c = begin; c < end; c++) {
        let t = tap(c);
        let w0 = weight8(column, c);
        let w1 = weight8(c1, c);
        let w2 = weight8(c2, c);
        let w3 = weight8(c3, c);
        t0 += dot4(x8(r0, t), w0, w1, w2, w3);
        t1 += dot4(x8(r1, t), w0, w1, w2, w3);
        t2 += dot4(x8(r2, t), w0, w1, w2, w3);
        t3 += dot4(x8(r3, t), w0, w1, w2, w3);
        t4 += dot4(x8(r4, t), w0, w1, w2, w3);
        t5 += dot4(x8(r5, t), w0, w1, w2, w3);
        t6 += dot4(x8(r6, t), w0, w1, w2, w3);
        t7 += dot4(x8(r7, t), w0, w1, w2, w3);
    }
#include "tile_end.wgsl"
}
