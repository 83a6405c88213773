//! The kernels: which file serves which kernel at which tier.

use lantern_graph::{Binary, DType, Epilogue, Reduction, ResizeMode, Unary};

use crate::caps::{Capabilities, Tier};
use crate::shader::Defines;

/// The layouts weights are repacked to at load (see `weights.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    F32,
    F16,
    Bf16,
    /// Integers of 2 to 6 or 8 bits, in groups of 16 or 32 that share a scale. They are centred (8 bits are signed, others
    /// have an offset of half their range), or have a minimum per group that is added.
    Int {
        bits: usize,
        group: usize,
        minimum: bool,
    },
}

impl Format {
    pub const Q4: Format = Format::Int { bits: 4, group: 32, minimum: false };
    pub const Q8: Format = Format::Int { bits: 8, group: 32, minimum: false };
    const Q2_MIN: Format = Format::Int { bits: 2, group: 16, minimum: true };
    const Q3: Format = Format::Int { bits: 3, group: 16, minimum: false };
    const Q4_MIN: Format = Format::Int { bits: 4, group: 32, minimum: true };
    const Q5: Format = Format::Int { bits: 5, group: 32, minimum: false };
    const Q5_MIN: Format = Format::Int { bits: 5, group: 32, minimum: true };
    const Q6: Format = Format::Int { bits: 6, group: 16, minimum: false };

    pub const ALL: [Format; 11] = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q2_MIN,
        Format::Q3,
        Format::Q4,
        Format::Q4_MIN,
        Format::Q5,
        Format::Q5_MIN,
        Format::Q6,
        Format::Q8,
    ];

    /// Those of weights that come with a bias or as a convolution's filter. The others are language models', and their
    /// convolutions are refused.
    pub const PICTURES: [Format; 4] = [Format::F32, Format::F16, Format::Q4, Format::Q8];

    pub fn of(dtype: DType) -> Format {
        match dtype {
            DType::F32 | DType::U32 => Format::F32,
            DType::F16 => Format::F16,
            DType::BF16 => Format::Bf16,
            DType::Q2K => Format::Q2_MIN,
            DType::Q3K => Format::Q3,
            DType::Q4_0 => Format::Q4,
            DType::Q4_1 | DType::Q4K => Format::Q4_MIN,
            DType::Q5_0 => Format::Q5,
            DType::Q5_1 | DType::Q5K => Format::Q5_MIN,
            DType::Q6K => Format::Q6,
            DType::Q8_0 => Format::Q8,
        }
    }

    pub fn name(self) -> String {
        match self {
            Format::F32 => "f32".into(),
            Format::F16 => "f16".into(),
            Format::Bf16 => "bf16".into(),
            Format::Int { bits, minimum, .. } => format!("q{bits}{}", if minimum { "_min" } else { "" }),
        }
    }

    pub fn is_quantized(self) -> bool {
        matches!(self, Format::Int { .. })
    }

    /// The bits of a value that are kept together first, and those kept after them.
    pub(crate) fn planes(bits: usize) -> (usize, usize) {
        let low = if bits < 4 { 2 } else { bits / 4 * 4 };
        (low, bits - low)
    }

    /// What `weight_*.wgsl` and `scales.wgsl` want defined.
    fn defines(self) -> Defines {
        let word = |name: &'static str, value: String| (name, value);
        let Format::Int { bits, group, minimum } = self else {
            let file = if self == Format::F32 { "f32" } else { "f16" };
            let mut defines = vec![word("FORMAT", file.into())];
            defines.extend((self == Format::Bf16).then(|| word("BF16", String::new())));
            return defines;
        };
        let file = if matches!(bits, 4 | 8) { format!("q{bits}") } else { "packed".into() };
        let (low, high) = Format::planes(bits);
        let offset = if minimum || bits == 8 { 0 } else { 1 << (bits - 1) };
        let mut defines = vec![
            word("FORMAT", file),
            word("BITS", bits.to_string()),
            word("LOW_BITS", low.to_string()),
            word("OFFSET", offset.to_string()),
            word("GROUP_CHUNKS", (group / 8).to_string()),
        ];
        let flags = [
            ("CRUMBS", low == 2),
            ("HIGH_BIT", high == 1),
            ("HIGH_CRUMBS", high == 2),
            ("MINIMUM", minimum),
            ("WIDE_GROUPS", group == 32),
        ];
        defines.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| word(name, String::new())));
        defines
    }
}

