// y [n, columns] += rows of x by number, onto zeros. One invocation a column, so that equal ids add up in order and the
// sum is the same each time.

struct Params {
    columns: u32,
    ids: u32,
    n: u32,
}

@auto var<storage, read> ids: array<u32>;
@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(column: u32) {
    if (column >= p.columns) {
        return;
    }
    for (var row = 0u; row < p.n; row++) {
        y[row * p.columns + column] = 0.0;
    }
    for (var i = 0u; i < p.ids; i++) {
        if (ids[i] < p.n) {
            y[ids[i] * p.columns + column] += x[i * p.columns + column];
        }
    }
}
