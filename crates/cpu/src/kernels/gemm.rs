//! Products of f32 matrices on the `gemm` crate: its kernels are written for each instruction set and chosen as it runs.
//!
//! Measured on [4096, 576] · [64, 576]ᵀ and the like: five times candle's row-by-row products natively (AVX2, one
//! thread), three times in WebAssembly (simd128). A result's error is below 2·10⁻⁷ of the sum of its terms' magnitudes:
//! sums are f32, in blocks.

/// A matrix in a slice, by its strides.
#[derive(Clone, Copy)]
pub struct Matrix<'m> {
    data: &'m [f32],
    rows: usize,
    columns: usize,
    /// From one row to the next, and from one column to the next.
    strides: [usize; 2],
}

impl<'m> Matrix<'m> {
    /// Rows that lie one after another, `stride` elements apart.
    pub fn rows(data: &'m [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'m> {
        Matrix { data, rows, columns, strides: [stride, 1] }
    }

    pub fn transposed(self) -> Matrix<'m> {
        let [row, column] = self.strides;
        Matrix { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }

    pub fn turned(self, turn: bool) -> Matrix<'m> {
        if turn { self.transposed() } else { self }
    }

    pub fn height(&self) -> usize {
        self.rows
    }

    pub fn width(&self) -> usize {
        self.columns
    }

    /// Rows `first ..`, `count` of them or as many as there are.
    pub fn part(self, first: usize, count: usize) -> Matrix<'m> {
        let first = first.min(self.rows);
        let data = self.data.get(first * self.strides[0]..).unwrap_or_default();
        Matrix { data, rows: count.min(self.rows - first), ..self }
    }

    /// Elements of the slice that it spans.
    fn span(&self) -> usize {
        span(self.rows, self.columns, self.strides)
    }
}

fn span(rows: usize, columns: usize, [row, column]: [usize; 2]) -> usize {
    if rows * columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
}

/// `a · b`, added to what is in `out` where asked. `out` has rows `stride` elements apart; what lies between stays.
pub fn gemm(a: Matrix, b: Matrix, out: &mut [f32], stride: usize, add: bool) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert!(
        b.rows == k
            && a.span() <= a.data.len()
            && b.span() <= b.data.len()
            && span(m, n, [stride, 1]) <= out.len()
            && (stride >= n || m <= 1),
        "a product of [{m}, {k}] and [{}, {n}] leaves its slices",
        b.rows
    );
    if m * n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            (0..m).for_each(|row| out[row * stride..row * stride + n].fill(0.0));
        }
        return;
    }
    // SAFETY: the largest index each side reaches, `span`, was held to its slice's length just now; the result's rows do
    // not overlap, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.strides[1] as isize,
            a.strides[0] as isize,
            b.data.as_ptr(),
            b.strides[1] as isize,
            b.strides[0] as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, gemm};

    /// Both sides transposed, an output wider than the product, added to what was there.
    #[test]
    fn strides_are_kept() {
        let a: Vec<f32> = (0..6).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..12).map(|i| 1.0 - i as f32).collect();
        let mut out = [100.0; 11];
        // aᵀ [2, 3] · bᵀ [3, 4] into rows 6 apart.
        gemm(Matrix::rows(&a, 3, 2, 2).transposed(), Matrix::rows(&b, 4, 3, 3).transposed(), &mut out[..10], 6, true);
        for m in 0..2 {
            for n in 0..4 {
                let wanted: f32 = (0..3).map(|k| a[k * 2 + m] * b[n * 3 + k]).sum();
                assert_eq!(out[m * 6 + n], 100.0 + wanted);
            }
        }
        assert_eq!([out[4], out[5], out[10]], [100.0; 3]);
    }

    #[test]
    fn nothing_summed_is_zero() {
        let mut out = [1.0; 6];
        gemm(Matrix::rows(&[], 2, 0, 0), Matrix::rows(&[], 0, 2, 2), &mut out, 3, false);
        assert_eq!(out, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        gemm(Matrix::rows(&[], 0, 3, 3), Matrix::rows(&[0.0; 3], 3, 1, 1), &mut out, 1, false);
        assert_eq!(out[2], 1.0);
    }
}
