// The parts of a product that several workgroups made (`gemm_core.wgsl` with SPLIT), added up: one invocation a result. `chunks`
// is how many parts there are, and x begins with the first.
#include "product_interface.wgsl"
@auto var<storage, read> x: array<f32>;

#include "each.wgsl"

fn each(i: u32) {
    let count = p.rows * p.n;
    if (i >= count) {
        return;
    }
    var total = 0.0;
    for (var part = 0u; part < p.chunks; part++) {
        total += x[part * count + i];
    }
    put(i / p.n, i % p.n, total);
}
