//! The operations. Primitives have derivatives; fused ones are made by [`crate::fuse`] from primitives and have none.

use std::rc::Rc;

use crate::ops::attention::Attention;
use crate::ops::convolution::Window;
use crate::ops::picture::ResizeMode;
use crate::shape::{Bindings, Symbol};
use crate::{StateId, WeightId};

/// What an element is. Activations are `F32` or `U32` (token ids); the others are storage formats of weights, laid out as
/// ggml does. Of a block: d, m are f16; q its integers, little end first; `K` blocks hold 256 values in groups that have
/// scales (s) and minimums (m) of a few bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    U32,
    F16,
    /// The upper half of an f32.
    BF16,
    /// d, 32 int8: d · q.
    Q8_0,
    /// d, 32 values of 4 bits: d · (q − 8).
    Q4_0,
    /// d, m, 32 values of 4 bits: d · q + m.
    Q4_1,
    /// d, the fifth bits, 32 values of 4 bits: d · (q − 16).
    Q5_0,
    /// d, m, the fifth bits, 32 values of 4 bits: d · q + m.
    Q5_1,
    /// 16 groups' s and m of 4 bits, 256 values of 2 bits, d, dm: d · s · q − dm · m.
    Q2K,
    /// The third bits, 256 values of 2 bits, 16 groups' s of 6 bits, d: d · (s − 32) · (q − 4).
    Q3K,
    /// d, dm, 8 groups' s and m of 6 bits, 256 values of 4 bits: d · s · q − dm · m.
    Q4K,
    /// d, dm, 8 groups' s and m of 6 bits, the fifth bits, 256 values of 4 bits: d · s · q − dm · m.
    Q5K,
    /// 256 values of 4 bits, their upper 2 bits, 16 groups' s of int8, d: d · s · (q − 32).
    Q6K,
}

impl DType {
    /// What a weight may be.
    pub const WEIGHTS: [DType; 13] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q8_0,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q2K,
        DType::Q3K,
        DType::Q4K,
        DType::Q5K,
        DType::Q6K,
    ];

    /// Elements in a block and the bytes a block takes in a file.
    pub const fn block(self) -> (usize, usize) {
        match self {
            DType::F32 | DType::U32 => (1, 4),
            DType::F16 | DType::BF16 => (1, 2),
            DType::Q8_0 => (32, 34),
            DType::Q4_0 => (32, 18),
            DType::Q4_1 => (32, 20),
            DType::Q5_0 => (32, 22),
            DType::Q5_1 => (32, 24),
            DType::Q2K => (256, 84),
            DType::Q3K => (256, 110),
            DType::Q4K => (256, 144),
            DType::Q5K => (256, 176),
            DType::Q6K => (256, 210),
        }
    }

    /// Where in a block its f16 factors (d, m) stand, by byte.
    pub fn factors(self) -> &'static [usize] {
        match self {
            DType::F32 | DType::U32 | DType::F16 | DType::BF16 => &[],
            DType::Q8_0 | DType::Q4_0 | DType::Q5_0 => &[0],
            DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => &[0, 2],
            DType::Q2K => &[80, 82],
            DType::Q3K => &[108],
            DType::Q6K => &[208],
        }
    }

    /// Integers in blocks that share a scale.
    pub fn is_quantized(self) -> bool {
        self.block().0 > 1
    }

    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::Q8_0 => "q8_0",
            DType::Q4_0 => "q4_0",
            DType::Q4_1 => "q4_1",
            DType::Q5_0 => "q5_0",
            DType::Q5_1 => "q5_1",
            DType::Q2K => "q2_k",
            DType::Q3K => "q3_k",
            DType::Q4K => "q4_k",
            DType::Q5K => "q5_k",
            DType::Q6K => "q6_k",
        }
    }
}

/// A row number that may be known only when the plan runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    Fixed(usize),
    Symbol(Symbol),
}

