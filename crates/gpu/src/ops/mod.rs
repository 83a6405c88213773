//! The operations on the GPU, a file for each family: their kernels with variants and self-tests, and how a node becomes steps.
//! The tables here have a line for each operation: a new one does not compile before it has its place in both.

pub(crate) mod attention;
pub(crate) mod convolution;
pub(crate) mod elementwise;
pub(crate) mod layout;
pub(crate) mod measure;
pub(crate) mod picture;
pub(crate) mod product;
pub(crate) mod reduce;
pub(crate) mod rows;

use lantern_graph::{Count, Dim, Epilogue, Graph, NodeId, Op, Result};

use self::convolution::Conv;
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::Kernel;
use crate::lower::{Lowering, fixed, is_view};
use crate::step::Slot;

/// A product with nothing added to it.
const PLAIN: Epilogue = Epilogue { bias: false, residual: false, activation: None };

/// The kernels that a node takes at a tier.
///
/// # Errors
/// `gpu.graph` for what no kernel does.
pub(crate) fn kernels(graph: &Graph, id: NodeId, tier: Tier) -> Result<Vec<Kernel>> {
    let node = graph.node(id);
    Ok(match &node.op {
        Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) => vec![],
        Op::Range { .. } => vec![Kernel::Range],
        Op::Unary(op) => vec![Kernel::Unary(*op)],
        Op::Affine { .. } => vec![Kernel::Affine],
        Op::Binary(op) => vec![Kernel::Binary(*op)],
        Op::SwiGlu => vec![Kernel::SwiGlu],
        Op::Reshape | Op::Slice { .. } if is_view(graph, id) => vec![],
        Op::Reshape | Op::Slice { .. } | Op::Broadcast | Op::Permute(_) | Op::Concat { .. } => vec![Kernel::Copy],
        Op::Pad { .. } => vec![Kernel::Range, Kernel::Copy],
        Op::Write { .. } => layout::write_kernels(graph, id),
        Op::Reduce { op, .. } => vec![Kernel::Reduce(*op)],
        Op::Argmax => vec![Kernel::Argmax],
        Op::TopK { .. } => vec![Kernel::TopK],
        Op::Softmax => vec![Kernel::Softmax],
        Op::RmsNorm { .. } => reduce::rms_norm_kernels(graph, id, tier),
        Op::MatMul { .. } => vec![Kernel::MatMul],
        Op::Linear { transposed: true } => vec![product::linear_transposed_kernel(graph, id)],
        Op::Linear { transposed: false } => product::linear_kernels(graph, id, &PLAIN, tier),
        Op::FusedLinear { epilogue } => product::linear_kernels(graph, id, epilogue, tier),
        Op::Conv2d { window, groups } => conv2d(*window, *groups).kernels(graph, id, tier)?,
        Op::FusedConv2d { window, groups, upsample, epilogue } => {
            let conv = Conv { window: *window, groups: *groups, upsample: *upsample, epilogue };
            conv.kernels(graph, id, tier)?
        }
        Op::Conv2dTransposed { .. } => vec![convolution::conv2d_transposed_kernel(graph, id)?],
        Op::Conv2dFilter { .. } => vec![Kernel::ConvFilter],
        Op::MaxPool { .. } => vec![Kernel::MaxPool],
        Op::Resize { mode } => vec![Kernel::Resize(*mode)],
        Op::GroupNorm { .. } => picture::GROUP_NORM.to_vec(),
        Op::Gather => vec![rows::gather_kernel(graph, id)],
        Op::ScatterAdd => vec![Kernel::ScatterAdd],
        Op::Rope { .. } => vec![Kernel::Rope],
        Op::Attention(_) => attention::kernels(graph, id, tier)?,
    })
}

fn conv2d(window: lantern_graph::Window, groups: usize) -> Conv<'static> {
    Conv { window, groups, upsample: 1, epilogue: &PLAIN }
}

