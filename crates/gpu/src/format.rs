//! The layouts that weights are repacked to, and what shaders want to know of them.

use lantern_graph::DType;

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
    pub(crate) fn defines(self) -> Defines {
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

impl Format {
    /// Every format, with rows of whole eights and without. Quantized rows are whole groups of 32, so never odd.
    pub(crate) fn aligned() -> impl Iterator<Item = (Format, bool)> {
        let both = Format::ALL.into_iter().flat_map(|format| [(format, true), (format, false)]);
        both.filter(|(format, aligned)| *aligned || !format.is_quantized())
    }
}
