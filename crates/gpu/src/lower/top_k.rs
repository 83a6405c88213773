//! The largest of a row: lists of the best of its blocks, then of those lists, until one is left.

use lantern_graph::{Count, NodeId, Result};

use super::{Lowering, fixed};
use crate::caps::Tier;
use crate::kernel::Kernel;
use crate::step::Slot;

impl Lowering<'_> {
    pub(super) fn top_k(&mut self, id: NodeId, kernel: Kernel, k: usize) -> Result<Slot> {
        let x = self.graph.node(id).inputs[0];
        let shape = self.shape(x);
        let rows = Count::product(&shape.0[..shape.rank() - 1]);
        let pipeline = self.gpu.chosen(kernel)?;
        // An element for each of a workgroup's invocations; or what one invocation looks through, so long that two
        // dispatches do for a vocabulary.
        let block: usize = if pipeline.tier == Tier::Software { 2048 } else { 256 };
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
