//! Convolutions of pictures `[n, h, w, c]` by filters `[out, kh, kw, in / groups]`: what the window sees, laid out as rows
//! (im2col, Chellapilla et al. 2006), times the filters. The rows are made for a few positions at a time, so working
//! space is bounded whatever the picture, and the epilogue finds its results in the cache.

use std::ops::Range;

use lantern_graph::{Activation, Epilogue, NodeId, Result, Window};

use super::elementwise::finish;
use super::gemm::{Matrix, gemm};
use super::parallel;
use crate::step::{Cost, Env, rows_of};
use crate::weights::Table;

/// Elements of im2col rows per core, 2 MiB, unless these are fewer than `POSITIONS` rows.
const COLUMNS: usize = 1 << 19;

/// Rows of a product at least: it first packs the whole filter.
const POSITIONS: usize = 128;

/// Elements of a filter that are widened to f32 at a time: 8 MiB at most.
const WIDENED: usize = 1 << 21;

/// Results of a depthwise convolution per piece of work.
const DEPTHWISE: usize = 1 << 15;

/// Working space that a session keeps: im2col rows per core, and filters as f32.
#[derive(Default)]
pub struct Scratch {
    columns: Vec<Vec<f32>>,
    filter: Widened,
}

/// Filters as f32. The parts of one convolution come in order, so what the first one widened serves the others.
#[derive(Default)]
struct Widened {
    values: Vec<f32>,
    /// Which result channels' filters they are.
    channels: Range<usize>,
}

/// The sizes of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    pub window: Window,
    pub groups: usize,
    /// Pixels are repeated so often on both axes before the window sees them.
    pub upsample: usize,
    /// The picture as it is stored: n, height, width, channels.
    pub x: [usize; 4],
    /// n, height, width, channels of the result.
    pub y: [usize; 4],
}

/// What is done to a convolution's result: `activation(result + bias + residual)`.
#[derive(Default, Clone, Copy)]
pub struct Finish<'f> {
    pub bias: Option<&'f [f32]>,
    /// Of the rows that are computed.
    pub residual: Option<&'f [f32]>,
    pub activation: Option<Activation>,
}

impl Geometry {
    /// Input and output channels of a group.
    fn channels(&self) -> [usize; 2] {
        [self.x[3] / self.groups, self.y[3] / self.groups]
    }

    /// Elements of a filter: what one result sums.
    pub fn terms(&self) -> usize {
        self.window.taps() * self.channels()[0]
    }

    /// One input channel a group: no sum over channels, and nothing a matrix product could win.
    pub fn is_depthwise(&self) -> bool {
        self.x[3] > 1 && self.groups == self.x[3]
    }

    /// Result rows that are computed together. Pieces start at multiples of it, whatever slices a run is cut into, so
    /// that results do not depend on the slices.
    pub fn rows_per_piece(&self) -> usize {
        let positions = if self.is_depthwise() { DEPTHWISE / self.y[3].max(1) } else { self.positions_per_product() };
        (positions / self.y[2].max(1)).max(1)
    }

    fn positions_per_product(&self) -> usize {
        (COLUMNS / self.terms().max(1)).max(POSITIONS)
    }

    /// The positions of rows `rows` of `n · oh`, as many at a time as have room, in the same steps however rows are cut.
    fn products(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let (ow, step, per_piece) = (self.y[2], self.positions_per_product(), self.rows_per_piece());
        rows.clone().step_by(per_piece).flat_map(move |row| {
            let end = (row + per_piece).min(rows.end) * ow;
            (row * ow..end).step_by(step).map(move |first| first..(first + step).min(end))
        })
    }

    /// The stored pixel on an axis (0 is height) that a tap of the window sees at a position; `None` in the padding.
    fn pixel(&self, axis: usize, position: usize, tap: usize) -> Option<usize> {
        let Window { stride, dilation, padding, .. } = self.window;
        let at = (position * stride[axis] + tap * dilation[axis]).checked_sub(padding[axis][0])? / self.upsample;
        (at < self.x[axis + 1]).then_some(at)
    }

