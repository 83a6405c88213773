//! Along an axis: sums, the largest, softmax and norms of rows.

use lantern_graph::{Count, Graph, NodeId, Op, Reduction, Result};

use super::{Lowering, product};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::fixed;
use crate::step::{Param, Slot};

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::Argmax, Kernel::TopK, Kernel::Softmax, Kernel::RmsNorm, Kernel::RmsNormInt8];
    all.extend([Reduction::Sum, Reduction::Max].map(Kernel::Reduce));
    all
}

pub fn reduce(op: Reduction) -> Described {
    let expression = match op {
        Reduction::Sum => "total + v",
        Reduction::Max => "max(total, v)",
    };
    Described {
        name: format!("reduce_{op:?}").to_lowercase(),
        variants: vec![Variant::software("reduce.wgsl").define("EXPRESSION", expression)],
        test: Test::case(move |b| {
            let x = b.floats("x", [3, 37, 5]);
            b.graph().reduce(op, x, 1)
        }),
    }
}

pub fn argmax() -> Described {
    Described {
        name: "argmax".into(),
        variants: vec![Variant::software("argmax_software.wgsl"), Variant::core("argmax_core.wgsl")],
        test: Test::case(|b| {
            let x = b.floats("x", [3, 301]);
            b.graph().argmax(x)
        }),
    }
}

pub fn top_k() -> Described {
    Described {
        name: "top_k".into(),
        variants: vec![Variant::software("top_k_software.wgsl"), Variant::core("top_k_core.wgsl")],
        test: Test::case(|b| {
            // Several lists of both tiers in a row, and few different values: ties.
            let values = b.numbers.floats(2 * 2500).into_iter().map(|v| (v * 400.0).floor()).collect();
            let x = b.given("x", [2, 2500], values);
            b.graph().top_k(x, 37)
        }),
    }
}

pub fn softmax() -> Described {
    Described {
        name: "softmax".into(),
        variants: vec![Variant::software("softmax_software.wgsl"), Variant::core("softmax_core.wgsl")],
        test: Test::case(|b| {
            let x = b.floats("x", [3, 301]);
            b.graph().fused(Op::Softmax, &[x])
        }),
    }
}

pub fn rms_norm() -> Described {
    Described {
        name: "rms_norm".into(),
        variants: vec![Variant::software("rms_norm_software.wgsl"), Variant::core("rms_norm_core.wgsl")],
        test: Test::case(|b| {
            let (x, w) = (b.floats("x", [3, 301]), b.floats("w", [301]));
            b.graph().fused(Op::RmsNorm { eps: 1e-5 }, &[x, w])
        }),
    }
}

pub fn rms_norm_int8() -> Described {
    const WITH: &[Kernel] = &[product::READER, Kernel::Quantize, Kernel::RmsNorm];
    let variant = |tier, invocations: usize| {
        Variant::new(tier, "rms_norm_int8.wgsl").define("WG", invocations.to_string()).with(WITH)
    };
    Described {
        name: "rms_norm_int8".into(),
        variants: vec![variant(Tier::Software, 1), variant(Tier::Dot, 256)],
        test: Test::case(|b| {
            // More groups than invocations take at once, and not as many as that twice.
            let (x, w) = (b.floats("x", [1, 8256]), b.floats("w", [8256]));
            let normed = b.graph().fused(Op::RmsNorm { eps: 1e-5 }, &[x, w])?;
            let matrix = b.weight_called("m", &[45, 8256], Format::Q8)?;
            b.graph().linear(normed, matrix)
        }),
    }
}

/// The kernels of a norm of rows.
pub(super) fn rms_norm_kernels(graph: &Graph, id: NodeId, tier: Tier) -> Vec<Kernel> {
    let both = tier == Tier::Dot && may_be_int8(graph, id);
    both.then_some(Kernel::RmsNormInt8).into_iter().chain([Kernel::RmsNorm]).collect()
}

fn may_be_int8(graph: &Graph, id: NodeId) -> bool {
    let shape = graph.shape(id);
    let one_row = Count::product(&shape.0[..shape.rank() - 1]).factor == 1 && shape.count().symbols.is_empty();
    one_row && shape.count().factor.is_multiple_of(32) && product::int8_may_be_read(graph, id)
}

impl Lowering<'_> {
    pub(super) fn rms_norm(&mut self, id: NodeId, eps: f32) -> Result<Slot> {
        let kernel = Kernel::RmsNormInt8;
        if !may_be_int8(self.graph, id) || self.gpu.tier() != Tier::Dot {
            return self.of_rows(id, Kernel::RmsNorm, vec![Param::F32(eps)]);
        }
        let out = self.result(id);
        let Some([words, scales]) = self.int8_beside(id, out, kernel) else {
            return self.of_rows(id, Kernel::RmsNorm, vec![Param::F32(eps)]);
        };
        let node = self.graph.node(id);
        let storage = vec![self.slot(node.inputs[0])?, self.slot(node.inputs[1])?, out, words, scales];
        let params = vec![1.into(), node.shape.back(0).into(), Param::F32(eps)];
        self.simple(id, kernel, storage, params, super::one(1))?;
        Ok(out)
    }

    pub(super) fn reduce(&mut self, id: NodeId, op: Reduction, axis: usize) -> Result<Slot> {
        let (x, count) = (self.shape(self.graph.node(id).inputs[0]), self.shape(id).count());
        let inner = Count::product(&x.0[axis + 1..]);
        let params = vec![count.clone().into(), x.0[axis].into(), inner.into()];
        self.plain(id, Kernel::Reduce(op), params, count)
    }

    /// A kernel that takes the rows of its first input, each by itself.
    pub(super) fn of_rows(&mut self, id: NodeId, kernel: Kernel, more: Vec<Param>) -> Result<Slot> {
        let x = self.shape(self.graph.node(id).inputs[0]);
        let rows = Count::product(&x.0[..x.rank().saturating_sub(1)]);
        let mut params = vec![rows.clone().into(), x.back(0).into()];
        params.extend(more);
        self.plain(id, kernel, params, rows)
    }

    /// Lists of the best of a row's blocks, then of those lists, until one is left.
    pub(super) fn top_k(&mut self, id: NodeId, k: usize) -> Result<Slot> {
        let x = self.graph.node(id).inputs[0];
        let shape = self.shape(x);
        let rows = Count::product(&shape.0[..shape.rank() - 1]);
        let pipeline = self.gpu.chosen(Kernel::TopK)?;
        // An element for each of a workgroup's invocations; or what one invocation looks through, so long that two
        // dispatches do for a vocabulary.
        let block: usize = if pipeline.choice.tier == Tier::Software { 2048 } else { 256 };
        let (mut from, mut columns, mut is_first) =
            (self.slot(x)?, fixed(shape.back(0), "what top_k looks through")?, 1);
        loop {
            let blocks = columns.div_ceil(block);
            let lists = Count { factor: rows.factor * blocks, symbols: rows.symbols.clone() };
            let is_last = blocks == 1;
            let out = match is_last {
                true => self.result(id),
                false => self.temporary(2 * k * lists.bound(self.graph)),
            };
            let mut params = vec![lists.clone().into()];
            params.extend([columns, blocks, block, k, is_first, usize::from(is_last)].map(Into::into));
            self.step(id, pipeline.clone(), vec![from.into(), out.into()], params, vec![lists]);
            if is_last {
                return Ok(out);
            }
            // Fewer each time: k is at most a quarter of a block.
            (from, columns, is_first) = (out, blocks * k, 0);
        }
    }
}
