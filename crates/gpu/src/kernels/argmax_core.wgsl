// Index of the largest of each row; the first of equals; 0xffffffff where one is no number. One workgroup a row.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

const WG: u32 = 128u;
const COVERS_X: u32 = 1u;

var<workgroup> most: array<f32, 128>;
var<workgroup> best: array<u32, 128>;
// Of anything, as bits: those of NaN are above those of infinity.
var<workgroup> magnitudes: array<u32, 128>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = min(workgroup_number(id, count), p.rows - 1u);
    var index = min(local, p.columns - 1u);
    var value = x[row * p.columns + index];
    var magnitude = bitcast<u32>(value) & 0x7fffffffu;
    for (var i = local + WG; i < p.columns; i += WG) {
        let v = x[row * p.columns + i];
        magnitude = max(magnitude, bitcast<u32>(v) & 0x7fffffffu);
        if (v > value) {
            value = v;
            index = i;
        }
    }
    most[local] = value;
    best[local] = index;
    magnitudes[local] = magnitude;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (local < half) {
            magnitudes[local] = max(magnitudes[local], magnitudes[local + half]);
            let other = most[local + half];
            let other_index = best[local + half];
            if (other > most[local] || (other == most[local] && other_index < best[local])) {
                most[local] = other;
                best[local] = other_index;
            }
        }
    }
    if (local == 0u) {
        y[row] = select(best[0], 0xffffffffu, magnitudes[0] > 0x7f800000u);
    }
}
