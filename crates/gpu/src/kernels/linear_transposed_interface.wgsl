// y [rows, k] += x [rows, n_total] · w for the n rows of w this shard holds, from column `first` of x on: the gradient of a
// linear layer's input. The first shard starts from zero.

struct Params {
    n: u32,
    rows: u32,
    chunks: u32,
    k: u32,
    first: u32,
    n_total: u32,
}

@auto var<uniform> p: Params;
@auto var<storage, read_write> y: array<f32>;
@auto var<storage, read> x: array<f32>;
#include "weight_${FORMAT}.wgsl"

fn add(row: u32, column: u32, value: f32) {
    var before = 0.0;
    if (p.first > 0u) {
        before = y[row * p.k + column];
    }
    y[row * p.k + column] = before + value;
}
