// A part of a picture or tensor, at another size: `lantern_graph::FrameSpec`. Weights are the definition's, in whole numbers.
// One invocation a pixel of the result; a dispatch makes whole rows of it, from `first_row` on.

struct Params {
    // Pixels of this dispatch, and the row they begin with.
    n: u32,
    first_row: u32,
    // Of what is read, and the first of its rows that is bound.
    height: u32,
    width: u32,
    bound_row: u32,
    // Elements before that row, and before the first of the result, in what is bound; from row to row of a picture.
    from_base: u32,
    base: u32,
    stride: u32,
    // The part, and what it becomes.
    top: u32,
    left: u32,
    part_height: u32,
    part_width: u32,
    out_height: u32,
    out_width: u32,
    mirror: u32,
    area: u32,
    linear: u32,
    black: f32,
    white: f32,
    channels: u32,
    // Of a picture: 0 drops alpha, 1 lays over this colour, 2 keeps it.
    alpha: u32,
    red: f32,
    green: f32,
    blue: f32,
}

fn taps(i: u32, length: u32, out: u32) -> vec2<u32> {
    if (p.area == 1u) {
        return vec2<u32>(i * length / out, ((i + 1u) * length + out - 1u) / out);
    }
    let centre = (2u * i + 1u) * length;
    let reach = 2u * max(length, out);
    let first = select((centre - reach - out) / (2u * out) + 1u, 0u, centre < reach + out);
    return vec2<u32>(first, min((centre + reach + out - 1u) / (2u * out), length));
}

fn weight(i: u32, j: u32, length: u32, out: u32) -> f32 {
    if (p.area == 1u) {
        return f32(min((j + 1u) * out, (i + 1u) * length) - max(j * out, i * length));
    }
    let here = (2u * j + 1u) * out;
    let centre = (2u * i + 1u) * length;
    return f32(2u * max(length, out) - (max(here, centre) - min(here, centre)));
}

// The pixel of the result that invocation `i` makes: its row and its column before the mirror.
fn row_of(i: u32) -> u32 {
    return p.first_row + i / p.out_width;
}

fn column_of(i: u32) -> u32 {
    let x = i % p.out_width;
    return select(x, p.out_width - 1u - x, p.mirror == 1u);
}

// The mean of what the filter sees: `pixel(row, column)` of the file that includes this, of what is read.
fn filtered(row: u32, column: u32) -> vec4<f32> {
    let rows = taps(row, p.part_height, p.out_height);
    let columns = taps(column, p.part_width, p.out_width);
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var j = rows.x; j < rows.y; j++) {
        let y = min(p.top + j, p.height - 1u) - p.bound_row;
        var line = vec4<f32>(0.0);
        var across = 0.0;
        for (var k = columns.x; k < columns.y; k++) {
            let share = weight(column, k, p.part_width, p.out_width);
            line += share * pixel(y, min(p.left + k, p.width - 1u));
            across += share;
        }
        let share = weight(row, j, p.part_height, p.out_height);
        sum += share * (line / across);
        total += share;
    }
    return sum / total;
}
