//! The kernels: pieces of work, whatever the tier. What each is called, its variants and its self-test stand together in
//! `ops/`, a file for each family of operations.

use std::fmt;
use std::pin::Pin;

use lantern_graph::{Binary, NodeId, Reduction, ResizeMode, Result, Unary};

use crate::caps::{Capabilities, Tier};
use crate::device::Gpu;
use crate::format::Format;
use crate::frame;
use crate::ops::{attention, convolution, elementwise, layout, measure, picture, product, reduce, rows};
use crate::selftest::Builder;
use crate::shader::Defines;

pub use crate::ops::product::{Adds, Reads};

/// A kernel: one piece of work, whatever the tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    Unary(Unary),
    Affine,
    Binary(Binary),
    SwiGlu,
    Copy,
    Range,
    /// Rows into a state of halves.
    Pack,
    /// Halves of a state as floats, for all kernels but attention, which reads halves.
    Unpack,
    Reduce(Reduction),
    Argmax,
    TopK,
    Softmax,
    RmsNorm,
    /// Its result as int8 too, for products at the tier `dot`.
    RmsNormInt8,
    MatMul,
    /// `many` rows of activations, or one. `aligned`: columns are a multiple of eight.
    Linear {
        format: Format,
        many: bool,
        adds: Adds,
        aligned: bool,
    },
    /// Products of one row with matrices that lie one behind the other, two results at a time, and what is done with them.
    Pairs {
        format: Format,
        end: End,
    },
    /// `Linear` of many aligned rows, or `Conv`, where it makes many large tiles.
    Large {
        format: Format,
        reads: Reads,
        adds: Adds,
    },
    /// The same where tiles are few and k is long: parts of k, which `Join` adds up.
    Split {
        format: Format,
        reads: Reads,
    },
    Join {
        adds: Adds,
    },
    LinearTransposed {
        format: Format,
        aligned: bool,
    },
    /// Activations to int8, before `Linear` at the tier `dot`.
    Quantize,
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
    Gather {
        format: Format,
        aligned: bool,
    },
    ScatterAdd,
    Rope,
    /// Of many rows, which share what they read. `head_dim` is a multiple of four up to 512: its lowering sees to it. `halves`: keys
    /// and values lie in states of halves.
    Attention {
        head_dim: usize,
        halves: bool,
    },
    /// Of one row, with heads of up to 256. `heads`: query heads that share a key head, as far as a workgroup takes them.
    AttentionRow {
        head_dim: usize,
        halves: bool,
        heads: usize,
    },
    /// The pieces of one row's keys together; `int8`: as int8 too.
    AttentionJoin {
        int8: bool,
    },
    /// A picture into a tensor, a tensor into a picture, and two pictures compared: see `frame/`.
    FrameIn,
    FrameOut,
    FrameDifference,
    /// Measures the adapter: memory to memory.
    Bandwidth,
    /// Measures the adapter: multiply-adds in registers.
    Arithmetic,
    /// Measures the adapter: dispatches that wait for each other.
    Chain,
}

/// What is done with the results of `Kernel::Pairs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// `silu(first) · second`.
    Gate,
    /// Queries and keys turn; keys and values go into their states, of halves or of floats.
    Attend { halves: bool },
}

/// What there is to know of a kernel.
pub(crate) struct Described {
    pub name: String,
    /// For each tier it is written for, the best guess first; `software` among them, which every adapter can run.
    pub variants: Vec<Variant>,
    pub test: Test,
}

/// Which of a kernel's variants: its tier, and its name among those of that tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    pub tier: Tier,
    /// Empty for the one that is taken unless a race says otherwise.
    pub name: &'static str,
}

/// `core`, `core:64x64`: what `--variant` takes.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.name.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{}", self.tier, self.name)
    }
}

impl From<Tier> for Choice {
    fn from(tier: Tier) -> Choice {
        Choice { tier, name: "" }
    }
}

/// One way to do it: a file and its constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    pub choice: Choice,
    pub file: &'static str,
    pub defines: Defines,
    /// Kernels that its self-test runs as well, and which are right only if it is.
    pub with: &'static [Kernel],
}

impl Variant {
    pub fn new(tier: Tier, file: &'static str) -> Variant {
        Variant { choice: tier.into(), file, defines: Vec::new(), with: &[] }
    }

