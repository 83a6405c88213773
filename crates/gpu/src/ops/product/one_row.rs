//! A product of one row: a weight's rows are read once, and what counts is how fast.

use lantern_graph::{Count, NodeId, Result};

use super::{Adds, linear};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::Lowering;
use crate::selftest::Builder;
use crate::step::Slot;

/// One row.
pub fn gemv(format: Format, adds: Adds, aligned: bool) -> Described {
    let variants = variants(format, |variant| {
        let variant = variant.define("INTERFACE", "product").flag("DOTS", true);
        variant.flag("ALIGNED", aligned).defines(adds.defines())
    });
    linear(false, format, adds, aligned, variants)
}

/// The texts with the constants that `define` adds, the best guess of each tier first: which is the fastest depends on the card.
pub(super) fn variants(format: Format, define: impl Fn(Variant) -> Variant) -> Vec<Variant> {
    let variant = |tier, file| define(Variant::new(tier, file).defines(format.defines()));
    // Invocations to a result, and results of a workgroup.
    let lanes = |variant: Variant, lanes: usize| {
        let named = match lanes {
            32 => variant.named("lanes32").flag("AHEAD", true),
            64 => variant.named("lanes64").flag("AHEAD", true),
            _ => variant,
        };
        named.define("LANES", lanes.to_string()).define("RESULTS", "4")
    };
    let core = |n: usize| lanes(variant(Tier::Core, "gemv_core.wgsl"), n);
    let dot = |n: usize| lanes(variant(Tier::Dot, "gemv_dot.wgsl"), n).with(&[Kernel::Quantize]);
    let mut variants =
        vec![variant(Tier::Software, "gemv_software.wgsl"), core(16), variant(Tier::Subgroups, "gemv_subgroups.wgsl")];
    // Language models have few f32 matrices.
    if format != Format::F32 {
        variants.extend([core(32), core(64)]);
    }
    if format.is_quantized() {
        variants.extend([dot(16), dot(64)]);
    }
    variants
}

/// Columns of the self-tests' weights, and of such as are no whole eights: with several rounds of reads ahead, and a rest.
const LONG: usize = 2304;
const LONG_ODD: usize = 2307;

/// A row for weights of [`Builder::weight`], whose products with it are about one.
pub(super) fn row(b: &mut Builder, aligned: bool) -> (NodeId, usize) {
    let k = if aligned { LONG } else { LONG_ODD };
    let values = b.numbers.floats(k).into_iter().map(|v| v * 0.2).collect();
    (b.given("x", [1, k], values), k)
}

pub fn quantize() -> Described {
    let variants = vec![Variant::software("quantize.wgsl")];
    Described { name: "quantize".into(), variants, test: Test::WithOthers }
}

impl Lowering<'_> {
    /// Activations as int8: words, then scale and sum of each group of 32. Once for all products that read them.
    pub(super) fn quantize(&mut self, id: NodeId, x: NodeId) -> Result<[Slot; 2]> {
        let source = self.slot(x)?;
        if let Some(quantized) = self.quantized.get(&source) {
            return Ok(*quantized);
        }
        let count = self.shape(x).count();
        let elements = count.bound(self.graph);
        let quantized = [self.temporary(elements / 4), self.temporary(elements / 32 * 2)];
        let groups = Count { factor: count.factor / 32, ..count };
        let storage = vec![source, quantized[0], quantized[1]];
        self.simple(id, Kernel::Quantize, storage, vec![groups.clone().into()], groups)?;
        // What a temporary holds does not change; others may be written.
        if let Slot::Temporary(_) = source {
            self.quantized.insert(source, quantized);
        }
        Ok(quantized)
    }
}