/// What is added to a product while its result is in registers. The activation is a number of the dispatch: it costs a
/// branch that all invocations take alike, and saves a compilation per kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adds {
    pub bias: bool,
    pub residual: bool,
}

impl Adds {
    pub const NONE: Adds = Adds { bias: false, residual: false };
    pub const ALL: [Adds; 4] = [
        Adds::NONE,
        Adds { bias: true, residual: false },
        Adds { bias: false, residual: true },
        Adds { bias: true, residual: true },
    ];

    pub fn of(epilogue: &Epilogue) -> Adds {
        Adds { bias: epilogue.bias, residual: epilogue.residual }
    }

    fn suffix(self) -> &'static str {
        match (self.bias, self.residual) {
            (false, false) => "",
            (true, false) => "_bias",
            (false, true) => "_add",
            (true, true) => "_bias_add",
        }
    }

    fn defines(self) -> Defines {
        let mut defines = Vec::new();
        defines.extend(self.bias.then(|| ("BIAS", String::new())));
        defines.extend(self.residual.then(|| ("RESIDUAL", String::new())));
        defines
    }
}

/// A kernel: one piece of work, whatever the tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    Unary(Unary),
    Affine,
    Binary(Binary),
    Copy,
    Range,
    Reduce(Reduction),
    Argmax,
    TopK,
    MatMul,
    /// `many` rows of activations, or one. `aligned`: columns are a multiple of eight.
    Linear {
        format: Format,
        many: bool,
        adds: Adds,
        aligned: bool,
    },
    /// A convolution of channels in eights as an implicit matrix product.
    Conv {
        format: Format,
        adds: Adds,
    },
    /// A convolution in groups or of any number of channels, a result an invocation.
    ConvDirect {
        format: Format,
        adds: Adds,
    },
    /// A convolution of each channel by itself with f32 weights, four channels an invocation.
    Depthwise {
        adds: Adds,
    },
    ConvTransposed {
        format: Format,
    },
    ConvFilter,
    MaxPool,
    Resize(ResizeMode),
    /// Mean and spread of parts of a picture, per group.
    GroupNormParts,
    /// The parts together, as a factor and an offset per channel.
    GroupNormFold,
    GroupNormApply,
    LinearTransposed {
        format: Format,
        aligned: bool,
    },
    Gather {
        format: Format,
        aligned: bool,
    },
    ScatterAdd,
    RmsNorm,
    Softmax,
    Rope,
    /// `head_dim` is a multiple of four, up to 256, in tiles up to 512: `lower/` sees to it. `halves`: keys and values lie in
    /// states of halves. `tiled`: many rows, which share what they read.
    Attention {
        head_dim: usize,
        halves: bool,
        tiled: bool,
    },
    /// Rows into a state of halves.
    Pack,
    /// Halves of a state as floats, for all kernels but attention, which reads halves.
    Unpack,
    SwiGlu,
    /// Activations to int8, before `Linear` at the tier `dot`.
    Quantize,
    /// A picture into a tensor, a tensor into a picture, and two pictures compared: see `frame/`.
    FrameIn,
    FrameOut,
    FrameDifference,
    /// Measures the adapter: memory to memory.
    Bandwidth,
    /// Measures the adapter: multiply-adds in registers.
    Arithmetic,
}

/// One way to do it: a file and its constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub file: &'static str,
    pub defines: Defines,
}

