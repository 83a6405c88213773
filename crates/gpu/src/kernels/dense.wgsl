// Eight values, as they are read, times eight activations, added up.
fn weigh8(row: u32, chunk: u32, a: mat2x4<f32>) -> f32 {
    let v = weight8(row, chunk);
    return dot(v[0], a[0]) + dot(v[1], a[1]);
}
