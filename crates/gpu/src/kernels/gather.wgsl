// y [ids, k]: rows of w by number. A shard writes the rows it holds; ids past the whole table give zeros, from the first one.

struct Params {
    n: u32,
    ids: u32,
    chunks: u32,
    k: u32,
    first: u32,
    n_total: u32,
}

@auto var<uniform> p: Params;
@auto var<storage, read_write> y: array<f32>;
@auto var<storage, read> ids: array<u32>;
#include "weight_${FORMAT}.wgsl"

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.ids * p.chunks) {
        return;
    }
    let row = i / p.chunks;
    let chunk = i % p.chunks;
    let wanted = ids[row];
    let held = wanted >= p.first && wanted < p.first + p.n;
    if (!held && !(p.first == 0u && wanted >= p.n_total)) {
        return;
    }
    var v = mat2x4<f32>();
    if (held) {
        v = weight8(wanted - p.first, chunk);
    }
    for (var j = 0u; j < 8u; j++) {
        let column = chunk * 8u + j;
        if (column < p.k) {
            y[row * p.k + column] = v[j / 4u][j % 4u];
        }
    }
}