impl Kernel {
    pub fn name(self) -> String {
        match self {
            Kernel::Unary(op) => format!("unary_{op:?}").to_lowercase(),
            Kernel::Affine => "affine".into(),
            Kernel::Binary(op) => format!("binary_{op:?}").to_lowercase(),
            Kernel::Copy => "copy".into(),
            Kernel::Range => "range".into(),
            Kernel::Reduce(op) => format!("reduce_{op:?}").to_lowercase(),
            Kernel::Argmax => "argmax".into(),
            Kernel::TopK => "top_k".into(),
            Kernel::MatMul => "matmul".into(),
            Kernel::Linear { format, many, adds, aligned } => format!(
                "{}_{}{}{}",
                if many { "gemm" } else { "gemv" },
                format.name(),
                adds.suffix(),
                if aligned { "" } else { "_odd" }
            ),
            Kernel::Conv { format, adds } => format!("conv_{}{}", format.name(), adds.suffix()),
            Kernel::ConvDirect { format, adds } => format!("conv_direct_{}{}", format.name(), adds.suffix()),
            Kernel::Depthwise { adds } => format!("depthwise{}", adds.suffix()),
            Kernel::ConvTransposed { format } => format!("conv_transposed_{}", format.name()),
            Kernel::ConvFilter => "conv_filter".into(),
            Kernel::MaxPool => "max_pool".into(),
            Kernel::Resize(mode) => format!("resize_{mode:?}").to_lowercase(),
            Kernel::GroupNormParts => "group_norm_parts".into(),
            Kernel::GroupNormFold => "group_norm_fold".into(),
            Kernel::GroupNormApply => "group_norm_apply".into(),
            Kernel::LinearTransposed { format, aligned } => {
                format!("linear_transposed_{}{}", format.name(), if aligned { "" } else { "_odd" })
            }
            Kernel::Gather { format, aligned } => {
                format!("gather_{}{}", format.name(), if aligned { "" } else { "_odd" })
            }
            Kernel::ScatterAdd => "scatter_add".into(),
            Kernel::RmsNorm => "rms_norm".into(),
            Kernel::Softmax => "softmax".into(),
            Kernel::Rope => "rope".into(),
            Kernel::Attention { head_dim, halves, tiled } => {
                let (tiled, halves) = (if tiled { "_tiled" } else { "" }, if halves { "_f16" } else { "" });
                format!("attention_{head_dim}{tiled}{halves}")
            }
            Kernel::Pack => "pack".into(),
            Kernel::Unpack => "unpack".into(),
            Kernel::SwiGlu => "swiglu".into(),
            Kernel::Quantize => "quantize".into(),
            Kernel::FrameIn => "frame_in".into(),
            Kernel::FrameOut => "frame_out".into(),
            Kernel::FrameDifference => "frame_difference".into(),
            Kernel::Bandwidth => "bandwidth".into(),
            Kernel::Arithmetic => "arithmetic".into(),
        }
    }