    /// Elements of one stored picture.
    fn picture(&self) -> usize {
        self.x[1..].iter().product()
    }

    /// What the window sees of a group's channels at `positions` of `n · oh · ow`, as rows `[positions, kh, kw, in / groups]`.
    fn columns(&self, x: &[f32], group: usize, positions: Range<usize>, columns: &mut [f32]) {
        let ([_, _, w, c], [_, oh, ow, _]) = (self.x, self.y);
        let Window { kernel: [kh, kw], stride, dilation, padding, .. } = self.window;
        let [per_group, _] = self.channels();
        // Do the taps of one line of the window lie side by side?
        let in_line = self.groups == 1 && self.upsample == 1 && dilation[1] == 1;
        let (mut picture, mut oy, mut ox) =
            (positions.start / (oh * ow), positions.start / ow % oh, positions.start % ow);
        for row in columns.chunks_exact_mut(self.terms()).take(positions.len()) {
            let x = &x[picture * self.picture()..];
            for (ky, line) in row.chunks_exact_mut(kw * per_group).enumerate().take(kh) {
                let Some(iy) = self.pixel(0, oy, ky) else {
                    line.fill(0.0);
                    continue;
                };
                if in_line {
                    let (left, pad) = (ox * stride[1], padding[1][0]);
                    // Taps before the picture, and up to its end.
                    let first = pad.saturating_sub(left).min(kw);
                    let end = (w + pad).saturating_sub(left).clamp(first, kw);
                    let from = iy * w * c;
                    line[..first * c].fill(0.0);
                    if first < end {
                        let seen = from + (left + first - pad) * c..from + (left + end - pad) * c;
                        line[first * c..end * c].copy_from_slice(&x[seen]);
                    }
                    line[end * c..].fill(0.0);
                    continue;
                }
                for (kx, tap) in line.chunks_exact_mut(per_group).enumerate() {
                    match self.pixel(1, ox, kx) {
                        Some(ix) => {
                            let at = (iy * w + ix) * c + group * per_group;
                            tap.copy_from_slice(&x[at..at + per_group]);
                        }
                        None => tap.fill(0.0),
                    }
                }
            }
            ox += 1;
            if ox == ow {
                (ox, oy) = (0, oy + 1);
            }
            if oy == oh {
                (oy, picture) = (0, picture + 1);
            }
        }
    }

    /// Rows `rows` of `n · oh` of the result into `out`, which holds those alone.
    pub fn forward(
        &self,
        x: &[f32],
        filter: &Table,
        rows: Range<usize>,
        finish_with: Finish,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let ([_, _, ow, channels], terms, [_, per_group]) = (self.y, self.terms(), self.channels());
        if out.is_empty() {
            return;
        }
        if self.is_depthwise() {
            return self.depthwise(x, filter, rows, finish_with, out, scratch);
        }
        scratch.filter.start(&rows);
        let piece_len = self.rows_per_piece() * ow * channels;
        let direct = self.window.is_pointwise() && self.upsample == 1;
        for group in 0..self.groups {
            let of_group = group * per_group..(group + 1) * per_group;
            scratch.filter.for_blocks(filter, of_group, terms, |block, filter| {
                let filter = Matrix::rows(filter, block.len(), terms, terms).transposed();
                parallel::pieces(out, piece_len, &mut scratch.columns, |piece, out, columns| {
                    let first = rows.start * ow + piece * piece_len / channels;
                    let step = self.positions_per_product();
                    for (i, out) in out.chunks_mut(step * channels).enumerate() {
                        let (first, count) = (first + i * step, out.len() / channels);
                        let seen = if direct {
                            Matrix::rows(&x[first * self.x[3] + group * terms..], count, terms, self.x[3])
                        } else {
                            if columns.len() < count * terms {
                                columns.resize(count * terms, 0.0);
                            }
                            self.columns(x, group, first..first + count, columns);
                            Matrix::rows(columns, count, terms, terms)
                        };
                        gemm(seen, filter, &mut out[block.start..], channels, false);
                        let residual_at = (first - rows.start * ow) * channels;
                        finish_with.apply(out, channels, block.clone(), residual_at);
                    }
                });
            });
        }
    }