    pub fn software(file: &'static str) -> Variant {
        Variant::new(Tier::Software, file)
    }

    pub fn core(file: &'static str) -> Variant {
        Variant::new(Tier::Core, file)
    }

    /// Another variant of that tier, to be raced against the first.
    pub fn named(mut self, name: &'static str) -> Variant {
        self.choice.name = name;
        self
    }

    pub fn define(mut self, name: &'static str, value: impl Into<String>) -> Variant {
        self.defines.push((name, value.into()));
        self
    }

    pub fn flag(self, name: &'static str, on: bool) -> Variant {
        if on { self.define(name, "") } else { self }
    }

    pub fn defines(mut self, defines: Defines) -> Variant {
        self.defines.extend(defines);
        self
    }

    pub fn with(mut self, kernels: &'static [Kernel]) -> Variant {
        self.with = kernels;
        self
    }
}

pub(crate) type Build = Box<dyn Fn(&mut Builder) -> Result<NodeId>>;

pub(crate) type OwnTest = for<'g> fn(&'g Gpu) -> Pin<Box<dyn Future<Output = Result<()>> + 'g>>;

/// How a kernel is tested before it is used.
pub(crate) enum Test {
    /// On a small piece of work of odd sizes: the node whose value is compared, and how far it may be off, relative to the
    /// largest magnitude.
    Case(Build, f32),
    /// In its own way: no graph has it.
    Own(OwnTest),
    /// By the tests of the kernels that name it in [`Variant::with`].
    WithOthers,
    /// Not at all: it only measures.
    Measures,
}

/// Against f32 arithmetic in another order: some ulps times the length of the sums.
const REORDERED: f32 = 1e-4;

impl Test {
    pub fn case(build: impl Fn(&mut Builder) -> Result<NodeId> + 'static) -> Test {
        Test::Case(Box::new(build), REORDERED)
    }
}

impl Kernel {
    pub(crate) fn described(self) -> Described {
        match self {
            Kernel::Unary(op) => elementwise::unary(op),
            Kernel::Affine => elementwise::affine(),
            Kernel::Binary(op) => elementwise::binary(op),
            Kernel::SwiGlu => elementwise::swiglu(),
            Kernel::Copy => layout::copy(),
            Kernel::Range => layout::range(),
            Kernel::Pack => layout::pack(),
            Kernel::Unpack => layout::unpack(),
            Kernel::Reduce(op) => reduce::reduce(op),
            Kernel::Argmax => reduce::argmax(),
            Kernel::TopK => reduce::top_k(),
            Kernel::Softmax => reduce::softmax(),
            Kernel::RmsNorm => reduce::rms_norm(),
            Kernel::RmsNormInt8 => reduce::rms_norm_int8(),
            Kernel::MatMul => product::matmul(),
            Kernel::Linear { format, many: false, adds, aligned } => product::gemv(format, adds, aligned),
            Kernel::Linear { format, many: true, adds, aligned } => product::gemm(format, adds, aligned),
            Kernel::Pairs { format, end } => product::pairs(format, end),
            Kernel::Large { format, reads, adds } => product::large(format, reads, adds),
            Kernel::Split { format, reads } => product::split(format, reads),
            Kernel::Join { adds } => product::join(adds),
            Kernel::LinearTransposed { format, aligned } => product::linear_transposed(format, aligned),
            Kernel::Quantize => product::quantize(),
            Kernel::Conv { format, adds } => convolution::conv(format, adds),
            Kernel::ConvDirect { format, adds } => convolution::conv_direct(format, adds),
            Kernel::Depthwise { adds } => convolution::depthwise(adds),
            Kernel::ConvTransposed { format } => convolution::conv_transposed(format),
            Kernel::ConvFilter => convolution::conv_filter(),
            Kernel::MaxPool => picture::max_pool(),
            Kernel::Resize(mode) => picture::resize(mode),
            Kernel::GroupNormParts => picture::group_norm_parts(),
            Kernel::GroupNormFold => picture::group_norm_fold(),
            Kernel::GroupNormApply => picture::group_norm_apply(),
            Kernel::Gather { format, aligned } => rows::gather(format, aligned),
            Kernel::ScatterAdd => rows::scatter_add(),
            Kernel::Rope => attention::rope(),
            Kernel::Attention { head_dim, halves } => attention::attention(head_dim, halves),
            Kernel::AttentionRow { head_dim, halves, heads } => attention::row(head_dim, halves, heads),
            Kernel::AttentionJoin { int8 } => attention::join(int8),
            Kernel::FrameIn => frame::frame_in(),
            Kernel::FrameOut => frame::frame_out(),
            Kernel::FrameDifference => frame::frame_difference(),
            Kernel::Bandwidth => measure::bandwidth(),
            Kernel::Arithmetic => measure::arithmetic(),
            Kernel::Chain => measure::chain(),
        }
    }

