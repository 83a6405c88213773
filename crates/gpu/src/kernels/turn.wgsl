// cos and sin of any angle, to an ulp or two. WGSL promises its own ones 2⁻¹¹ between −π and π, and nothing beyond, where most
// positions are. Reduction to ±π/4 in three parts (Cody and Waite 1980) and Cephes' polynomials (Moshier, sinf.c).
fn cos_sin(angle: f32) -> vec2<f32> {
    let quarter = round(angle * 0.636619772);
    let r = ((angle - quarter * 1.5703125) - quarter * 4.837512969970703e-4) - quarter * 7.549789954891882e-8;
    let z = r * r;
    let s = r + r * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    let turned = select(vec2<f32>(c, s), vec2<f32>(-s, c), (i32(quarter) & 1) == 1);
    return select(turned, -turned, (i32(quarter) & 2) == 2);
}

// A pair turned by an angle.
fn turn(pair: vec2<f32>, angle: f32) -> vec2<f32> {
    let t = cos_sin(angle);
    return vec2<f32>(pair.x * t.x - pair.y * t.y, pair.x * t.y + pair.y * t.x);
}