    /// Every kernel, with the shapes models use: what is compiled in a real browser by the tests.
    pub fn all() -> Vec<Kernel> {
        let mut all = vec![
            Kernel::Affine,
            Kernel::Copy,
            Kernel::Range,
            Kernel::Argmax,
            Kernel::TopK,
            Kernel::MatMul,
            Kernel::ScatterAdd,
            Kernel::RmsNorm,
            Kernel::Softmax,
            Kernel::Rope,
            Kernel::SwiGlu,
            Kernel::Pack,
            Kernel::Unpack,
            Kernel::Quantize,
            Kernel::ConvFilter,
            Kernel::MaxPool,
            Kernel::Resize(ResizeMode::Nearest),
            Kernel::Resize(ResizeMode::Bilinear),
            Kernel::GroupNormParts,
            Kernel::GroupNormFold,
            Kernel::GroupNormApply,
            Kernel::FrameIn,
            Kernel::FrameOut,
            Kernel::FrameDifference,
            Kernel::Bandwidth,
            Kernel::Arithmetic,
        ];
        all.extend(Adds::ALL.map(|adds| Kernel::Depthwise { adds }));
        all.extend(Unary::ALL.map(Kernel::Unary));
        all.extend(Binary::ALL.map(Kernel::Binary));
        all.extend([Reduction::Sum, Reduction::Max].map(Kernel::Reduce));
        // Of language models, and of diffusion models and their autoencoders.
        for head_dim in [8, 32, 64, 80, 96, 112, 128] {
            let kernel = |halves: bool| [false, true].map(|tiled| Kernel::Attention { head_dim, halves, tiled });
            all.extend([false, true].into_iter().flat_map(kernel));
        }
        all.extend([40, 48, 72, 160, 512].map(|head_dim| Kernel::Attention { head_dim, halves: false, tiled: true }));
        for format in Format::ALL {
            // Quantized rows are whole groups of 32, so never odd.
            let alignments: &[bool] = if format.is_quantized() { &[true] } else { &[true, false] };
            let pictures = Format::PICTURES.contains(&format);
            let adds = Adds::ALL.into_iter().filter(|adds| pictures || !adds.bias);
            for &aligned in alignments {
                all.extend([Kernel::Gather { format, aligned }, Kernel::LinearTransposed { format, aligned }]);
                for many in [false, true] {
                    all.extend(adds.clone().map(|adds| Kernel::Linear { format, many, adds, aligned }));
                }
            }
            if pictures {
                all.extend(Adds::ALL.map(|adds| Kernel::Conv { format, adds }));
                all.extend(Adds::ALL.map(|adds| Kernel::ConvDirect { format, adds }));
                all.push(Kernel::ConvTransposed { format });
            }
        }
        all
    }

