// Where a convolution's window lies in the picture, for the parameters of `product_interface.wgsl`.

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
    let base = p.x_base + picture * p.x_rows * (p.width >> p.upsample) * p.channels;
    return Place(base, vec2<i32>(pixel * p.stride) - vec2<i32>(p.padding));
}

// The element of channel 0 under the window at `offset`, and whether it is inside the picture.
fn pixel_at(at: Place, offset: vec2<i32>) -> vec2<u32> {
    let seen = vec2<u32>(at.corner + offset);
    let inside = seen.x < p.height && seen.y < p.width;
    let pixel = seen >> vec2<u32>(p.upsample);
    let i = at.base + ((pixel.x - p.x_row) * (p.width >> p.upsample) + pixel.y) * p.channels;
    return vec2<u32>(select(at.base, i, inside), select(0u, 1u, inside));
}

fn offset_of(number: u32) -> vec2<i32> {
    return vec2<i32>(vec2<u32>(number / p.kernel_width, number % p.kernel_width) * p.dilation);
}