    fn depthwise(
        &self,
        x: &[f32],
        filter: &Table,
        rows: Range<usize>,
        finish_with: Finish,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let ([_, oh, ow, channels], [_, per_group]) = (self.y, self.channels());
        self.taps_first(filter, &mut scratch.filter.values);
        let taps = &scratch.filter.values;
        let piece_len = self.rows_per_piece() * ow * channels;
        parallel::pieces(out, piece_len, &mut scratch.columns, |piece, out, _| {
            let first = rows.start + piece * self.rows_per_piece();
            out.fill(0.0);
            for (i, out) in out.chunks_exact_mut(ow * channels).enumerate() {
                let (picture, oy) = ((first + i) / oh, (first + i) % oh);
                self.each_tap(picture, oy, |ox, from, tap| {
                    let out = &mut out[ox * channels..(ox + 1) * channels];
                    let (x, taps) = (&x[from..from + self.x[3]], &taps[tap * channels..(tap + 1) * channels]);
                    if per_group == 1 {
                        out.iter_mut().zip(x).zip(taps).for_each(|((out, x), tap)| *out += x * tap);
                    } else {
                        let by_channel = out.chunks_exact_mut(per_group).zip(taps.chunks_exact(per_group));
                        for ((out, taps), x) in by_channel.zip(x) {
                            out.iter_mut().zip(taps).for_each(|(out, tap)| *out += x * tap);
                        }
                    }
                });
            }
            finish_with.apply(out, channels, 0..channels, piece * piece_len);
        });
    }

    /// A filter `[out, taps]` as `[taps, out]`.
    fn taps_first(&self, filter: &Table, out: &mut Vec<f32>) {
        let (taps, channels) = (self.window.taps(), self.y[3]);
        let mut stored = vec![0.0; taps * channels];
        filter.read(0, &mut stored);
        out.resize(taps * channels, 0.0);
        super::layout::permute(&stored, &[channels, taps], &[1, 0], out);
    }

    /// `f(ox, element of x, tap)` for each pixel that result row `oy` of a picture sees.
    fn each_tap(&self, picture: usize, oy: usize, mut f: impl FnMut(usize, usize, usize)) {
        let ([_, _, w, c], Window { kernel: [kh, kw], .. }) = (self.x, self.window);
        for ky in 0..kh {
            let Some(iy) = self.pixel(0, oy, ky) else { continue };
            for ox in 0..self.y[2] {
                for kx in 0..kw {
                    if let Some(ix) = self.pixel(1, ox, kx) {
                        f(ox, picture * self.picture() + (iy * w + ix) * c, ky * kw + kx);
                    }
                }
            }
        }
    }

