// Where a convolution's window lies in the picture, for the parameters of `product_interface.wgsl`.

// How many whole ones of 1 / `share` are in each of `n`: half of one more keeps a quotient that is whole from being rounded down, and
// numbers are far from where f32 cannot tell them. A division of integers takes many times as long.
fn shares(n: vec2<u32>, share: f32) -> vec2<u32> {
    return vec2<u32>((vec2<f32>(n) + 0.5) * share);
}

// The picture's first element, and the window's first pixel.
struct Place {
    base: u32,
    corner: vec2<i32>,
}

fn place(row: u32) -> Place {
    let r = min(row, p.rows - 1u);
    let picture = r / (p.y_rows * p.out_width);
    let inside = r % (p.y_rows * p.out_width);
    let pixel = vec2<u32>(p.y_row + inside / p.out_width, inside % p.out_width);
    return Place(p.x_base + picture * p.x_picture, vec2<i32>(pixel * p.stride) - vec2<i32>(p.padding));
}

// The element of channel 0 under the window at `offset`, and whether it is inside the picture.
fn pixel_at(at: Place, offset: vec2<i32>) -> vec2<u32> {
    let seen = vec2<u32>(at.corner + offset);
    let inside = seen.x < p.height && seen.y < p.width;
    let pixel = shares(seen, p.shrink);
    let i = at.base + ((pixel.x - p.x_row) * p.x_width + pixel.y) * p.channels;
    return vec2<u32>(select(at.base, i, inside), select(0u, 1u, inside));
}

fn offset_of(number: u32) -> vec2<i32> {
    let row = shares(vec2<u32>(number), p.row_share).x;
    return vec2<i32>(vec2<u32>(row, number - row * p.kernel_width) * p.dilation);
}
