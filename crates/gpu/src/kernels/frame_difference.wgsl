// sums: squared differences between the colours of two pictures' bytes, a number for each piece of PIECE pixels of a row. Whole
// numbers: 3 · 255² · PIECE is below 2³².

struct Params {
    n: u32,
    width: u32,
    pieces: u32,
    a_stride: u32,
    b_stride: u32,
    base: u32,
}

@auto var<storage, read> a: array<u32>;
@auto var<storage, read> b: array<u32>;
@auto var<storage, read_write> sums: array<u32>;
@auto var<uniform> p: Params;

#include "each.wgsl"

const PIECE: u32 = 256u;

fn each(i: u32) {
    if (i >= p.n) {
        return;
    }
    let row = i / p.pieces;
    let start = (i % p.pieces) * PIECE;
    var sum = 0u;
    for (var x = start; x < min(start + PIECE, p.width); x++) {
        let words = vec2<u32>(a[row * p.a_stride + x], b[row * p.b_stride + x]);
        for (var shift = 0u; shift < 24u; shift += 8u) {
            let bytes = (words >> vec2<u32>(shift)) & vec2<u32>(255u);
            let apart = max(bytes.x, bytes.y) - min(bytes.x, bytes.y);
            sum += apart * apart;
        }
    }
    sums[p.base + i] = sum;
}
