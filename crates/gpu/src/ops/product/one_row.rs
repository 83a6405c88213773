//! A product of one row: a weight's rows are read once, and what counts is how fast.

use lantern_graph::{Count, Graph, NodeId, Op, Result};

use super::{Adds, linear, linear_kernel};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::Lowering;
use crate::ops::PLAIN;
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

/// A row for weights of [`Builder::weight`], whose products with it are about one. As int8 it is what it was: the largest of a group
/// of 32 is 127 steps.
pub(super) fn row(b: &mut Builder, aligned: bool) -> (NodeId, usize) {
    let k = if aligned { LONG } else { LONG_ODD };
    let steps = |(i, v): (usize, f32)| if i % 32 == 0 { 127.0 } else { (v * 127.0).round() };
    let values = b.numbers.floats(k).into_iter().enumerate().map(|value| steps(value) * (0.2 / 127.0)).collect();
    (b.given("x", [1, k], values), k)
}

/// A product that reads int8 where it can: what tests those who make some beside their own result.
pub(in crate::ops) const READER: Kernel =
    Kernel::Linear { format: Format::Q8, many: false, adds: Adds::NONE, aligned: true };

pub fn quantize() -> Described {
    let variants = vec![Variant::software("quantize.wgsl")];
    Described { name: "quantize".into(), variants, test: Test::WithOthers }
}

/// The kernel of a product of one row that has a variant for int8.
fn reads_int8(graph: &Graph, id: NodeId) -> Option<Kernel> {
    let kernel = match graph.node(id).op {
        Op::Linear { transposed: false } => linear_kernel(graph, id, &PLAIN),
        Op::FusedLinear { ref epilogue } => linear_kernel(graph, id, epilogue),
        _ => return None,
    };
    matches!(kernel, Kernel::Linear { format, many: false, .. } if format.is_quantized()).then_some(kernel)
}

/// May a product read this as int8 at the tier `dot`?
pub(in crate::ops) fn int8_may_be_read(graph: &Graph, id: NodeId) -> bool {
    let readers = graph.ids().skip(id.0 as usize + 1).filter(|reader| graph.node(*reader).inputs.contains(&id));
    let mut readers = readers.map(|reader| match graph.node(reader).op {
        Op::Reshape => int8_may_be_read(graph, reader),
        _ => reads_int8(graph, reader).is_some(),
    });
    readers.any(|reads| reads)
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

    /// Room for int8 of a node whose result lies in `out`, where a product reads that, straight or through views, and a kernel that
    /// writes both is there.
    pub(in crate::ops) fn int8_beside(&mut self, id: NodeId, out: Slot, kernel: Kernel) -> Option<[Slot; 2]> {
        let graph = self.graph;
        let elements = graph.shape(id).count();
        let whole = elements.symbols.is_empty() && elements.factor.is_multiple_of(32);
        if !whole || self.gpu.chosen(kernel).is_err() || !self.int8_is_read(id) {
            return None;
        }
        let int8 = [self.temporary(elements.factor / 4), self.temporary(elements.factor / 32 * 2)];
        self.quantized.insert(out, int8);
        Some(int8)
    }

    fn int8_is_read(&self, id: NodeId) -> bool {
        let graph = self.graph;
        graph.ids().skip(id.0 as usize + 1).filter(|reader| graph.node(*reader).inputs.contains(&id)).any(|reader| {
            match graph.node(reader).op {
                Op::Reshape => self.int8_is_read(reader),
                _ => reads_int8(graph, reader).is_some_and(|kernel| {
                    self.gpu.chosen(kernel).is_ok_and(|pipeline| pipeline.choice.tier == Tier::Dot)
                }),
            }
        })
    }
}
