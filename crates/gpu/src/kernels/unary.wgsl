// y = f(x), element by element. `affine` is one of them: it reads mul and add.

struct Params {
    n: u32,
    mul: f32,
    add: f32,
}

@auto var<storage, read> x: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let v = x[i];
    y[i] = ${EXPRESSION};
}
