// Batched a · b, one invocation a result: what small nets need where there are no tiles.
#include "matmul_interface.wgsl"

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let c = coordinates(i, p.dims);
    var ia = at(vec4<u32>(c.xyz, 0u), p.stride_a);
    var ib = at(vec4<u32>(c.xy, 0u, c.w), p.stride_b);
    var total = 0.0;
    for (var j = 0u; j < p.k; j++) {
        total += a[ia] * b[ib];
        ia += p.stride_a.w;
        ib += p.stride_b.z;
    }
    y[i] = total;
}
