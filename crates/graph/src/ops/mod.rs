//! The operations, a file for each family: the methods that build them, what they cost, and their derivatives. The tables here
//! have a line for each: a new operation does not compile before it has its place in all of them.

pub(crate) mod attention;
pub(crate) mod convolution;
mod elementwise;
mod layout;
mod leaf;
pub(crate) mod picture;
mod product;
mod reduce;
mod rows;

use crate::op::{Epilogue, Op};
use crate::shape::{Dim, Shape};
use crate::{DType, Error, Graph, NodeId, ResizeMode, Result};

pub(crate) fn shape_error(op: &str, cause: String) -> Error {
    Error::new("graph.shape", format!("{op}: {cause}"), "check the shapes the model was built with")
}

impl Graph {
    /// Floating-point operations of one node with its symbols at their bounds: what plans are cut into slices by.
    pub fn flops(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let (out, of) = (self.elements(id), |i: usize| self.elements(node.inputs[i]));
        match &node.op {
            Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) | Op::Range { .. } => 0,
            Op::Unary(_) | Op::Affine { .. } | Op::Binary(_) => out,
            Op::SwiGlu => 4 * out,
            Op::Reduce { .. } | Op::Argmax | Op::TopK { .. } => of(0),
            Op::MatMul { transpose_a, .. } => product::matmul_flops(self, id, *transpose_a),
            Op::Linear { transposed } => product::linear_flops(self, id, *transposed),
            Op::FusedLinear { .. } => product::linear_flops(self, id, false),
            Op::Conv2d { window, .. } | Op::FusedConv2d { window, .. } => convolution::conv2d_flops(self, id, *window),
            Op::Conv2dTransposed { window, .. } => convolution::conv2d_transposed_flops(self, id, *window),
            Op::Conv2dFilter { .. } => convolution::conv2d_filter_flops(self, id),
            Op::MaxPool { window } => out * window.taps() as u64,
            Op::Resize { .. } | Op::GroupNorm { .. } => 8 * out,
            Op::Reshape | Op::Broadcast | Op::Permute(_) | Op::Slice { .. } | Op::Pad { .. } | Op::Concat { .. } => out,
            Op::Gather => out,
            Op::ScatterAdd => of(1),
            Op::Write { .. } => of(1),
            Op::RmsNorm { .. } | Op::Softmax | Op::Rope { .. } => 4 * out,
            Op::Attention(attention) => attention::flops(self, id, attention),
        }
    }

    /// Elements of a node with its symbols at their bounds.
    pub(crate) fn elements(&self, id: NodeId) -> u64 {
        self.shape(id).count().bound(self) as u64
    }
}

/// What a derivative is made of: a node, its inputs, and the gradient of its result.
pub(crate) struct Back<'n> {
    pub id: NodeId,
    pub inputs: &'n [NodeId],
    pub dy: NodeId,
    /// Which nodes get a gradient.
    pub needed: &'n [bool],
}

impl Back<'_> {
    pub fn wants(&self, input: usize) -> bool {
        self.needed[self.inputs[input].0 as usize]
    }
}

/// By the number of the input.
pub(crate) type Gradients = Vec<(usize, NodeId)>;

