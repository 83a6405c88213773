// Floats as halves: each to the nearest half, the even one of two, at most ±65504. `pack2x16float` leaves ties and what is too large
// to the driver.
fn half(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    let normal = ((magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u) - (112u << 10u);
    // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴, as floats from ½ to 1 are.
    let small = bitcast<u32>(bitcast<f32>(magnitude) + 0.5) - 0x3f000000u;
    let number = select(min(normal, 0x7bffu), small, magnitude < 0x38800000u);
    return ((bits >> 16u) & 0x8000u) | select(number, 0x7e00u, magnitude > 0x7f800000u);
}

fn halves(pair: vec2<f32>) -> u32 {
    return half(pair.x) | (half(pair.y) << 16u);
}
