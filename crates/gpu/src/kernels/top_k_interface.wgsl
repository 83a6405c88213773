// The k largest of each row, largest first, the first of equals before: y [rows, 2, k], values, then places as f32.
//
// A row is cut into blocks and each gives a list of its k best as {key, place}; lists are the rows of the next dispatch,
// until a row is one block. Keys order as the numbers do, as integers: drivers may compare floats as if there were no NaN.
// NaN is the largest, so that it is seen; both zeros are alike; 0 is nothing at all.

struct Params {
    lists: u32,
    // Of a row of this dispatch: numbers first, then pairs.
    columns: u32,
    blocks: u32,
    block: u32,
    k: u32,
    is_first: u32,
    is_last: u32,
}

@auto var<storage, read> x: array<u32>;
@auto var<storage, read_write> y: array<u32>;
@auto var<uniform> p: Params;

const NOTHING: vec2<u32> = vec2<u32>(0u, 0xffffffffu);

fn key_of(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    let key = select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
    return select(select(key, 0x80000000u, magnitude == 0u), 0xffffffffu, magnitude > 0x7f800000u);
}

fn bits_of(key: u32) -> u32 {
    return select(~key, key ^ 0x80000000u, key >= 0x80000000u);
}

fn is_better(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y < b.y);
}

fn first_column(list: u32) -> u32 {
    return (list % p.blocks) * p.block;
}

fn first_element(list: u32) -> u32 {
    return (list / p.blocks) * p.columns;
}

// Where an element was at first.
fn place_of(row: u32, column: u32) -> u32 {
    if (p.is_first == 1u) {
        return column;
    }
    return x[2u * (row + column) + 1u];
}

// Element i of a list's block as {key, place}.
fn candidate(list: u32, i: u32) -> vec2<u32> {
    let column = first_column(list) + i;
    if (i >= p.block || column >= p.columns) {
        return NOTHING;
    }
    let row = first_element(list);
    if (p.is_first == 1u) {
        return vec2<u32>(key_of(x[row + column]), column);
    }
    return vec2<u32>(x[2u * (row + column)], place_of(row, column));
}

fn put(list: u32, rank: u32, best: vec2<u32>) {
    if (p.is_last == 1u) {
        y[2u * list * p.k + rank] = bits_of(best.x);
        y[(2u * list + 1u) * p.k + rank] = bitcast<u32>(f32(best.y));
    } else {
        let at = 2u * (list * p.k + rank);
        y[at] = best.x;
        y[at + 1u] = best.y;
    }
}
