// y [rows, n_total] = x [rows, k] · wᵀ (+ residual), for the `n` rows of w that this shard holds, from column `first` on.

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
#if RESIDUAL
@auto var<storage, read> residual: array<f32>;
#endif

fn put(row: u32, column: u32, value: f32) {
    let i = row * p.n_total + p.first + column;
#if RESIDUAL
    y[i] = value + residual[i];
#else
    y[i] = value;
#endif
}
