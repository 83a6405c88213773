//! Pictures `[n, h, w, c]` without filters: pooling, resizing, group norm.

use std::ops::Range;

use lantern_graph::{NodeId, ResizeMode, Result, Window};

use super::elementwise::sigmoid;
use crate::step::{Cost, Env, rows_of};

/// Rows `rows` of `n · oh` of the largest elements under the window, into `out`, which holds those alone.
pub fn max_pool(
    x: &[f32],
    [_, h, w, c]: [usize; 4],
    window: Window,
    [_, oh, ow, _]: [usize; 4],
    rows: Range<usize>,
    out: &mut [f32],
) {
    if ow * c == 0 {
        return;
    }
    out.fill(f32::NEG_INFINITY);
    let Window { kernel, stride, padding, .. } = window;
    // The pixels under the window at a position of an axis.
    let under = |axis: usize, position: usize, length: usize| {
        let start = position * stride[axis];
        let end = (start + kernel[axis]).saturating_sub(padding[axis][0]).min(length);
        start.saturating_sub(padding[axis][0])..end
    };
    for (row, out) in rows.zip(out.chunks_exact_mut(ow * c)) {
        for iy in under(0, row % oh, h) {
            let line = &x[(row / oh * h + iy) * w * c..][..w * c];
            for (ox, out) in out.chunks_exact_mut(c).enumerate() {
                for ix in under(1, ox, w) {
                    let pixel = &line[ix * c..(ix + 1) * c];
                    out.iter_mut().zip(pixel).for_each(|(out, x)| *out = if *x > *out { *x } else { *out });
                }
            }
        }
    }
}

/// Rows `rows` of `n · oh` of the resized picture, into `out`, which holds those alone.
pub fn resize(
    x: &[f32],
    [_, h, w, c]: [usize; 4],
    mode: ResizeMode,
    [_, oh, ow, _]: [usize; 4],
    rows: Range<usize>,
    out: &mut [f32],
) {
    if ow * c == 0 {
        return;
    }
    let across: Vec<_> = (0..ow).map(|ox| mode.sources(ox, w, ow)).collect();
    for (row, out) in rows.zip(out.chunks_exact_mut(ow * c)) {
        let (top, bottom, down) = mode.sources(row % oh, h, oh);
        let line = |iy: usize| &x[(row / oh * h + iy) * w * c..][..w * c];
        let (top, bottom) = (line(top), line(bottom));
        for (out, (left, right, over)) in out.chunks_exact_mut(c).zip(&across) {
            let [left, right] = [left, right].map(|ix| ix * c..(ix + 1) * c);
            if mode == ResizeMode::Nearest {
                out.copy_from_slice(&top[left]);
                continue;
            }
            let above = top[left.clone()].iter().zip(&top[right.clone()]);
            let below = bottom[left].iter().zip(&bottom[right]);
            for ((out, (a, b)), (c, d)) in out.iter_mut().zip(above).zip(below) {
                let (above, below) = (a * (1.0 - over) + b * over, c * (1.0 - over) + d * over);
                *out = above * (1.0 - down) + below * down;
            }
        }
    }
}

/// Group norm in three passes over each picture, row by row: the mean, the mean square of what is left, the result. The
/// variance is thus not a difference of large numbers. What passes hand on is kept here.
#[derive(Default)]
pub struct GroupNorm {
    /// Per channel, of the pass.
    sums: Vec<f64>,
    /// Per channel: its group's mean, what x is multiplied by after the mean is taken off, and what is added.
    means: Vec<f32>,
    scales: Vec<f32>,
}

pub struct GroupNormSize {
    pub x: [usize; 4],
    pub groups: usize,
    pub eps: f32,
    pub silu: bool,
}

impl GroupNorm {
    /// Units `units` of `3 · n · h`, which come in order: of each picture, its rows three times over.
    pub fn run(
        &mut self,
        size: &GroupNormSize,
        x: &[f32],
        (weight, bias): (&[f32], &[f32]),
        units: Range<usize>,
        out: &mut [f32],
    ) {
        let [_, h, w, c] = size.x;
        let row_len = w * c;
        if row_len == 0 {
            return;
        }
        let of_group = (h * w * c / size.groups) as f64;
        for unit in units {
            let (picture, pass, row) = (unit / (3 * h), unit % (3 * h) / h, unit % h);
            let at = (picture * h + row) * row_len;
            let line = x[at..at + row_len].chunks_exact(c);
            if row == 0 && pass < 2 {
                self.sums.clear();
                self.sums.resize(c, 0.0);
            }
            match pass {
                0 => line.for_each(|x| self.sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x))),
                1 => {
                    for x in line {
                        for ((sum, x), mean) in self.sums.iter_mut().zip(x).zip(&self.means) {
                            let left = f64::from(x - mean);
                            *sum += left * left;
                        }
                    }
                }
                _ => {
                    for (x, out) in line.zip(out[at..at + row_len].chunks_exact_mut(c)) {
                        for i in 0..c {
                            out[i] = (x[i] - self.means[i]) * self.scales[i] + bias[i];
                        }
                    }
                    if size.silu {
                        out[at..at + row_len].iter_mut().for_each(|x| *x *= sigmoid(*x));
                    }
                }
            }
            if row + 1 == h && pass < 2 {
                let per_group = c / size.groups;
                let groups = self.sums.chunks_exact(per_group);
                let means = groups.flat_map(|sums| std::iter::repeat_n(sums.iter().sum::<f64>() / of_group, per_group));
                if pass == 0 {
                    self.means = means.map(|mean| mean as f32).collect();
                } else {
                    let scale =
                        |(mean, weight): (f64, &f32)| (1.0 / (mean + f64::from(size.eps)).sqrt()) as f32 * weight;
                    self.scales = means.zip(weight).map(scale).collect();
                }
            }
        }
    }
}

impl Env<'_> {
    /// By rows of the result, with so much work for each element.
    pub(crate) fn picture_cost(&self, id: NodeId, work: usize) -> Result<Cost> {
        let [n, h, w, channels] = self.picture(id)?;
        Ok(Cost::new(n * h, &[w, channels, work], 1))
    }

    /// Three passes over the rows.
    pub(crate) fn group_norm_cost(&self, id: NodeId, silu: bool) -> Result<Cost> {
        let [n, h, w, channels] = self.picture(id)?;
        Ok(Cost::new(3 * n * h, &[w, channels, if silu { 4 } else { 2 }], 1))
    }

    pub(crate) fn max_pool(&self, id: NodeId, window: Window, part: Range<usize>, out: &mut [f32]) -> Result<()> {
        let x = self.node(id).inputs[0];
        let (from, to) = (self.picture(x)?, self.picture(id)?);
        let at = rows_of(&part, to[2] * to[3]);
        max_pool(self.floats(x)?, from, window, to, part, &mut out[at]);
        Ok(())
    }

    pub(crate) fn resize(&self, id: NodeId, mode: ResizeMode, part: Range<usize>, out: &mut [f32]) -> Result<()> {
        let x = self.node(id).inputs[0];
        let (from, to) = (self.picture(x)?, self.picture(id)?);
        let at = rows_of(&part, to[2] * to[3]);
        resize(self.floats(x)?, from, mode, to, part, &mut out[at]);
        Ok(())
    }
}
