// Activations to int8 in groups of 32 for `gemv_dot.wgsl`: the words, and per group its f32 scale and the sum of its integers (which
// takes the offset out of 4-bit weights).
@auto var<storage, read_write> int8_words: array<u32>;
@auto var<storage, read_write> int8_scales: array<vec2<f32>>;

fn largest(v: vec4<f32>) -> f32 {
    let a = abs(v);
    return max(max(a.x, a.y), max(a.z, a.w));
}

fn inverse_scale(most: f32) -> f32 {
    return select(0.0, 127.0 / most, most > 0.0);
}

// Writes four integers as word `i`; gives their sum.
fn put_word(i: u32, v: vec4<f32>, inverse: f32) -> i32 {
    let q = vec4<i32>(round(v * inverse));
    let bytes = vec4<u32>(q) & vec4<u32>(255u);
    int8_words[i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    return q.x + q.y + q.z + q.w;
}

fn put_scale(g: u32, most: f32, sum: i32) {
    int8_scales[g] = vec2<f32>(most / 127.0, f32(sum));
}
