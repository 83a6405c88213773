// Index of the largest of each row; the first of equals; 0xffffffff where one is no number. One invocation a row.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(row: u32) {
    if (row >= p.rows) {
        return;
    }
    var best = 0u;
    var most = x[row * p.columns];
    var magnitude = bitcast<u32>(most) & 0x7fffffffu;
    for (var i = 1u; i < p.columns; i++) {
        let v = x[row * p.columns + i];
        magnitude = max(magnitude, bitcast<u32>(v) & 0x7fffffffu);
        if (v > most) {
            most = v;
            best = i;
        }
    }
    y[row] = select(best, 0xffffffffu, magnitude > 0x7f800000u);
}
