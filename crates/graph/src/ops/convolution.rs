//! Convolutions of pictures, `[n, height, width, channels]`, and their adjoints.

use super::{Back, Gradients, shape_error};
use crate::shape::{Count, Dim};
use crate::{DType, Graph, NodeId, Op, Result};

/// Where a convolution or a pooling looks: per axis, height first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Zeros (for pooling: nothing) before and after the picture.
    pub padding: [[usize; 2]; 2],
}

impl Window {
    /// A `size × size` window with stride 1 that keeps the picture's size; `size` is odd.
    pub fn same(size: usize) -> Window {
        Window::square(size, 1, size / 2)
    }

    /// A `size × size` window with one stride and one padding.
    pub fn square(size: usize, stride: usize, padding: usize) -> Window {
        Window { kernel: [size; 2], stride: [stride; 2], dilation: [1; 2], padding: [[padding; 2]; 2] }
    }

    /// Positions of the window on one axis of `length`; `None` where it does not fit once, or has no stride or dilation.
    pub fn positions(&self, axis: usize, length: usize) -> Option<usize> {
        if self.stride[axis] == 0 || self.dilation[axis] == 0 {
            return None;
        }
        let reach = (self.kernel[axis].checked_sub(1)?).checked_mul(self.dilation[axis])?.checked_add(1)?;
        let padded = length.checked_add(self.padding[axis][0])?.checked_add(self.padding[axis][1])?;
        Some(padded.checked_sub(reach)? / self.stride[axis] + 1)
    }

