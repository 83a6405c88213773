// A group of ${GROUP_CHUNKS} chunks of eight values has an f16 scale, two scales a word; or with MINIMUM a word of its own: scale,
// and what is added to scaled values.
@auto var<storage, read> scales: array<u32>;

#if MINIMUM
fn scale8(row: u32, chunk: u32) -> vec2<f32> {
    return unpack2x16float(scales[(row * p.chunks + chunk) / ${GROUP_CHUNKS}u]);
}
#else
fn scale8(row: u32, chunk: u32) -> f32 {
    let group = (row * p.chunks + chunk) / ${GROUP_CHUNKS}u;
    return unpack2x16float(scales[group / 2u])[group % 2u];
}
#endif
