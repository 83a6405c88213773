// Rows of a matrix: eight activations of row `row` from column `chunk · 8`. `Place` and `Tap` are what `patches.wgsl` has
// more of.
alias Place = u32;
alias Tap = u32;

fn place(row: u32) -> Place {
    return min(row, p.rows - 1u);
}

fn tap(chunk: u32) -> Tap {
    return chunk;
}

#if ALIGNED
@auto var<storage, read> x: array<vec4<f32>>;

fn x8(row: Place, chunk: Tap) -> mat2x4<f32> {
    let i = p.x_base / 4u + (row * p.chunks + chunk) * 2u;
    return mat2x4<f32>(x[i], x[i + 1u]);
}
#else
@auto var<storage, read> x: array<f32>;

// Selected, not branched over: dozens of branches in one loop take SwiftShader's compiler minutes.
fn x_or_zero(row: u32, column: u32) -> f32 {
    return select(0.0, x[p.x_base + row * p.k + min(column, p.k - 1u)], column < p.k);
}

fn x8(row: Place, chunk: Tap) -> mat2x4<f32> {
    let c = chunk * 8u;
    return mat2x4<f32>(
        x_or_zero(row, c), x_or_zero(row, c + 1u), x_or_zero(row, c + 2u), x_or_zero(row, c + 3u),
        x_or_zero(row, c + 4u), x_or_zero(row, c + 5u), x_or_zero(row, c + 6u), x_or_zero(row, c + 7u),
    );
}
#endif
