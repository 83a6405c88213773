// Dense f16 rows, padded with zeros to chunks of eight. `unpack2x16float` is core WGSL: no f16 capability needed.
@auto var<storage, read> w: array<vec4<u32>>;

fn raw8(row: u32, chunk: u32) -> mat2x4<f32> {
    let v = w[row * p.chunks + chunk];
    return mat2x4<f32>(
        vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y)),
        vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w)),
    );
}

fn scale8(row: u32, chunk: u32) -> f32 {
    return 1.0;
}

// One value.
fn w1(row: u32, column: u32) -> f32 {
    return unpack2x16float(w[row * p.chunks + column / 8u][(column / 2u) % 4u])[column % 2u];
}
