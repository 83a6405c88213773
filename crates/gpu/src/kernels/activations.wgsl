// Eight activations of row `row` from column `chunk · 8`.
#if ALIGNED
@auto var<storage, read> x: array<vec4<f32>>;

fn x8(row: u32, chunk: u32) -> mat2x4<f32> {
    let i = (row * p.chunks + chunk) * 2u;
    return mat2x4<f32>(x[i], x[i + 1u]);
}
#else
@auto var<storage, read> x: array<f32>;

fn x_or_zero(row: u32, column: u32) -> f32 {
    if (column < p.k) {
        return x[row * p.k + column];
    }
    return 0.0;
}

fn x8(row: u32, chunk: u32) -> mat2x4<f32> {
    let c = chunk * 8u;
    return mat2x4<f32>(
        x_or_zero(row, c), x_or_zero(row, c + 1u), x_or_zero(row, c + 2u), x_or_zero(row, c + 3u),
        x_or_zero(row, c + 4u), x_or_zero(row, c + 5u), x_or_zero(row, c + 6u), x_or_zero(row, c + 7u),
    );
}
#endif
