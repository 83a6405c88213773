// Many rows of x: a tile of the result a workgroup, an even share of its fours of rows and columns an invocation, in registers; k
// in steps through workgroup memory. With SPLIT a workgroup takes a part of k alone, and writes what `gemm_join.wgsl` adds up.
// Workgroups are a line: near-square ones are miscompiled by some Adreno drivers (executorch#22328).
#include "product_interface.wgsl"
#include "${ROWS}.wgsl"
#include "weight_${FORMAT}.wgsl"

const WG: u32 = ${INVOCATIONS}u;
const COVERS_X: u32 = ${TILE_COLUMNS}u;
const COVERS_Y: u32 = ${TILE_ROWS}u;
// Vectors of four rows and of four columns.
const ROW_QUADS: u32 = COVERS_Y / 4u;
const COLUMN_QUADS: u32 = COVERS_X / 4u;
// Chunks of eight k in a step.
const CHUNKS: u32 = ${CHUNKS}u;
// Invocations side by side, and one above the other.
const ACROSS: u32 = ${ACROSS}u;
const DOWN: u32 = WG / ACROSS;
// What is fetched at once: a chunk of four rows of x, or of four columns of w.
const X_UNITS: u32 = ROW_QUADS * CHUNKS;
const UNITS: u32 = X_UNITS + COLUMN_QUADS * CHUNKS;

// [k][row / 4] and [k][column / 4].
var<workgroup> xs: array<vec4<f32>, ${X_VECTORS}>;
var<workgroup> ws: array<vec4<f32>, ${W_VECTORS}>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles = (p.n + COVERS_X - 1u) / COVERS_X;
    let g = workgroup_number(id, count);
    let tile_column = (g % tiles) * COVERS_X;
#if SPLIT
    let row_tiles = (p.rows + COVERS_Y - 1u) / COVERS_Y;
    let tile_row = ((g / tiles) % row_tiles) * COVERS_Y;
    let part = (g / tiles) / row_tiles;
    let begin = min(part * p.part_chunks, p.chunks);
    let end = min(begin + p.part_chunks, p.chunks);
    part_base = part * p.rows * p.n_total;
#else
    let tile_row = (g / tiles) * COVERS_Y;
    let begin = 0u;
    let end = p.chunks;
#endif
    // What this invocation fetches, turned so that k is outermost.
#for u ${FETCHES}
    let unit${u} = local + ${u}u * WG;
    let is_x${u} = unit${u} < X_UNITS;
    let at${u} = select(unit${u} - X_UNITS, unit${u}, is_x${u});
    let quad${u} = at${u} / CHUNKS;
    let chunk${u} = at${u} % CHUNKS;
    let row${u} = tile_row + quad${u} * 4u;
    let column${u} = tile_column + quad${u} * 4u;
#for e 4
    let r${u}_${e} = place(row${u} + ${e}u);
    let n${u}_${e} = min(column${u} + ${e}u, p.n - 1u);
#end
#end
    let tx = local % ACROSS;
    let ty = local / ACROSS;
    // Where the tile reaches past the end there is nothing to fetch and nothing to multiply: a few pixels of many channels, or
    // three columns of many pixels, cost what they are.
    let busy = tile_row + ty * 4u < p.rows && tile_column + tx * 4u < p.n && begin < end;
#for i ${DOWN_QUADS}
#for e 4
#for j ${ACROSS_QUADS}
    var t${i}_${e}_${j} = vec4<f32>(0.0);
#end
#end
#end
    for (var first = begin; first < end; first += CHUNKS) {
#for u ${FETCHES}
        let c${u} = first + chunk${u};
        let to${u} = chunk${u} * 8u;
        if (is_x${u}) {
            if (c${u} < end && row${u} < p.rows) {
                let t = tap(c${u});
#for e 4
                let a${e} = x8(r${u}_${e}, t);
#end
#for e 4
                xs[(to${u} + ${e}u) * ROW_QUADS + quad${u}] = vec4<f32>(a0[0][${e}], a1[0][${e}], a2[0][${e}], a3[0][${e}]);
                xs[(to${u} + 4u + ${e}u) * ROW_QUADS + quad${u}] = vec4<f32>(a0[1][${e}], a1[1][${e}], a2[1][${e}], a3[1][${e}]);
#end
            }
        } else if (unit${u} < UNITS && c${u} < end && column${u} < p.n) {
#for e 4
            let b${e} = weight8(n${u}_${e}, c${u});
#end
#for e 4
            ws[(to${u} + ${e}u) * COLUMN_QUADS + quad${u}] = vec4<f32>(b0[0][${e}], b1[0][${e}], b2[0][${e}], b3[0][${e}]);
            ws[(to${u} + 4u + ${e}u) * COLUMN_QUADS + quad${u}] = vec4<f32>(b0[1][${e}], b1[1][${e}], b2[1][${e}], b3[1][${e}]);
#end
        }
#end
        workgroupBarrier();
        let steps = select(0u, min(CHUNKS, end - first) * 8u, busy);
        // Two at a time: the drivers' own counters in each loop cost as much as some products.
        for (var k = 0u; k < steps; k += 2u) {
#for s 2
#for j ${ACROSS_QUADS}
            let b${s}_${j} = ws[(k + ${s}u) * COLUMN_QUADS + tx + ${j}u * ACROSS];
#end
#for i ${DOWN_QUADS}
            let a${s}_${i} = xs[(k + ${s}u) * ROW_QUADS + ty + ${i}u * DOWN];
#for e 4
#for j ${ACROSS_QUADS}
            t${i}_${e}_${j} += a${s}_${i}[${e}] * b${s}_${j};
#end
#end
#end
#end
        }
        workgroupBarrier();
    }
    if (busy) {
#for i ${DOWN_QUADS}
#for e 4
#for j ${ACROSS_QUADS}
        put4(tile_row + (ty + ${i}u * DOWN) * 4u + ${e}u, tile_column + (tx + ${j}u * ACROSS) * 4u, t${i}_${e}_${j});
#end
#end
#end
    }
}
