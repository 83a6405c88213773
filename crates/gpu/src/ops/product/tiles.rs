//! How the result of a product of many rows is cut: a tile a workgroup, and where tiles are few, several workgroups a tile.
//!
//! Three kernels stand for three classes of shapes, each with a race of its own: few tiles of any kind, many large ones
//! (`Large`), and few large ones over a long k (`Split`, then `Join`).

use lantern_graph::{Activation, Count, Dim, Epilogue, Graph, NodeId, Op, Result};

use super::{Adds, Band, activation_number, rows_of};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::Lowering;
use crate::ops::convolution;
use crate::selftest::Builder;
use crate::shader::Defines;
use crate::step::{Param, Part, Slot};

/// A workgroup's tile, as `gemm_core.wgsl` reads it. At most 16 KiB of operands and 256 invocations: every adapter has that.
pub(in crate::ops) struct Tile {
    /// Of the variant; empty for the first.
    name: &'static str,
    invocations: usize,
    /// Invocations side by side.
    across: usize,
    /// Fours of rows and of columns that an invocation makes.
    quads: [usize; 2],
    /// Chunks of eight k in a step.
    chunks: usize,
}

/// 64 × 32, 8 × 4 results an invocation: most workgroups.
const SMALL: Tile = Tile { name: "", invocations: 64, across: 8, quads: [2, 1], chunks: 4 };
/// 64 × 64, 8 × 8 results an invocation: half as many reads of workgroup memory for a product.
const SQUARE: Tile = Tile { name: "64x64", invocations: 64, across: 8, quads: [2, 2], chunks: 2 };
/// 128 × 64: three quarters of what the square one reads of x and w.
const TALL: Tile = Tile { name: "128x64", invocations: 128, across: 8, quads: [2, 2], chunks: 2 };

impl Tile {
    fn rows(&self) -> usize {
        self.invocations / self.across * self.quads[0] * 4
    }

    fn columns(&self) -> usize {
        self.across * self.quads[1] * 4
    }

    /// Vectors of x and of w in workgroup memory.
    fn vectors(&self) -> [usize; 2] {
        [self.rows(), self.columns()].map(|side| side / 4 * self.chunks * 8)
    }

    fn defines(&self) -> Defines {
        let [x, w] = self.vectors();
        [
            ("INVOCATIONS", self.invocations),
            ("TILE_ROWS", self.rows()),
            ("TILE_COLUMNS", self.columns()),
            ("ACROSS", self.across),
            ("DOWN_QUADS", self.quads[0]),
            ("ACROSS_QUADS", self.quads[1]),
            ("CHUNKS", self.chunks),
            ("X_VECTORS", x),
            ("W_VECTORS", w),
            // A unit is eight vectors.
            ("FETCHES", ((x + w) / 8).div_ceil(self.invocations)),
        ]
        .map(|(name, number)| (name, number.to_string()))
        .to_vec()
    }
}

/// What the rows of x are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Of a matrix whose columns are a multiple of eight, or not.
    Rows { aligned: bool },
    /// What a convolution sees, of channels in eights.
    Patches,
}

impl Reads {
    const ALIGNED: Reads = Reads::Rows { aligned: true };

    fn defines(self, adds: Adds) -> Defines {
        let mut defines = match self {
            Reads::Rows { .. } => rows_of("activations", adds),
            Reads::Patches => rows_of("patches", adds),
        };
        defines.extend((self == Reads::Patches).then(|| ("PATCHES", String::new())));
        defines.extend((self != Reads::Rows { aligned: false }).then(|| ("ALIGNED", String::new())));
        defines
    }

    fn family(self) -> &'static str {
        if self == Reads::Patches { "conv" } else { "gemm" }
    }
}

/// The variants of a product of many rows: without barriers, then a tile after the other, the first guess first.
fn variants(format: Format, reads: Reads, adds: Adds, tiles: &[&Tile]) -> Vec<Variant> {
    let common = |variant: Variant| variant.defines(format.defines()).defines(reads.defines(adds));
    let tiled = |(i, tile): (usize, &&Tile)| {
        let variant = Variant::core("gemm_core.wgsl").defines(tile.defines());
        common(if i == 0 { variant } else { variant.named(if tile.name.is_empty() { "64x32" } else { tile.name }) })
    };
    let software = common(Variant::software("gemm_software.wgsl"));
    [software].into_iter().chain(tiles.iter().enumerate().map(tiled)).collect()
}

/// Few tiles, or columns that are no multiple of eight.
pub(in crate::ops) fn plain(format: Format, reads: Reads, adds: Adds) -> Vec<Variant> {
    variants(format, reads, adds, &[&SMALL])
}