/// What each input's gradient gains from that of a node; `None` where the operation has no derivative.
pub(crate) fn gradients(g: &mut Graph, op: &Op, at: &Back) -> Result<Option<Gradients>> {
    Ok(Some(match op {
        Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) | Op::Range { .. } => Vec::new(),
        Op::Unary(op) => elementwise::unary_gradient(g, at, *op)?,
        Op::Affine { mul, .. } => elementwise::affine_gradient(g, at, *mul)?,
        Op::Binary(op) => elementwise::binary_gradient(g, at, *op)?,
        Op::Reduce { op, .. } => reduce::reduce_gradient(g, at, *op)?,
        Op::MatMul { transpose_a, transpose_b } => product::matmul_gradient(g, at, *transpose_a, *transpose_b)?,
        Op::Linear { transposed } => product::linear_gradient(g, at, *transposed)?,
        Op::Conv2d { window, groups } => convolution::conv2d_gradient(g, at, *window, *groups)?,
        Op::Conv2dTransposed { window, groups } => convolution::conv2d_transposed_gradient(g, at, *window, *groups)?,
        Op::Conv2dFilter { window, groups } => convolution::conv2d_filter_gradient(g, at, *window, *groups)?,
        Op::MaxPool { window } => picture::max_pool_gradient(g, at, *window)?,
        Op::Resize { mode } => picture::resize_gradient(g, at, *mode)?,
        Op::Reshape => layout::reshape_gradient(g, at)?,
        Op::Broadcast => layout::broadcast_gradient(g, at)?,
        Op::Permute(order) => layout::permute_gradient(g, at, order)?,
        Op::Slice { axis, start } => layout::slice_gradient(g, at, *axis, *start)?,
        Op::Pad { axis, start } => layout::pad_gradient(g, at, *axis, *start)?,
        Op::Concat { axis } => layout::concat_gradient(g, at, *axis)?,
        Op::Gather => rows::gather_gradient(g, at)?,
        Op::ScatterAdd => rows::scatter_add_gradient(g, at)?,
        Op::Attention(attention) => attention::gradient(g, at, attention)?,
        // What is chosen jumps; what is written is kept elsewhere.
        Op::Argmax | Op::TopK { .. } | Op::Write { .. } => return Ok(None),
        // Fused: rewrites come after differentiation.
        Op::RmsNorm { .. }
        | Op::Softmax
        | Op::Rope { .. }
        | Op::SwiGlu
        | Op::FusedLinear { .. }
        | Op::FusedConv2d { .. }
        | Op::GroupNorm { .. } => return Ok(None),
    }))
}

impl Graph {
    /// A fused operation as `fuse` would make it: executors' self-tests build single ones. Models use primitives.
    pub fn fused(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        let added = |epilogue: Epilogue| 2 + usize::from(epilogue.bias) + usize::from(epilogue.residual);
        let wanted = match op {
            Op::Softmax => 1,
            Op::RmsNorm { .. } | Op::Rope { .. } | Op::SwiGlu => 2,
            Op::GroupNorm { .. } => 3,
            Op::FusedLinear { epilogue } | Op::FusedConv2d { epilogue, .. } => added(epilogue),
            op => return Err(shape_error("fused", format!("{} is not made by fusion", op.name()))),
        };
        if inputs.len() != wanted {
            return Err(shape_error("fused", format!("{} of {} inputs", op.name(), inputs.len())));
        }
        // Shaped like the primitives it stands for.
        let like = match op {
            Op::FusedLinear { .. } => self.linear(inputs[0], inputs[1])?,
            Op::FusedConv2d { window, groups, upsample, .. } => {
                let x = match self.shape(inputs[0]).0[..] {
                    [_, Dim::Fixed(h), Dim::Fixed(w), _] if upsample > 1 => {
                        self.resize(inputs[0], ResizeMode::Nearest, [h * upsample, w * upsample])?
                    }
                    _ => inputs[0],
                };
                self.conv2d(x, inputs[1], window, groups)?
            }
            _ => inputs[0],
        };
        Ok(self.push(op, inputs, self.shape(like).clone(), DType::F32))
    }

    pub(crate) fn want_f32(&self, op: &str, x: NodeId) -> Result<()> {
        let dtype = self.node(x).dtype;
        if dtype == DType::F32 {
            return Ok(());
        }
        Err(Error::new(
            "graph.dtype",
            format!("{op} takes f32, not {}", dtype.name()),
            "gather or linear read other types",
        ))
    }

    fn axis_of(&self, op: &str, x: NodeId, axis: usize) -> Result<Shape> {
        let shape = self.shape(x);
        if axis < shape.rank() {
            return Ok(shape.clone());
        }
        Err(shape_error(op, format!("{shape} has no axis {axis}")))
    }
}
