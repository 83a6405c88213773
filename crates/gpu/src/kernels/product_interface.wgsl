// y [rows, n_total] = activation(x [rows, k] · wᵀ + bias + residual), for the `n` rows of w that this shard holds, from
// column `first` on. Rows of x are rows of a matrix, or the patches that a convolution sees (PATCHES).

struct Params {
    n: u32,
    rows: u32,
    chunks: u32,
    k: u32,
    first: u32,
    n_total: u32,
    activation: u32,
    // Where the bound part of x and of y (and residual) begins, in elements: bindings start at whole 256 bytes.
    x_base: u32,
    y_base: u32,
#if PATCHES
    // The enlarged picture, and the share of its side that a pixel of x's has.
    height: u32,
    width: u32,
    shrink: f32,
    channels: u32,
    // Elements of x in the binding for each picture; pixels of a row of x, and the first of its rows there.
    x_picture: u32,
    x_width: u32,
    x_row: u32,
    out_width: u32,
    // Rows of y for each picture, and the first of them.
    y_rows: u32,
    y_row: u32,
    taps: u32,
    // What a tap of the window is of a chunk's number, and a row of it of a tap's.
    tap_chunks: u32,
    tap_share: f32,
    kernel_width: u32,
    row_share: f32,
    stride: vec2<u32>,
    dilation: vec2<u32>,
    padding: vec2<u32>,
#endif
#if SPLIT
    // Chunks of k of each part.
    part_chunks: u32,
#endif
}

@auto var<uniform> p: Params;
@auto var<storage, read_write> y: array<f32>;
#if BIAS
@auto var<storage, read> bias: array<f32>;
#endif
#if RESIDUAL
@auto var<storage, read> residual: array<f32>;
#endif

// What a result is summed up in, and what eight columns of k add to it where there is one row.
alias Sum = f32;

#if DOTS
fn dots(row: u32, column: u32, chunk: u32) -> Sum {
    return dot8(row, column, chunk);
}
#endif

fn activate(v: f32) -> f32 {
    switch p.activation {
        case 1u: { return max(v, 0.0); }
        case 2u: { return v / (1.0 + exp(-v)); }
        case 3u: { return tanh(clamp(v, -15.0, 15.0)); }
        case 4u: { return 1.0 / (1.0 + exp(-v)); }
        default: { return v; }
    }
}

#if SPLIT
// Where this workgroup's part begins.
var<private> part_base: u32;

fn put(row: u32, column: u32, value: f32) {
    y[part_base + row * p.n_total + p.first + column] = value;
}
#else
fn put(row: u32, column: u32, value: f32) {
    var v = value;
    let at_column = p.first + column;
    let i = p.y_base + row * p.n_total + at_column;
#if BIAS
    v += bias[at_column];
#endif
#if RESIDUAL
    v += residual[i];
#endif
    y[i] = activate(v);
}
#endif

// Four neighbouring results, as far as they exist.
fn put4(row: u32, column: u32, values: vec4<f32>) {
    if (row < p.rows) {
        for (var i = 0u; i < 4u && column + i < p.n; i++) {
            put(row, column + i, values[i]);
        }
    }
}