/// The kernels of products of many large tiles, and of few.
pub(super) fn all() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Adds::ALL.into_iter().map(|adds| Kernel::Join { adds }).collect();
    for (format, _) in Format::aligned().filter(|(_, aligned)| *aligned) {
        let pictures = Format::PICTURES.contains(&format);
        for reads in [Reads::ALIGNED, Reads::Patches] {
            if reads == Reads::Patches && !pictures {
                continue;
            }
            let adds = Adds::ALL.into_iter().filter(|adds| pictures || !adds.bias);
            all.extend(adds.map(|adds| Kernel::Large { format, reads, adds }));
            all.push(Kernel::Split { format, reads });
        }
    }
    all
}

pub fn large(format: Format, reads: Reads, adds: Adds) -> Described {
    Described {
        name: format!("{}_large_{}{}", reads.family(), format.name(), adds.suffix()),
        variants: variants(format, reads, adds, &[&SQUARE, &TALL, &SMALL]),
        // A tile and a piece in both directions.
        test: Test::case(move |b| case(b, format, reads, adds)),
    }
}

const JOINS: [Kernel; 4] = [
    Kernel::Join { adds: Adds::ALL[0] },
    Kernel::Join { adds: Adds::ALL[1] },
    Kernel::Join { adds: Adds::ALL[2] },
    Kernel::Join { adds: Adds::ALL[3] },
];

pub fn split(format: Format, reads: Reads) -> Described {
    let variants = variants(format, reads, Adds::NONE, &[&SQUARE, &SMALL]);
    Described {
        name: format!("{}_split_{}", reads.family(), format.name()),
        variants: variants.into_iter().map(|variant| variant.flag("SPLIT", true).with(&JOINS)).collect(),
        test: Test::case(move |b| match (format, reads) {
            (Format::F32, Reads::Rows { .. }) => {
                // Every way to join, one after the other.
                let mut x = b.floats("x", [71, 96]);
                let w = b.weight(&[96, 96], format)?;
                for (adds, [bias, r]) in Adds::ALL.into_iter().zip([["", ""], ["b1", ""], ["", "r2"], ["b3", "r3"]]) {
                    let mut inputs = vec![x, w];
                    inputs.extend(adds.bias.then(|| b.floats(bias, [96])));
                    inputs.extend(adds.residual.then(|| b.floats(r, [71, 96])));
                    let Adds { bias, residual } = adds;
                    let epilogue = Epilogue { bias, residual, activation: Some(Activation::Tanh) };
                    x = b.graph().fused(Op::FusedLinear { epilogue }, &inputs)?;
                }
                Ok(x)
            }
            _ => case(b, format, reads, Adds::NONE),
        }),
    }
}

pub fn join(adds: Adds) -> Described {
    Described {
        name: format!("join{}", adds.suffix()),
        variants: vec![Variant::software("gemm_join.wgsl").defines(adds.defines())],
        test: Test::WithOthers,
    }
}

fn case(b: &mut Builder, format: Format, reads: Reads, adds: Adds) -> Result<NodeId> {
    if reads == Reads::Patches {
        return convolution::many_channels(b, format, adds);
    }
    let (rows, n, k) = (71, 69, b.columns(format, true));
    let x = b.floats("x", [rows, k]);
    let w = b.weight(&[n, k], format)?;
    let (mut inputs, epilogue) = b.epilogue(adds, [rows, n], Activation::Tanh);
    inputs.splice(0..0, [x, w]);
    b.graph().fused(Op::FusedLinear { epilogue }, &inputs)
}

/// Large tiles that fill a graphics card: some for each of its cores.
const MANY_TILES: usize = 512;
/// Chunks of eight k in a part, at least: less is not worth the writing and reading of its results.
const PART_CHUNKS: usize = 64;
/// Parts, at most.
const PARTS: usize = 8;

/// How a product of many rows is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Large,
    /// In so many parts.
    Split(usize),
}

impl Way {
    fn of(rows: usize, n: usize, chunks: usize) -> Way {
        let tiles = rows.div_ceil(SQUARE.rows()) * n.div_ceil(SQUARE.columns());
        if tiles >= MANY_TILES {
            return Way::Large;
        }
        match MANY_TILES.div_ceil(tiles.max(1)).min(chunks / PART_CHUNKS).min(PARTS) {
            0 | 1 => Way::Plain,
            parts => Way::Split(parts),
        }
    }

