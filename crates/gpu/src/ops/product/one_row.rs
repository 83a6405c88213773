//! A product of one row: a weight's rows are read once, and what counts is how fast.

use lantern_graph::{Count, NodeId, Result};

use super::{Adds, linear};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::Lowering;
use crate::step::Slot;

/// One row.
pub fn gemv(format: Format, adds: Adds, aligned: bool) -> Described {
    let variants = variants(format, |variant| {
        let variant = variant.define("INTERFACE", "product").flag("DOTS", true);
        variant.flag("ALIGNED", aligned).defines(adds.defines())
    });
    linear(false, format, adds, aligned, variants)
}

/// The texts of a tier each, with the constants that `define` adds.
pub(super) fn variants(format: Format, define: impl Fn(Variant) -> Variant) -> Vec<Variant> {
    let variant = |tier, file| define(Variant::new(tier, file).defines(format.defines()));
    let mut variants = vec![
        variant(Tier::Software, "gemv_software.wgsl"),
        variant(Tier::Core, "gemv_core.wgsl"),
        variant(Tier::Subgroups, "gemv_subgroups.wgsl"),
    ];
    variants.extend(format.is_quantized().then(|| variant(Tier::Dot, "gemv_dot.wgsl").with(&[Kernel::Quantize])));
    variants
}

pub fn quantize() -> Described {
    let variants = vec![Variant::software("quantize.wgsl")];
    Described { name: "quantize".into(), variants, test: Test::WithOthers }
}

impl Lowering<'_> {
    /// Activations as int8: words, then scale and sum of each group of 32.
    pub(super) fn quantize(&mut self, id: NodeId, x: NodeId) -> Result<[Slot; 2]> {
        let count = self.shape(x).count();
        let elements = count.bound(self.graph);
        let words = self.temporary(elements / 4);
        let scales = self.temporary(elements / 32 * 2);
        let groups = Count { factor: count.factor / 32, ..count };
        let source = self.slot(x)?;
        self.simple(id, Kernel::Quantize, vec![source, words, scales], vec![groups.clone().into()], groups)?;
        Ok([words, scales])
    }
}