    /// The variant written for exactly this tier, if there is one. Every kernel has one for `software`.
    pub fn variant(self, tier: Tier) -> Option<Variant> {
        let plain = |file: &'static str| Some(Variant { file, defines: Vec::new() });
        let expression =
            |file: &'static str, text: &str| Some(Variant { file, defines: vec![("EXPRESSION", text.to_owned())] });
        let weight = |file: &'static str, format: Format, aligned: bool, more: Defines| {
            let mut defines = format.defines();
            defines.extend(aligned.then(|| ("ALIGNED", String::new())));
            defines.extend(more);
            Some(Variant { file, defines })
        };
        let attention = |file: &'static str, head_dim: usize, halves: bool, more: Defines| {
            let mut defines = vec![("QUADS", (head_dim / 4).to_string())];
            defines.extend(halves.then(|| ("HALVES", String::new())));
            defines.extend(more);
            Some(Variant { file, defines })
        };
        match (self, tier) {
            (Kernel::Linear { format, many: false, adds, aligned }, tier) => match tier {
                Tier::Software => weight("gemv_software.wgsl", format, aligned, adds.defines()),
                Tier::Core => weight("gemv_core.wgsl", format, aligned, adds.defines()),
                Tier::Subgroups => weight("gemv_subgroups.wgsl", format, aligned, adds.defines()),
                Tier::Dot if format.is_quantized() => weight("gemv_dot.wgsl", format, aligned, adds.defines()),
                Tier::Dot => None,
            },
            (Kernel::Linear { format, many: true, adds, aligned }, Tier::Software | Tier::Core) => {
                weight(gemm(tier), format, aligned, rows_of("activations", adds))
            }
            (Kernel::Conv { format, adds }, Tier::Software | Tier::Core) => {
                let mut defines = rows_of("patches", adds);
                defines.push(("PATCHES", String::new()));
                weight(gemm(tier), format, true, defines)
            }
            (Kernel::Argmax, Tier::Core) => plain("argmax_core.wgsl"),
            (Kernel::TopK, Tier::Core) => plain("top_k_core.wgsl"),
            (Kernel::RmsNorm, Tier::Core) => plain("rms_norm_core.wgsl"),
            (Kernel::Softmax, Tier::Core) => plain("softmax_core.wgsl"),
            (Kernel::Attention { head_dim, halves, tiled: false }, Tier::Core) => {
                attention("attention_core.wgsl", head_dim, halves, Vec::new())
            }
            (Kernel::Attention { head_dim, halves, tiled: true }, Tier::Core) => {
                attention("attention_tiled.wgsl", head_dim, halves, vec![("TILE", tile(head_dim).to_string())])
            }
            (_, Tier::Core | Tier::Subgroups | Tier::Dot) => None,
            (Kernel::Unary(op), _) => expression("unary.wgsl", unary_expression(op)),
            (Kernel::Affine, _) => expression("unary.wgsl", "v * p.mul + p.add"),
            (Kernel::Binary(op), _) => expression("binary.wgsl", binary_expression(op)),
            (Kernel::Copy, _) => plain("copy.wgsl"),
            (Kernel::Range, _) => plain("range.wgsl"),
            (Kernel::Reduce(Reduction::Sum), _) => expression("reduce.wgsl", "total + v"),
            (Kernel::Reduce(Reduction::Max), _) => expression("reduce.wgsl", "max(total, v)"),
            (Kernel::Argmax, _) => plain("argmax_software.wgsl"),
            (Kernel::TopK, _) => plain("top_k_software.wgsl"),
            (Kernel::MatMul, _) => plain("matmul.wgsl"),
            (Kernel::LinearTransposed { format, aligned }, _) => {
                weight("linear_transposed.wgsl", format, aligned, Vec::new())
            }
            (Kernel::Gather { format, aligned }, _) => weight("gather.wgsl", format, aligned, Vec::new()),
            (Kernel::ConvDirect { format, adds }, _) => {
                let mut defines = adds.defines();
                defines.push(("PATCHES", String::new()));
                weight("conv_direct.wgsl", format, false, defines)
            }
            (Kernel::Depthwise { adds }, _) => {
                let mut defines = adds.defines();
                defines.push(("PATCHES", String::new()));
                Some(Variant { file: "depthwise.wgsl", defines })
            }
            (Kernel::ConvTransposed { format }, _) => weight("conv_transposed.wgsl", format, false, Vec::new()),
            (Kernel::ConvFilter, _) => plain("conv_filter.wgsl"),
            (Kernel::MaxPool, _) => plain("max_pool.wgsl"),
            (Kernel::Resize(ResizeMode::Nearest), _) => plain("resize_nearest.wgsl"),
            (Kernel::Resize(ResizeMode::Bilinear), _) => plain("resize_bilinear.wgsl"),
            (Kernel::GroupNormParts, _) => plain("group_norm_parts.wgsl"),
            (Kernel::GroupNormFold, _) => plain("group_norm_fold.wgsl"),
            (Kernel::GroupNormApply, _) => plain("group_norm_apply.wgsl"),
            (Kernel::ScatterAdd, _) => plain("scatter_add.wgsl"),
            (Kernel::RmsNorm, _) => plain("rms_norm_software.wgsl"),
            (Kernel::Softmax, _) => plain("softmax_software.wgsl"),
            (Kernel::Rope, _) => plain("rope.wgsl"),
            (Kernel::Attention { head_dim, halves, .. }, _) => {
                let step = vectors_a_step(head_dim);
                let lines = |line: fn(usize) -> String| (0..step).map(line).collect::<Vec<_>>().join(" ");
                let total =
                    |i| format!("total[d + {i}u] = total[d + {i}u] * shrink + weight * four(v[base + d + {i}u]);");
                let more = vec![
                    ("STEP", step.to_string()),
                    ("PRODUCTS", lines(|i| format!("products += query[d + {i}u] * four(k[base + d + {i}u]);"))),
                    ("TOTALS", lines(total)),
                ];
                attention("attention_software.wgsl", head_dim, halves, more)
            }
            (Kernel::Pack, _) => plain("pack.wgsl"),
            (Kernel::Unpack, _) => plain("unpack.wgsl"),
            (Kernel::SwiGlu, _) => plain("swiglu.wgsl"),
            (Kernel::Quantize, _) => plain("quantize.wgsl"),
            (Kernel::FrameIn, _) => plain("frame_in.wgsl"),
            (Kernel::FrameOut, _) => plain("frame_out.wgsl"),
            (Kernel::FrameDifference, _) => plain("frame_difference.wgsl"),
            (Kernel::Bandwidth, _) => plain("bench_copy.wgsl"),
            (Kernel::Arithmetic, _) => plain("bench_fma.wgsl"),
        }
    }

    /// Is there a variant for exactly this tier? Where not, the next tier down serves.
    pub fn is_written_for(self, tier: Tier) -> bool {
        self.variant(tier).is_some()
    }

    /// The tiers this kernel has variants for, from `tier` down, on this adapter.
    pub fn tiers(self, tier: Tier, caps: &Capabilities) -> Vec<Tier> {
        tier.steps_down().filter(|t| caps.has(*t) && self.is_written_for(*t)).collect()
    }
}

