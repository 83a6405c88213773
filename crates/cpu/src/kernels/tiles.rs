//! A product's results cut into items for the cores there are: a few columns of a tile of rows each.

use std::ops::Range;

use super::quantized::arch::{Arch, Chosen};

/// Below this many multiplications the thread pool's barrier costs more than it saves.
pub const ALONE: usize = 1 << 18;

/// Rows that a row of weights, once unpacked, is multiplied by: their sums stay in registers.
pub const ROWS: usize = 4;

/// Rows of activations that stay in the cache while all rows of weights pass by.
const TILE: usize = 16;

const COLUMNS: usize = 4;

pub trait Kernel: Sync {
    /// Results of that column in R rows. Each is the same for every R.
    fn run<A: Arch, const R: usize>(&self, arch: A, first_row: usize, column: usize) -> [f32; R];
}

/// Some of a product's items.
pub struct Items {
    m: usize,
    n: usize,
    range: Range<usize>,
    /// Of m · n floats, of which no other items touch these items' own.
    out: *mut f32,
}

/// `[m, n]` results of k terms each, on all cores where that is worth it.
pub fn product<K: Kernel>(arch: Chosen, kernel: &K, (m, k, n): (usize, usize, usize), out: &mut [f32]) {
    assert!(out.len() == m * n, "a product of {m} by {n} leaves its slice");
    let count = m.div_ceil(TILE) * n.div_ceil(COLUMNS);
    let out = Out(out.as_mut_ptr());
    let work = |range| arch.items(kernel, Items { m, n, range, out: out.at() });
    #[cfg(not(target_arch = "wasm32"))]
    if m * k * n > ALONE {
        return candle_core::utils::barrier_pool().execute_chunked(count, work);
    }
    let _ = k;
    work(0..count);
}

struct Out(*mut f32);

// SAFETY: each element belongs to one item, and each item to one thread.
unsafe impl Sync for Out {}

impl Out {
    fn at(&self) -> *mut f32 {
        self.0
    }
}

/// Compiled for each instruction set.
#[inline(always)]
pub fn items<A: Arch, K: Kernel>(arch: A, kernel: &K, Items { m, n, range, out }: Items) {
    let of_tile = n.div_ceil(COLUMNS);
    for item in range {
        let rows = item / of_tile * TILE..m.min((item / of_tile + 1) * TILE);
        let columns = item % of_tile * COLUMNS..n.min((item % of_tile + 1) * COLUMNS);
        // SAFETY: row and column are inside of the result, and this item's own.
        let put = |row: usize, column: usize, value: f32| unsafe { *out.add(row * n + column) = value };
        for column in columns {
            let mut row = rows.start;
            while row + ROWS <= rows.end {
                let values: [f32; ROWS] = kernel.run(arch, row, column);
                values.iter().enumerate().for_each(|(r, value)| put(row + r, column, *value));
                row += ROWS;
            }
            for row in row..rows.end {
                let [value] = kernel.run::<A, 1>(arch, row, column);
                put(row, column, value);
            }
        }
    }
}
