// 4 bits, offset 8, in groups of 32 with f16 scales apart: eight values are one word, the first four in the low nibbles
// of its bytes, the next four in the high ones, so that either half is four packed bytes.
@auto var<storage, read> w: array<u32>;
@auto var<storage, read> scales: array<u32>;

fn low_nibbles(v: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(v, v >> 8u, v >> 16u, v >> 24u) & vec4<u32>(15u))) - vec4<f32>(8.0);
}

fn raw8(row: u32, chunk: u32) -> mat2x4<f32> {
    let v = w[row * p.chunks + chunk];
    return mat2x4<f32>(low_nibbles(v), low_nibbles(v >> 4u));
}

fn scale8(row: u32, chunk: u32) -> f32 {
    let group = (row * p.chunks + chunk) / 4u;
    return unpack2x16float(scales[group / 2u])[group % 2u];
}

// One value.
fn w1(row: u32, column: u32) -> f32 {
    let shift = 8u * (column % 4u) + (column & 4u);
    let nibble = (w[row * p.chunks + column / 8u] >> shift) & 15u;
    return (f32(nibble) - 8.0) * scale8(row, column / 8u);
}