impl Lowering<'_> {
    /// The steps of a node, and where its value lies.
    pub(crate) fn node(&mut self, id: NodeId) -> Result<Slot> {
        let graph = self.graph;
        match &graph.node(id).op {
            Op::Input(i) => Ok(Slot::Input(*i)),
            Op::Weight(w) => self.weight(w.0 as usize),
            Op::State(s) => Ok(Slot::State(s.0 as usize)),
            Op::Constant(_) => Ok(Slot::Constant(id.0 as usize)),
            Op::Range { start } => self.range(id, *start),
            Op::Unary(op) => self.elements(id, Kernel::Unary(*op), [0.0; 2]),
            Op::Affine { mul, add } => self.elements(id, Kernel::Affine, [*mul, *add]),
            Op::Binary(op) => self.binary(id, *op),
            Op::SwiGlu => self.elements(id, Kernel::SwiGlu, [0.0; 2]),
            Op::Reshape => self.reshape(id),
            Op::Broadcast => self.broadcast(id),
            Op::Permute(order) => self.permute(id, order),
            Op::Slice { axis, start } => self.slice(id, *axis, *start),
            Op::Pad { axis, start } => self.pad(id, *axis, *start),
            Op::Concat { axis } => self.concat(id, *axis),
            Op::Write { start } => self.write(id, *start),
            Op::Reduce { op, axis } => self.reduce(id, *op, *axis),
            Op::Argmax => self.of_rows(id, Kernel::Argmax, vec![]),
            Op::TopK { k } => self.top_k(id, *k),
            Op::Softmax => self.of_rows(id, Kernel::Softmax, vec![]),
            Op::RmsNorm { eps } => self.rms_norm(id, *eps),
            Op::MatMul { transpose_a, transpose_b } => self.matmul(id, [*transpose_a, *transpose_b]),
            Op::Linear { transposed: true } => self.linear_transposed(id),
            Op::Linear { transposed: false } => self.linear(id, &PLAIN),
            Op::FusedLinear { epilogue } => self.linear(id, epilogue),
            Op::Conv2d { window, groups } => self.conv2d(id, conv2d(*window, *groups)),
            Op::FusedConv2d { window, groups, upsample, epilogue } => {
                self.conv2d(id, Conv { window: *window, groups: *groups, upsample: *upsample, epilogue })
            }
            Op::Conv2dTransposed { window, groups } => self.conv2d_transposed(id, *window, *groups),
            Op::Conv2dFilter { window, groups } => self.conv2d_filter(id, *window, *groups),
            Op::MaxPool { window } => self.max_pool(id, *window),
            Op::Resize { mode } => self.resize(id, *mode),
            Op::GroupNorm { groups, eps, silu } => self.group_norm(id, *groups, *eps, *silu),
            Op::Gather => self.gather(id),
            Op::ScatterAdd => self.scatter_add(id),
            Op::Rope { start } => self.rope(id, *start),
            Op::Attention(attention) => self.attention(id, attention),
        }
    }
}

/// A number of elements.
fn one(factor: usize) -> Count {
    Count { factor, symbols: Vec::new() }
}

/// Half as many: rows of halves are whole words, and pairs of a row turn together.
fn halved(count: Count) -> Count {
    Count { factor: count.factor / 2, ..count }
}

/// The number, where what has so many elements is done in parts.
///
/// # Errors
/// `gpu.graph` where it is known only when the plan runs.
fn known(count: &Count) -> Result<usize> {
    match count.symbols.first() {
        None => Ok(count.factor),
        Some(symbol) => fixed(Dim::Symbol(*symbol), "a dimension of what is done in parts"),
    }
}

/// The format of a weight, and whether its rows are whole eights, which are read at a time.
pub(crate) fn weight_of(graph: &Graph, id: NodeId) -> (Format, bool) {
    let node = graph.node(id);
    (Format::of(node.dtype), node.shape.back(0).fixed().is_some_and(|n| n.is_multiple_of(8)))
}