    /// The kernel that does it so.
    pub fn kernel(self, plain: Kernel) -> Kernel {
        match (self, plain) {
            (Way::Large, Kernel::Linear { format, adds, .. }) => Kernel::Large { format, reads: Reads::ALIGNED, adds },
            (Way::Large, Kernel::Conv { format, adds }) => Kernel::Large { format, reads: Reads::Patches, adds },
            (Way::Split(_), Kernel::Linear { format, .. }) => Kernel::Split { format, reads: Reads::ALIGNED },
            (Way::Split(_), Kernel::Conv { format, .. }) => Kernel::Split { format, reads: Reads::Patches },
            _ => plain,
        }
    }
}

/// How a node's product of that kernel is done at a tier. `only`: the kernel that a self-test or a race is about.
pub(super) fn way(graph: &Graph, id: NodeId, plain: Kernel, tier: Tier, only: Option<Kernel>) -> Way {
    let (node, tiled) = (graph.node(id), tier > Tier::Software);
    let (Kernel::Linear { many: true, aligned: true, .. } | Kernel::Conv { .. }, true) =
        (plain, tiled || only.is_some())
    else {
        return Way::Plain;
    };
    let Dim::Fixed(n) = node.shape.back(0) else { return Way::Plain };
    let rows = Count::product(&node.shape.0[..node.shape.rank() - 1]).bound(graph);
    let chunks = Count::product(&graph.shape(node.inputs[1]).0[1..]).bound(graph) / 8;
    match only {
        None => Way::of(rows, n, chunks),
        Some(only) => {
            [Way::Large, Way::Split(3)].into_iter().find(|way| way.kernel(plain) == only).unwrap_or(Way::Plain)
        }
    }
}

/// The kernels of a product that would be done with that one.
pub(in crate::ops) fn kernels(graph: &Graph, id: NodeId, plain: Kernel, tier: Tier) -> Vec<Kernel> {
    let way = way(graph, id, plain, tier, None);
    let join = match (way, plain) {
        (Way::Split(_), Kernel::Linear { adds, .. } | Kernel::Conv { adds, .. }) => Some(Kernel::Join { adds }),
        _ => None,
    };
    [way.kernel(plain)].into_iter().chain(join).collect()
}

/// Where a product's parts lie until they are added up.
pub(super) struct Parts {
    pub slot: Slot,
    pub count: usize,
    /// Of k, in chunks, for each.
    pub chunks: usize,
}

impl Lowering<'_> {
    /// Room for the parts of a product's longest band.
    pub(super) fn parts(&mut self, bands: &[Band], n: usize, chunks: usize, count: usize) -> Parts {
        let each = chunks.div_ceil(count).max(1);
        let count = chunks.div_ceil(each);
        let rows = bands.iter().map(|band| band.rows.bound(self.graph)).max().unwrap_or(0);
        Parts { slot: self.temporary(count * rows * n), count, chunks: each }
    }

    /// Adds the parts of a band up.
    pub(super) fn add_up(
        &mut self,
        id: NodeId,
        epilogue: &Epilogue,
        bias: Option<Slot>,
        band: &Band,
        n: usize,
        parts: &Parts,
    ) -> Result<()> {
        let pipeline = self.gpu.chosen(Kernel::Join { adds: Adds::of(epilogue) })?;
        let mut storage = vec![band.y];
        storage.extend(bias.map(Part::from));
        storage.extend(band.residual);
        storage.push(parts.slot.into());
        let mut params: Vec<Param> = vec![n.into(), band.rows.clone().into()];
        params
            .extend([parts.count, 0, 0, n, activation_number(epilogue.activation), 0, band.y.base()].map(Param::from));
        let results = Count { factor: band.rows.factor * n, symbols: band.rows.symbols.clone() };
        self.step(id, pipeline, storage, params, vec![results]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_within_what_every_adapter_has() {
        for tile in [SMALL, SQUARE, TALL] {
            let [x, w] = tile.vectors();
            assert!((x + w) * 16 <= 16 * 1024 && tile.invocations <= 256, "{}", tile.name);
            assert!(tile.invocations.is_multiple_of(tile.across), "{}", tile.name);
        }
    }

    #[test]
    fn the_number_of_tiles_decides() {
        assert_eq!(Way::of(512, 8192, 256), Way::Large);
        assert_eq!(Way::of(512, 2048, 1024), Way::Split(2));
        assert_eq!(Way::of(512, 512, 256), Way::Split(4), "no part is shorter than 512");
        assert_eq!(Way::of(64, 32, 1440), Way::Split(8));
        assert_eq!(Way::of(64, 512, 72), Way::Plain);
    }
}