    /// The kernel whose race counts for this one too: what is added to a product changes little.
    pub(crate) fn raced_as(self) -> Kernel {
        match self {
            Kernel::Linear { format, many, aligned, .. } => Kernel::Linear { format, many, adds: Adds::NONE, aligned },
            Kernel::Pairs { format, .. } => Kernel::Linear { format, many: false, adds: Adds::NONE, aligned: true },
            Kernel::Conv { format, .. } => Kernel::Conv { format, adds: Adds::NONE },
            Kernel::Large { format, reads, .. } => Kernel::Large { format, reads, adds: Adds::NONE },
            kernel => kernel,
        }
    }

    /// Is there another way where it works at no tier?
    pub(crate) fn is_spare(self) -> bool {
        matches!(self, Kernel::RmsNormInt8 | Kernel::AttentionJoin { int8: true } | Kernel::Pairs { .. })
    }

    /// A piece of work as large as models have, to race its variants on; `None` where it has no race. `small`: where nobody waits
    /// for a true answer.
    pub(crate) fn trial(self, small: bool) -> Option<Build> {
        let many = |n: usize| if small { n / 16 } else { n };
        match self {
            Kernel::Linear { format, many: false, aligned: true, .. } => Some(product::trial(format, [1, 2048, 2048])),
            Kernel::Large { format, reads: Reads::Patches, .. } => Some(convolution::trial(format, many(64))),
            Kernel::Split { format, reads: Reads::Patches } => Some(convolution::trial(format, many(32))),
            Kernel::Large { format, .. } => Some(product::trial(format, [many(512), many(4096), 1024])),
            Kernel::Split { format, .. } => Some(product::trial(format, [many(256), many(1024), 2048])),
            Kernel::Attention { head_dim, halves } => Some(attention::trial(head_dim, halves)),
            _ => None,
        }
    }

    /// Every kernel, with the shapes models use: what is compiled in a real browser by the tests.
    pub fn all() -> Vec<Kernel> {
        [
            elementwise::all(),
            layout::all(),
            reduce::all(),
            product::all(),
            convolution::all(),
            picture::all(),
            rows::all(),
            attention::all(),
            frame::all(),
            measure::all(),
        ]
        .concat()
    }

    pub fn name(self) -> String {
        self.described().name
    }

    pub(crate) fn variant(self, choice: Choice) -> Option<Variant> {
        self.described().variants.into_iter().find(|variant| variant.choice == choice)
    }

    /// Is there a variant for exactly this tier? Where not, the next tier down serves.
    pub fn is_written_for(self, tier: Tier) -> bool {
        self.variant(tier.into()).is_some()
    }

    /// All variants there are.
    pub fn choices(self) -> Vec<Choice> {
        self.described().variants.into_iter().map(|variant| variant.choice).collect()
    }

    /// The variants for this adapter, from `tier` down, the best guess first.
    pub fn choices_from(self, tier: Tier, caps: &Capabilities) -> Vec<Choice> {
        let all = self.choices();
        let of = |tier: Tier| all.iter().copied().filter(move |choice| choice.tier == tier);
        tier.steps_down().filter(|tier| caps.has(*tier)).flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kernel_has_a_name_of_its_own_and_a_variant_for_software() {
        let mut names = HashSet::new();
        for kernel in Kernel::all() {
            assert!(names.insert(kernel.name()), "{} is listed twice, or two are called so", kernel.name());
            assert!(kernel.is_written_for(Tier::Software), "{}", kernel.name());
            let mut choices = HashSet::new();
            for choice in kernel.choices() {
                assert!(choices.insert(choice), "{} has two variants {choice}", kernel.name());
                assert!(kernel.is_written_for(choice.tier), "{}: {choice} has no default beside it", kernel.name());
            }
        }
    }
}