    /// Adds to the picture `x` what rows `rows` of `n · oh` of `y` give it: the adjoint of `forward` in x.
    pub fn transposed(&self, y: &[f32], filter: &Table, rows: Range<usize>, x: &mut [f32], scratch: &mut Scratch) {
        let ([_, oh, ow, channels], terms, [per_group, out_per_group]) = (self.y, self.terms(), self.channels());
        if rows.is_empty() || ow * channels == 0 {
            return;
        }
        if self.is_depthwise() {
            self.taps_first(filter, &mut scratch.filter.values);
            let taps = &scratch.filter.values;
            for row in rows {
                self.each_tap(row / oh, row % oh, |ox, to, tap| {
                    let y = &y[(row * ow + ox) * channels..][..channels];
                    let taps = &taps[tap * channels..(tap + 1) * channels];
                    for (i, x) in x[to..to + self.x[3]].iter_mut().enumerate() {
                        let of = i * out_per_group..(i + 1) * out_per_group;
                        *x += y[of.clone()].iter().zip(&taps[of]).map(|(y, tap)| y * tap).sum::<f32>();
                    }
                });
            }
            return;
        }
        let step = self.positions_per_product();
        scratch.filter.start(&rows);
        let Scratch { columns, filter: widened } = scratch;
        let columns = one_core(columns, step * terms);
        for positions in self.products(rows) {
            let first = positions.start;
            for group in 0..self.groups {
                let of_group = group * out_per_group..(group + 1) * out_per_group;
                widened.for_blocks(filter, of_group.clone(), terms, |block, filter| {
                    let y = Matrix::rows(&y[first * channels + block.start..], positions.len(), block.len(), channels);
                    let add = block.start > of_group.start;
                    gemm(y, Matrix::rows(filter, block.len(), terms, terms), columns, terms, add);
                });
                self.add_columns(columns, group, positions.clone(), per_group, x);
            }
        }
    }

    /// Adds im2col rows to the pixels they were taken from.
    fn add_columns(&self, columns: &[f32], group: usize, positions: Range<usize>, per_group: usize, x: &mut [f32]) {
        let ([_, _, w, c], [_, oh, ow, _], Window { kernel: [_, kw], .. }) = (self.x, self.y, self.window);
        for (row, position) in columns.chunks_exact(self.terms()).zip(positions) {
            let (picture, oy, ox) = (position / (oh * ow), position / ow % oh, position % ow);
            for (ky, line) in row.chunks_exact(kw * per_group).enumerate() {
                let Some(iy) = self.pixel(0, oy, ky) else { continue };
                for (kx, tap) in line.chunks_exact(per_group).enumerate() {
                    if let Some(ix) = self.pixel(1, ox, kx) {
                        let at = picture * self.picture() + (iy * w + ix) * c + group * per_group;
                        super::elementwise::add_to(&mut x[at..at + per_group], tap);
                    }
                }
            }
        }
    }

    /// Adds to `filter` `[out, kh, kw, in / groups]` what rows `rows` of `n · oh` of `y` give it: the adjoint of `forward`
    /// in the filter.
    pub fn filter(&self, x: &[f32], y: &[f32], rows: Range<usize>, filter: &mut [f32], scratch: &mut Scratch) {
        let ([_, oh, ow, channels], terms, [_, out_per_group]) = (self.y, self.terms(), self.channels());
        if rows.is_empty() || ow * channels == 0 {
            return;
        }
        if self.is_depthwise() {
            let taps = self.window.taps();
            for row in rows {
                self.each_tap(row / oh, row % oh, |ox, from, tap| {
                    let y = &y[(row * ow + ox) * channels..][..channels];
                    for (o, y) in y.iter().enumerate() {
                        filter[o * taps + tap] += y * x[from + o / out_per_group];
                    }
                });
            }
            return;
        }
        let step = self.positions_per_product();
        let columns = one_core(&mut scratch.columns, step * terms);
        for positions in self.products(rows) {
            let first = positions.start;
            for group in 0..self.groups {
                self.columns(x, group, positions.clone(), columns);
                let y = &y[first * channels + group * out_per_group..];
                let y = Matrix::rows(y, positions.len(), out_per_group, channels).transposed();
                let seen = Matrix::rows(columns, positions.len(), terms, terms);
                gemm(y, seen, &mut filter[group * out_per_group * terms..], terms, true);
            }
        }
    }
}

/// The first core's rows, `len` elements of them: the adjoints run on one.
fn one_core(columns: &mut Vec<Vec<f32>>, len: usize) -> &mut Vec<f32> {
    if columns.is_empty() {
        columns.push(Vec::new());
    }
    columns[0].resize(len, 0.0);
    &mut columns[0]
}

