// Multiply-adds that stay in registers: the arithmetic rate kernels are held against. Eight independent chains of vec4, two
// flops a lane: 64 flops an invocation and step.

struct Params {
    n: u32,
    steps: u32,
    seed: f32,
}

@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let m = vec4<f32>(p.seed);
    var a = vec4<f32>(f32(i));
    var b = a + 1.0;
    var c = a + 2.0;
    var d = a + 3.0;
    var e = a + 4.0;
    var f = a + 5.0;
    var g = a + 6.0;
    var h = a + 7.0;
    for (var s = 0u; s < p.steps; s++) {
        a = fma(a, m, m);
        b = fma(b, m, m);
        c = fma(c, m, m);
        d = fma(d, m, m);
        e = fma(e, m, m);
        f = fma(f, m, m);
        g = fma(g, m, m);
        h = fma(h, m, m);
    }
    let sum = (a + b) + (c + d) + (e + f) + (g + h);
    y[i] = sum.x + sum.y + sum.z + sum.w;
}
