// A product of matrices of any layout: a tile of 64 × 64 results a workgroup, 8 × 8 an invocation, in registers; k in steps of 16
// through workgroup memory. What is multiplied, and where it goes, is the file's of the operands: `sizes`, `batches`,
// `left_goes_by_k`, `left4` and `right4`, which never read past the end, and `put`.
#include "${OPERANDS}.wgsl"

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;
const COVERS_Y: u32 = 64u;
const STEP: u32 = 16u;

// [k][row / 4] and [k][column / 4].
var<workgroup> ls: array<vec4<f32>, 256>;
var<workgroup> rs: array<vec4<f32>, 256>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // Rows, columns and k.
    let size = sizes();
    let tiles = (size.xy + vec2<u32>(COVERS_Y, COVERS_X) - 1u) / vec2<u32>(COVERS_Y, COVERS_X);
    let g = workgroup_number(id, count);
    let column0 = (g % tiles.y) * COVERS_X;
    let row0 = ((g / tiles.y) % tiles.x) * COVERS_Y;
    let batch = (g / tiles.y) / tiles.x;
    let tx = local % 8u;
    let ty = local / 8u;
    let is_there = batch < batches();
    let busy = is_there && row0 + ty * 4u < size.x && column0 + tx * 4u < size.y;
    let by_k = left_goes_by_k();
#for i 2
#for e 4
#for j 2
    var t${i}_${e}_${j} = vec4<f32>(0.0);
#end
#end
#end
    for (var first = 0u; first < size.z; first += STEP) {
        if (is_there) {
            // Neighbours read neighbours.
#for u 4
            let high${u} = local / 16u + ${u}u * 4u;
            let low${u} = local % 16u;
            let k${u} = select(high${u}, low${u}, by_k);
            let quad${u} = select(low${u}, high${u}, by_k);
            ls[k${u} * 16u + quad${u}] = left4(batch, row0 + quad${u} * 4u, min(first + k${u}, size.z - 1u));
            rs[high${u} * 16u + low${u}] = right4(batch, min(first + high${u}, size.z - 1u), column0 + low${u} * 4u);
#end
        }
        workgroupBarrier();
        let steps = select(0u, min(STEP, size.z - first), busy);
        for (var k = 0u; k < steps; k++) {
#for j 2
            let b${j} = rs[k * 16u + tx + ${j}u * 8u];
#end
#for i 2
            let a${i} = ls[k * 16u + ty + ${i}u * 8u];
#for e 4
#for j 2
            t${i}_${e}_${j} += a${i}[${e}] * b${j};
#end
#end
#end
        }
        workgroupBarrier();
    }
    if (busy) {
#for i 2
#for e 4
#for j 2
        put4(batch, row0 + (ty + ${i}u * 8u) * 4u + ${e}u, column0 + (tx + ${j}u * 8u) * 4u, size, t${i}_${e}_${j});
#end
#end
#end
    }
}

// Four neighbouring results, as far as they exist.
fn put4(batch: u32, row: u32, column: u32, size: vec3<u32>, values: vec4<f32>) {
    if (row < size.x) {
        for (var i = 0u; i < 4u && column + i < size.y; i++) {
            put(batch, row, column + i, values[i]);
        }
    }
}