impl Finish<'_> {
    /// On channels `block` of rows of `channels`, the first of which stands at `residual_at` of the residual.
    fn apply(&self, out: &mut [f32], channels: usize, block: Range<usize>, residual_at: usize) {
        let Finish { bias, residual, activation } = *self;
        if bias.is_none() && residual.is_none() && activation.is_none() {
            return;
        }
        let bias = bias.map(|bias| &bias[block.clone()]);
        let residual = residual.map(|residual| &residual[residual_at..residual_at + out.len()]);
        if block.len() == channels {
            return finish(out, bias, residual, activation);
        }
        for (i, row) in out.chunks_exact_mut(channels).enumerate() {
            let residual = residual.map(|residual| &residual[i * channels + block.start..i * channels + block.end]);
            finish(&mut row[block.clone()], bias, residual, activation);
        }
    }
}

impl Widened {
    /// Forgets the last convolution's filters where `rows` are the first of another.
    fn start(&mut self, rows: &Range<usize>) {
        if rows.start == 0 {
            self.channels = 0..0;
        }
    }

    /// `f(channels, their filters as f32)` for the filters of `channels`, a bounded number at a time where they must be
    /// widened.
    fn for_blocks(
        &mut self,
        filter: &Table,
        channels: Range<usize>,
        terms: usize,
        mut f: impl FnMut(Range<usize>, &[f32]),
    ) {
        if let Some(floats) = filter.floats() {
            return f(channels.clone(), &floats[channels.start * terms..channels.end * terms]);
        }
        let step = (WIDENED / terms.max(1)).max(1);
        for first in channels.clone().step_by(step) {
            let block = first..(first + step).min(channels.end);
            if self.channels != block {
                self.values.resize(block.len() * terms, 0.0);
                filter.read(first * terms, &mut self.values);
                self.channels = block.clone();
            }
            f(block, &self.values);
        }
    }
}

impl Env<'_> {
    /// Sizes of a convolution of an `upsample` times enlarged picture.
    pub(crate) fn conv2d(&self, id: NodeId, window: Window, groups: usize, upsample: usize) -> Result<Geometry> {
        let (x, y) = (self.picture(self.node(id).inputs[0])?, self.picture(id)?);
        Ok(Geometry { window, groups, upsample, x, y })
    }

    pub(crate) fn conv2d_transposed(&self, id: NodeId, window: Window, groups: usize) -> Result<Geometry> {
        let (x, y) = (self.picture(id)?, self.picture(self.node(id).inputs[0])?);
        Ok(Geometry { window, groups, upsample: 1, x, y })
    }

    pub(crate) fn conv2d_filter(&self, id: NodeId, window: Window, groups: usize) -> Result<Geometry> {
        let inputs = &self.node(id).inputs;
        let (x, y) = (self.picture(inputs[0])?, self.picture(inputs[1])?);
        Ok(Geometry { window, groups, upsample: 1, x, y })
    }

    /// Of a convolution or an adjoint of one, by rows of y.
    pub(crate) fn convolution_cost(&self, geometry: &Geometry) -> Cost {
        let y = geometry.y;
        let rows = Cost::new(y[0] * y[1], &[y[2], y[3], geometry.terms()], geometry.rows_per_piece());
        if geometry.is_depthwise() { rows } else { rows.fast() }
    }

    pub(crate) fn convolve(
        &self,
        id: NodeId,
        geometry: &Geometry,
        epilogue: &Epilogue,
        part: Range<usize>,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let at = rows_of(&part, geometry.y[2] * geometry.y[3]);
        let [bias, residual] = self.epilogue(id, epilogue)?;
        let residual = residual.map(|residual| &residual[at.clone()]);
        let finish = Finish { bias, residual, activation: epilogue.activation };
        let inputs = &self.node(id).inputs;
        geometry.forward(self.floats(inputs[0])?, &self.table(inputs[1])?, part, finish, &mut out[at], scratch);
        Ok(())
    }
}