/// Vectors of four that attention takes in one step of its inner loops where an invocation walks alone: steps are few there
/// ([`Capabilities::loop_steps`]), and SwiftShader's compiler takes no more.
fn vectors_a_step(head_dim: usize) -> usize {
    let quads = head_dim / 4;
    [8, 4, 2].into_iter().find(|step| quads.is_multiple_of(*step)).unwrap_or(1)
}

/// Queries of a tile. What an invocation gathers of them stays in its registers: fewer where heads are large.
fn tile(head_dim: usize) -> usize {
    if head_dim > 256 { 8 } else { 16 }
}

/// Steps of an invocation's loops over `keys` keys, at most: see the shaders.
pub fn attention_steps(tier: Tier, head_dim: usize, tiled: bool, keys: usize) -> usize {
    let quads = head_dim / 4;
    match (tier, tiled) {
        (Tier::Software, _) => {
            keys.saturating_mul(2 * (quads / vectors_a_step(head_dim)) + 1).saturating_add(2 * quads)
        }
        // 64 keys at once: a product, six halvings, their sum, and at most as much again for the values.
        (_, false) => keys.div_ceil(64).saturating_mul(quads + 6 + 64 + 64 + 1),
        (_, true) => {
            let (each, columns, shares) = (tile(head_dim) / 4, quads.div_ceil(16), 64 / tile(head_dim));
            let products = quads.div_ceil(8) * (2 + 8 + 8 * (each + 1) + 1);
            let weights = 6 * each + 2 * 64 / shares + 2 * shares;
            let values = 64 * (1 + columns * (each + 1)) + (columns + 1) * each;
            keys.div_ceil(64).saturating_mul(products + weights + values + 1)
        }
    }
}

fn gemm(tier: Tier) -> &'static str {
    if tier == Tier::Software { "gemm_software.wgsl" } else { "gemm_core.wgsl" }
}

/// What the rows of a matrix product are: `activations`, or the `patches` a convolution sees.
fn rows_of(file: &str, adds: Adds) -> Defines {
    let mut defines = adds.defines();
    defines.push(("ROWS", file.to_owned()));
    defines
}

fn unary_expression(op: Unary) -> &'static str {
    match op {
        Unary::Exp => "exp(v)",
        Unary::Log => "log(v)",
        Unary::Sqrt => "sqrt(v)",
        Unary::Rsqrt => "inverseSqrt(v)",
        Unary::Recip => "1.0 / v",
        Unary::Sin => "sin(v)",
        Unary::Cos => "cos(v)",
        // Some drivers compute tanh through exp(2x) and give NaN past its range.
        Unary::Tanh => "tanh(clamp(v, -15.0, 15.0))",
        Unary::Sigmoid => "1.0 / (1.0 + exp(-v))",
        Unary::Relu => "max(v, 0.0)",
    }
}

fn binary_expression(op: Binary) -> &'static str {
    match op {
        Binary::Add => "l + r",
        Binary::Sub => "l - r",
        Binary::Mul => "l * r",
        Binary::Div => "l / r",
        Binary::Max => "max(l, r)",
        Binary::Greater => "select(0.0, 1.0, l > r)",
        Binary::Equal => "select(0.0, 1.0, l == r)",
    }
}