    /// Is it 1 × 1 on every pixel: a matrix product?
    pub fn is_pointwise(&self) -> bool {
        *self == Window::square(1, 1, 0)
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

impl Graph {
    /// x `[n, h, w, in]`, w `[out, kh, kw, in / groups]` (any dtype) → `[n, oh, ow, out]`. Result channel o of group
    /// `o / (out / groups)` sums its group's channels (LeCun et al. 1989; cross-correlation, as every framework has it).
    pub fn conv2d(&mut self, x: NodeId, w: NodeId, window: Window, groups: usize) -> Result<NodeId> {
        let (n, [h, wide, channels]) = self.picture("conv2d", x)?;
        let out = self.filters("conv2d", w, window, groups)?;
        if self.shape(w).back(0).bound(self) * groups != channels {
            return Err(shape_error(
                "conv2d",
                format!("{} through {} in {groups} groups", self.shape(x), self.shape(w)),
            ));
        }
        let [oh, ow] = self.window_fits("conv2d", x, window, [h, wide])?;
        Ok(self.push(Op::Conv2d { window, groups }, &[x, w], [n, oh.into(), ow.into(), out.into()].into(), DType::F32))
    }

    /// The adjoint of `conv2d` in x: y `[n, oh, ow, out]`, w `[out, kh, kw, in / groups]` → `[n, h, w, in]` for the size of
    /// which `window` makes `[oh, ow]`. PyTorch's `ConvTranspose2d` with a weight `[out, in / groups, kh, kw]`.
    pub fn conv2d_transposed(
        &mut self,
        y: NodeId,
        w: NodeId,
        window: Window,
        groups: usize,
        size: [usize; 2],
    ) -> Result<NodeId> {
        let (n, [oh, ow, channels]) = self.picture("conv2d_transposed", y)?;
        let out = self.filters("conv2d_transposed", w, window, groups)?;
        let positions = [window.positions(0, size[0]), window.positions(1, size[1])];
        if out != channels || positions != [Some(oh), Some(ow)] {
            let cause = format!("{} through {} to {size:?} in {groups} groups", self.shape(y), self.shape(w));
            return Err(shape_error("conv2d_transposed", cause));
        }
        let per_group = self.shape(w).back(0).bound(self);
        let shape = [n, size[0].into(), size[1].into(), (per_group * groups).into()].into();
        Ok(self.push(Op::Conv2dTransposed { window, groups }, &[y, w], shape, DType::F32))
    }

    /// The adjoint of `conv2d` in w: x `[n, h, w, in]`, dy `[n, oh, ow, out]` → `[out, kh, kw, in / groups]`.
    pub fn conv2d_filter(&mut self, x: NodeId, dy: NodeId, window: Window, groups: usize) -> Result<NodeId> {
        let (n, [h, wide, channels]) = self.picture("conv2d_filter", x)?;
        let (dn, [oh, ow, out]) = self.picture("conv2d_filter", dy)?;
        let positions = [window.positions(0, h), window.positions(1, wide)];
        let grouped = groups > 0 && channels * out > 0 && channels.is_multiple_of(groups) && out.is_multiple_of(groups);
        if n != dn || positions != [Some(oh), Some(ow)] || !grouped {
            let cause = format!("{} and {} by {window:?} in {groups} groups", self.shape(x), self.shape(dy));
            return Err(shape_error("conv2d_filter", cause));
        }
        let shape = [out, window.kernel[0], window.kernel[1], channels / groups].into();
        Ok(self.push(Op::Conv2dFilter { window, groups }, &[x, dy], shape, DType::F32))
    }

    /// Result channels of the weight `[out, kh, kw, in / groups]`.
    fn filters(&self, op: &str, w: NodeId, window: Window, groups: usize) -> Result<usize> {
        let shape = self.shape(w);
        let kernel = window.kernel;
        match shape.0[..] {
            [Dim::Fixed(out), kh, kw, Dim::Fixed(per_group)]
                if [kh, kw] == kernel.map(Dim::Fixed)
                    && out * per_group > 0
                    && groups > 0
                    && out.is_multiple_of(groups)
                    && self.node(w).dtype != DType::U32 =>
            {
                Ok(out)
            }
            _ => Err(shape_error(op, format!("the weight {shape} for a kernel of {kernel:?} in {groups} groups"))),
        }
    }

    pub(super) fn window_fits(&self, op: &str, x: NodeId, window: Window, size: [usize; 2]) -> Result<[usize; 2]> {
        match (window.positions(0, size[0]), window.positions(1, size[1])) {
            (Some(oh), Some(ow)) => Ok([oh, ow]),
            _ => Err(shape_error(op, format!("{window:?} does not fit into {}", self.shape(x)))),
        }
    }
}

/// Every result takes the taps of its window, each with the channels of a group.
pub(crate) fn conv2d_flops(g: &Graph, id: NodeId, window: Window) -> u64 {
    2 * g.elements(id) * taps_and_channels(g, id, window)
}

/// Every element of y goes through the taps of its window.
pub(crate) fn conv2d_transposed_flops(g: &Graph, id: NodeId, window: Window) -> u64 {
    2 * g.elements(g.node(id).inputs[0]) * taps_and_channels(g, id, window)
}

fn taps_and_channels(g: &Graph, id: NodeId, window: Window) -> u64 {
    (window.taps() * g.shape(g.node(id).inputs[1]).back(0).bound(g)) as u64
}

/// Every element of the weight sums over the positions of its window.
pub(crate) fn conv2d_filter_flops(g: &Graph, id: NodeId) -> u64 {
    let positions = &g.shape(g.node(id).inputs[1]).0[..3];
    2 * g.elements(id) * Count::product(positions).bound(g) as u64
}

// A convolution, its adjoint in the picture and its adjoint in the filter are one trilinear form seen from three sides, so
// their derivatives are each other. A quantized filter is a constant.

pub(crate) fn conv2d_gradient(g: &mut Graph, at: &Back, window: Window, groups: usize) -> Result<Gradients> {
    let (x, w, dy) = (at.inputs[0], at.inputs[1], at.dy);
    let mut out = Vec::new();
    if at.wants(0) {
        let size = sides(g, x);
        out.push((0, g.conv2d_transposed(dy, w, window, groups, size)?));
    }
    if at.wants(1) && g.node(w).dtype == DType::F32 {
        out.push((1, g.conv2d_filter(x, dy, window, groups)?));
    }
    Ok(out)
}

pub(crate) fn conv2d_transposed_gradient(g: &mut Graph, at: &Back, window: Window, groups: usize) -> Result<Gradients> {
    let (y, w, dy) = (at.inputs[0], at.inputs[1], at.dy);
    let mut out = Vec::new();
    if at.wants(0) {
        out.push((0, g.conv2d(dy, w, window, groups)?));
    }
    if at.wants(1) && g.node(w).dtype == DType::F32 {
        out.push((1, g.conv2d_filter(dy, y, window, groups)?));
    }
    Ok(out)
}

pub(crate) fn conv2d_filter_gradient(g: &mut Graph, at: &Back, window: Window, groups: usize) -> Result<Gradients> {
    let (x, y, dy) = (at.inputs[0], at.inputs[1], at.dy);
    let mut out = Vec::new();
    if at.wants(0) {
        let size = sides(g, x);
        out.push((0, g.conv2d_transposed(y, dy, window, groups, size)?));
    }
    if at.wants(1) {
        out.push((1, g.conv2d(x, dy, window, groups)?));
    }
    Ok(out)
}

/// Height and width of a picture.
fn sides(g: &Graph, x: NodeId) -> [usize; 2] {
    [g.shape(x).0[1].bound(g), g.shape(x).0[2].bound(g)]
}
