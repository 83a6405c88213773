// Eight activations of row `row` from column `chunk · 8`.
#if ALIGNED
@auto var<storage, read> x: array<vec4<f32>>;

fn x8(row: u32, chunk: u32) -> mat2x4<f32> {
    let i = (row * p.chunks + chunk) * 2u;
    return mat2x4<f32>(x[i], x[i + 1u]);
}
#else
@auto var<storage, read> x: array<f32>;

// Selected, not branched over: dozens of branches in one loop take SwiftShader's compiler minutes.
fn x_or_zero(row: u32, column: u32) -> f32 {
    return select(0.0, x[row * p.k + min(column, p.k - 1u)], column < p.k);
}

fn x8(row: u32, chunk: u32) -> mat2x4<f32> {
    let c = chunk * 8u;
    return mat2x4<f32>(
        x_or_zero(row, c), x_or_zero(row, c + 1u), x_or_zero(row, c + 2u), x_or_zero(row, c + 3u),
        x_or_zero(row, c + 4u), x_or_zero(row, c + 5u), x_or_zero(row, c + 6u), x_or_zero(row, c + 7u),
    );
}
#endif
