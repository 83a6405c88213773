// Dense f32 rows, contiguous: what states and activations are too.
#if ALIGNED
@auto var<storage, read> w: array<vec4<f32>>;

fn weight8(row: u32, chunk: u32) -> mat2x4<f32> {
    let i = (row * p.chunks + chunk) * 2u;
    return mat2x4<f32>(w[i], w[i + 1u]);
}
#else
@auto var<storage, read> w: array<f32>;

// One value.
fn w1(row: u32, column: u32) -> f32 {
    return w[row * p.k + column];
}

// Selected, not branched over: dozens of branches in one loop take SwiftShader's compiler minutes.
fn w_or_zero(row: u32, column: u32) -> f32 {
    return select(0.0, w[row * p.k + min(column, p.k - 1u)], column < p.k);
}

fn weight8(row: u32, chunk: u32) -> mat2x4<f32> {
    let c = chunk * 8u;
    return mat2x4<f32>(
        w_or_zero(row, c), w_or_zero(row, c + 1u), w_or_zero(row, c + 2u), w_or_zero(row, c + 3u),
        w_or_zero(row, c + 4u), w_or_zero(row, c + 5u), w_or_zero(row, c + 6u), w_or_zero(row, c + 7u),
    );
}
#endif

#include "dense.wgsl"
