// Index of the largest of each row; the first of equals; 0xffffffff where one is no number. One invocation a row, eight
// columns a step: llvmpipe ends an invocation's loops after 65,535 steps, silently, and vocabularies are longer.

struct Params {
    rows: u32,
    columns: u32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

var<private> best: u32;
var<private> most: f32;
// Bits without their signs: over those of infinity where there is a NaN.
var<private> magnitude: u32;

// The last column again where there is none: it is not larger than itself.
fn see(start: u32, column: u32) {
    let i = min(column, p.columns - 1u);
    let v = x[start + i];
    magnitude = max(magnitude, bitcast<u32>(v) & 0x7fffffffu);
    best = select(best, i, v > most);
    most = select(most, v, v > most);
}

fn each(row: u32) {
    if (row >= p.rows) {
        return;
    }
    let start = row * p.columns;
    best = 0u;
    most = x[start];
    magnitude = bitcast<u32>(most) & 0x7fffffffu;
    for (var i = 1u; i < p.columns; i += 8u) {
        see(start, i);
        see(start, i + 1u);
        see(start, i + 2u);
        see(start, i + 3u);
        see(start, i + 4u);
        see(start, i + 5u);
        see(start, i + 6u);
        see(start, i + 7u);
    }
    y[row] = select(best, 0xffffffffu, magnitude > 0x7f800000u);
}
