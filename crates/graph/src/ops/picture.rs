//! Pictures, `[n, height, width, channels]`, that are made smaller or larger, or normalized.
//!
//! n may be a symbol; height, width and channels are numbers when the graph is built, since a convolution's size is no
//! bounded symbol but an expression of one. A graph per picture size is cheap: executors share what they compiled.

use super::{Back, Gradients, shape_error};
use crate::shape::Dim;
use crate::{Binary, DType, Error, Graph, NodeId, Op, Result, Window};

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
    pub(super) fn picture(&self, op: &str, x: NodeId) -> Result<(Dim, [usize; 3])> {
        self.want_f32(op, x)?;
        let shape = self.shape(x);
        match shape.0[..] {
            [n, Dim::Fixed(h), Dim::Fixed(w), Dim::Fixed(c)] => Ok((n, [h, w, c])),
            _ => Err(shape_error(op, format!("{shape} is not [n, height, width, channels], the last three fixed"))),
        }
    }
}

/// The gradient of `max_pool`: of equal largest elements each gets it, as `Reduction::Max` has it.
pub(crate) fn max_pool_gradient(g: &mut Graph, at: &Back, window: Window) -> Result<Gradients> {
    let x = at.inputs[0];
    let (_, [h, w, channels]) = g.picture("max_pool", x)?;
    let mut sum = None;
    for tap in 0..window.taps() {
        // A depthwise convolution that picks one tap: what the window saw there. Outside the picture it picks zeros,
        // and its adjoint drops what would go there.
        let picks: Vec<f32> = (0..channels * window.taps()).map(|i| f32::from(i % window.taps() == tap)).collect();
        let pick = g.constant([channels, window.kernel[0], window.kernel[1], 1], &picks)?;
        let seen = g.conv2d(x, pick, window, channels)?;
        let hit = g.binary(Binary::Equal, seen, at.id)?;
        let share = g.mul(hit, at.dy)?;
        let dx = g.conv2d_transposed(share, pick, window, channels, [h, w])?;
        sum = Some(match sum {
            Some(sum) => g.add(sum, dx)?,
            None => dx,
        });
    }
    let sum = sum.ok_or_else(|| shape_error("max_pool", "a window without taps".into()))?;
    Ok(vec![(0, sum)])
}

/// The gradient of `resize`: two products with the transposed matrices that resizing multiplies by.
pub(crate) fn resize_gradient(g: &mut Graph, at: &Back, mode: ResizeMode) -> Result<Gradients> {
    let x = at.inputs[0];
    let ((n, [h, w, c]), (_, [oh, ow, _])) = (g.picture("resize", x)?, g.picture("resize", at.dy)?);
    let rows = g.constant([oh, h], &mode.matrix(h, oh))?;
    let columns = g.constant([ow, w], &mode.matrix(w, ow))?;
    let flat = g.reshape(at.dy, [n, oh.into(), (ow * c).into()])?;
    let flat = g.matmul(rows, flat, true, false)?;
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
    let flat = g.reshape(flat, [lines, ow.into(), c.into()])?;
    let flat = g.matmul(columns, flat, true, false)?;
    Ok(vec![(0, g.reshape(flat, g.shape(x).clone())?)])
}
