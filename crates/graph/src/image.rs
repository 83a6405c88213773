//! Operations on pictures, `[n, height, width, channels]`: convolutions, pooling, resizing.
//!
//! n may be a symbol; height, width and channels are numbers when the graph is built, since a convolution's size is no
//! bounded symbol but an expression of one. A graph per picture size is cheap: executors share what they compiled.

use crate::build::shape_error;
use crate::shape::Dim;
use crate::{Binary, DType, Error, Graph, NodeId, Op, Result};

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

/// How pixels between pixels are found. Centres lie at half pixels, as in PyTorch's `interpolate(align_corners=False)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// Pixel `floor(i · in / out)`.
    Nearest,
    Bilinear,
}

impl ResizeMode {
    /// The two pixels that result pixel `i` of `out` is made of, and the second one's share.
    pub fn sources(self, i: usize, length: usize, out: usize) -> (usize, usize, f32) {
        match self {
            ResizeMode::Nearest => {
                let j = i * length / out;
                (j, j, 0.0)
            }
            ResizeMode::Bilinear => {
                let at = ((i as f64 + 0.5) * length as f64 / out as f64 - 0.5).max(0.0);
                let first = (at as usize).min(length - 1);
                (first, (first + 1).min(length - 1), (at - first as f64) as f32)
            }
        }
    }

    /// The same as a matrix, `[out, length]`.
    fn matrix(self, length: usize, out: usize) -> Vec<f32> {
        let mut matrix = vec![0.0; out * length];
        for i in 0..out {
            let (first, second, share) = self.sources(i, length, out);
            matrix[i * length + first] += 1.0 - share;
            matrix[i * length + second] += share;
        }
        matrix
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

    /// The largest element under the window; what is padded does not count. x `[n, h, w, c]` → `[n, oh, ow, c]`.
    pub fn max_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let (n, [h, w, channels]) = self.picture("max_pool", x)?;
        // A window wholly in the padding has no largest element.
        if (0..2).any(|axis| window.padding[axis].iter().any(|p| *p >= window.kernel[axis]))
            || window.dilation != [1; 2]
        {
            return Err(shape_error("max_pool", format!("{window:?} pads by its size or more, or is dilated")));
        }
        let [oh, ow] = self.window_fits("max_pool", x, window, [h, w])?;
        Ok(self.push(Op::MaxPool { window }, &[x], [n, oh.into(), ow.into(), channels.into()].into(), DType::F32))
    }

    /// x `[n, h, w, c]` → `[n, size[0], size[1], c]`.
    pub fn resize(&mut self, x: NodeId, mode: ResizeMode, size: [usize; 2]) -> Result<NodeId> {
        let (n, [h, w, channels]) = self.picture("resize", x)?;
        if h * w == 0 || size.contains(&0) {
            return Err(shape_error("resize", format!("{} to {size:?}", self.shape(x))));
        }
        let shape = [n, size[0].into(), size[1].into(), channels.into()].into();
        Ok(self.push(Op::Resize { mode }, &[x], shape, DType::F32))
    }

    /// n, and height, width and channels, which are numbers.
    fn picture(&self, op: &str, x: NodeId) -> Result<(Dim, [usize; 3])> {
        self.want_f32(op, x)?;
        let shape = self.shape(x);
        match shape.0[..] {
            [n, Dim::Fixed(h), Dim::Fixed(w), Dim::Fixed(c)] => Ok((n, [h, w, c])),
            _ => Err(shape_error(op, format!("{shape} is not [n, height, width, channels], the last three fixed"))),
        }
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

    fn window_fits(&self, op: &str, x: NodeId, window: Window, size: [usize; 2]) -> Result<[usize; 2]> {
        match (window.positions(0, size[0]), window.positions(1, size[1])) {
            (Some(oh), Some(ow)) => Ok([oh, ow]),
            _ => Err(shape_error(op, format!("{window:?} does not fit into {}", self.shape(x)))),
        }
    }

    /// The gradient of `max_pool`: of equal largest elements each gets it, as `Reduction::Max` has it.
    pub(crate) fn max_pool_adjoint(&mut self, x: NodeId, y: NodeId, dy: NodeId, window: Window) -> Result<NodeId> {
        let (_, [h, w, channels]) = self.picture("max_pool", x)?;
        let mut sum = None;
        for tap in 0..window.taps() {
            // A depthwise convolution that picks one tap: what the window saw there. Outside the picture it picks zeros,
            // and its adjoint drops what would go there.
            let picks: Vec<f32> = (0..channels * window.taps()).map(|i| f32::from(i % window.taps() == tap)).collect();
            let pick = self.constant([channels, window.kernel[0], window.kernel[1], 1], &picks)?;
            let seen = self.conv2d(x, pick, window, channels)?;
            let hit = self.binary(Binary::Equal, seen, y)?;
            let share = self.mul(hit, dy)?;
            let dx = self.conv2d_transposed(share, pick, window, channels, [h, w])?;
            sum = Some(match sum {
                Some(sum) => self.add(sum, dx)?,
                None => dx,
            });
        }
        sum.ok_or_else(|| shape_error("max_pool", "a window without taps".into()))
    }

    /// The gradient of `resize`: two products with the transposed matrices that resizing multiplies by.
    pub(crate) fn resize_adjoint(&mut self, x: NodeId, dy: NodeId, mode: ResizeMode) -> Result<NodeId> {
        let ((n, [h, w, c]), (_, [oh, ow, _])) = (self.picture("resize", x)?, self.picture("resize", dy)?);
        let rows = self.constant([oh, h], &mode.matrix(h, oh))?;
        let columns = self.constant([ow, w], &mode.matrix(w, ow))?;
        let flat = self.reshape(dy, [n, oh.into(), (ow * c).into()])?;
        let flat = self.matmul(rows, flat, true, false)?;
        // One matrix per row of every picture: n · h of them, so n must be known where it is multiplied.
        let lines = match n {
            Dim::Fixed(n) => Dim::Fixed(n * h),
            Dim::Symbol(_) => {
                return Err(Error::new(
                    "graph.grad",
                    "resizing a symbol's number of pictures has no derivative",
                    "build the graph for a number of pictures",
                ));
            }
        };
        let flat = self.reshape(flat, [lines, ow.into(), c.into()])?;
        let flat = self.matmul(columns, flat, true, false)?;
        self.reshape(flat, self.shape(x).clone())
    }
}