impl Index {
    pub fn eval(self, bindings: &Bindings) -> usize {
        match self {
            Index::Fixed(n) => n,
            Index::Symbol(s) => bindings.get(s),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unary {
    Exp,
    Log,
    Sqrt,
    Rsqrt,
    Recip,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Relu,
}

impl Unary {
    pub const ALL: [Unary; 10] = [
        Unary::Exp,
        Unary::Log,
        Unary::Sqrt,
        Unary::Rsqrt,
        Unary::Recip,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Relu,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    /// 1 where the left is greater, else 0. Derivative zero.
    Greater,
    /// 1 where both are equal, else 0. Derivative zero.
    Equal,
}

impl Binary {
    pub const ALL: [Binary; 7] =
        [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Greater, Binary::Equal];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    Sum,
    Max,
}

/// What a product may do to its result while it is still in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Epilogue {
    /// A row `[out]` is added.
    pub bias: bool,
    /// A tensor of the result's shape is added.
    pub residual: bool,
    /// Last.
    pub activation: Option<Activation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    Tanh,
    Sigmoid,
}

impl Activation {
    pub const ALL: [Activation; 4] = [Activation::Relu, Activation::Silu, Activation::Tanh, Activation::Sigmoid];

    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Silu => "silu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
        }
    }
}

/// One operation. Shapes of inputs and results are on the [`crate::Graph`]'s builder method of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Given anew at each run; the index into `Graph::inputs`.
    Input(usize),
    Weight(WeightId),
    State(StateId),
    Constant(Rc<[f32]>),
    /// `start, start + 1, …` as f32 (exact below 2²⁴).
    Range {
        start: Index,
    },
    Unary(Unary),
    /// `x · mul + add`.
    Affine {
        mul: f32,
        add: f32,
    },
    Binary(Binary),
    Reduce {
        op: Reduction,
        axis: usize,
    },
    MatMul {
        transpose_a: bool,
        transpose_b: bool,
    },
    /// `x · wᵀ` for a weight stored `[out, in]`; `x · w` when transposed. The weight may be quantized.
    Linear {
        transposed: bool,
    },
    Conv2d {
        window: Window,
        groups: usize,
    },
    /// The adjoint of `Conv2d` in its picture.
    Conv2dTransposed {
        window: Window,
        groups: usize,
    },
    /// The adjoint of `Conv2d` in its weight.
    Conv2dFilter {
        window: Window,
        groups: usize,
    },
    MaxPool {
        window: Window,
    },
    Resize {
        mode: ResizeMode,
    },
    Reshape,
    Broadcast,
    Permute(Vec<usize>),
    Slice {
        axis: usize,
        start: Index,
    },
    /// Zeros of the node's shape with the input written from `start` on `axis`: the adjoint of `Slice`.
    Pad {
        axis: usize,
        start: Index,
    },
    Concat {
        axis: usize,
    },
    Gather,
    ScatterAdd,
    /// Writes rows into a state in place. Its result is the state as it is afterwards.
    Write {
        start: Index,
    },
    /// Index of the largest element of the last axis; the first one of equals; `u32::MAX` where one is not a number. No
    /// derivative.
    Argmax,
    /// The `k` largest elements of the last axis and their places, largest first, the first of equals before the others. Not a
    /// number counts as larger than any number, so that it is seen. No derivative: what is chosen jumps.
    TopK {
        k: usize,
    },
    Attention(Attention),

    // Fused: made by `fuse`, never built by models, never differentiated.
    /// Zhang and Sennrich 2019, "Root Mean Square Layer Normalization". Inputs x, weight.
    RmsNorm {
        eps: f32,
    },
    /// Over the last axis.
    Softmax,
    /// Su et al. 2021, RoFormer, on adjacent pairs. Inputs x [rows, heads, head_dim], frequencies [head_dim / 2, 1].
    Rope {
        start: Index,
    },
    /// Shazeer 2020, "GLU variants": `silu(gate) · up`. Inputs gate, up.
    SwiGlu,
    /// `activation(x · wᵀ + bias + residual)`. Inputs x, weight, then bias and residual where the epilogue has them.
    FusedLinear {
        epilogue: Epilogue,
    },
    /// `activation(conv2d(enlarged x) + bias + residual)`: x is enlarged `upsample` times by nearest pixels while it is
    /// read. Inputs x, weight, then bias and residual where the epilogue has them.
    FusedConv2d {
        window: Window,
        groups: usize,
        upsample: usize,
        epilogue: Epilogue,
    },
    /// Wu and He 2018, "Group Normalization", on `[n, h, w, c]`, then SiLU where asked. Inputs x, weight `[c]`, bias `[c]`.
    GroupNorm {
        groups: usize,
        eps: f32,
        silu: bool,
    },
}

/// Most elements `Op::TopK` gives: a quarter of what a workgroup compares at a time, so that lists of the best get shorter.
pub const MAX_TOP_K: usize = 64;

impl Op {
    /// Lower-case name, as profiles, errors and `lantern diff` print it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input(_) => "input",
            Op::Weight(_) => "weight",
            Op::State(_) => "state",
            Op::Constant(_) => "constant",
            Op::Range { .. } => "range",
            Op::Unary(_) => "unary",
            Op::Affine { .. } => "affine",
            Op::Binary(_) => "binary",
            Op::Reduce { .. } => "reduce",
            Op::MatMul { .. } => "matmul",
            Op::Linear { .. } => "linear",
            Op::Conv2d { .. } => "conv2d",
            Op::Conv2dTransposed { .. } => "conv2d_transposed",
            Op::Conv2dFilter { .. } => "conv2d_filter",
            Op::MaxPool { .. } => "max_pool",
            Op::Resize { .. } => "resize",
            Op::Reshape => "reshape",
            Op::Broadcast => "broadcast",
            Op::Permute(_) => "permute",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Concat { .. } => "concat",
            Op::Gather => "gather",
            Op::ScatterAdd => "scatter_add",
            Op::Write { .. } => "write",
            Op::Argmax => "argmax",
            Op::TopK { .. } => "top_k",
            Op::RmsNorm { .. } => "rms_norm",
            Op::Softmax => "softmax",
            Op::Rope { .. } => "rope",
            Op::Attention(_) => "attention",
            Op::SwiGlu => "swiglu",
            Op::FusedLinear { .. } => "fused_linear",
            Op::FusedConv2d { .. } => "fused_conv2d",
            Op::GroupNorm { .. } => "group_norm",
        }
    }

    /// The window of a convolution or pooling.
    pub fn window(&self) -> Option<Window> {
        match *self {
            Op::Conv2d { window, .. }
            | Op::Conv2dTransposed { window, .. }
            | Op::Conv2dFilter { window, .. }
            | Op::FusedConv2d { window, .. }
            | Op::MaxPool { window } => Some(window),
            _ => None,
        }
    }

    /// Nodes that hold data before the plan runs.
    pub fn is_leaf(&self) -> bool {
        matches!(self, Op::Input(_) | Op::Weight(_) | Op::State(_) | Op::Constant(_) | Op::Range { .. })
    }
}
