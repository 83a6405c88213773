//! Attention: runs of query rows, and of keys where a kernel could not walk all of them.

use lantern_graph::{Attention, Count, Dim, NodeId, Op, Result};

use super::bands::runs;
use super::{Lowering, fixed, in_halves, unsupported};
use crate::kernel::{Kernel, attention_steps};
use crate::step::{Param, Part, Slot};

/// Heads up to there have a kernel for a single query; larger ones are few, and go in tiles.
const ALONE: usize = 256;

/// The kernel of a node, if it can be had.
pub(super) fn kernel(graph: &lantern_graph::Graph, id: NodeId) -> Result<Kernel> {
    let node = graph.node(id);
    let head_dim = fixed(node.shape.back(0), "head_dim")?;
    if !head_dim.is_multiple_of(4) || !(4..=512).contains(&head_dim) {
        return Err(unsupported(format!("attention heads of {head_dim}, not a multiple of four up to 512")));
    }
    let tiled = !node.shape.0[0].is_one() || head_dim > ALONE;
    Ok(Kernel::Attention { head_dim, halves: attends_halves(graph, id), tiled })
}

/// Attention that reads its keys and values as halves.
pub(super) fn attends_halves(graph: &lantern_graph::Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    matches!(node.op, Op::Attention(_)) && node.inputs[1..].iter().all(|input| in_halves(graph, *input))
}

impl Lowering<'_> {
    pub(super) fn attention(&mut self, id: NodeId, kernel: Kernel, attention: &Attention) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let [q, k, v] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let keys = self.shape(k).0[0];
        let of = |axis: usize| fixed(node.shape.0[axis], "a number of heads");
        let (kv_heads, group) = (of(1)?, of(2)?);
        let (rows, row_len) = (node.shape.0[0], kv_heads * group * fixed(node.shape.0[3], "head_dim")?);
        let Kernel::Attention { head_dim, halves, tiled } = kernel else {
            return Err(unsupported(format!("{} is not attention", kernel.name())));
        };
        let pipeline = self.gpu.chosen(kernel)?;

        let (q, out) = (self.slot(q)?, self.result(id));
        let (k, v) = if halves { (self.stored(k)?, self.stored(v)?) } else { (self.slot(k)?, self.slot(v)?) };
        let so_far = self.temporary(2 * rows.bound(graph) * kv_heads * group);

        // Rows or keys that are known only when the plan runs are not cut by work: their bounds may be far from it.
        let most_keys = attention.mask.seen(keys.bound(graph));
        let key_flops = 4 * row_len as u64;
        let row_runs: Vec<(usize, Option<usize>)> = match rows {
            Dim::Fixed(rows) => {
                let step = self.rows_at_once(&[row_len], key_flops * most_keys as u64);
                runs(rows, step, 1).map(|(first, count)| (first, Some(count))).collect()
            }
            Dim::Symbol(_) => vec![(0, None)],
        };
        let covers = pipeline.shader.covers[0];
        let most_steps = self.gpu.capabilities().loop_steps();
        let by_steps = most_steps / attention_steps(pipeline.tier, head_dim, tiled, 64).max(1) * 64;
        let by_work = match keys {
            Dim::Fixed(_) => (self.gpu.slice_flops() / key_flops) as usize,
            Dim::Symbol(_) => usize::MAX,
        };
        // A tile's rows see together what each sees, and as much more as there are rows.
        let key_runs: Vec<(usize, usize)> = match by_steps.min(by_work).max(64) {
            at_once if most_keys + covers <= at_once => vec![(0, keys.bound(graph))],
            at_once => runs(keys.bound(graph), at_once, 64).collect(),
        };

        let last_run = key_runs.len().saturating_sub(1);
        for (first_row, count) in row_runs {
            let run = |slot: Slot, row: usize| match count {
                Some(count) => Part::run(slot, first_row * row, count * row),
                None => slot.into(),
            };
            let (query, result, scores) = (run(q, row_len), run(out, row_len), run(so_far, 2 * kv_heads * group));
            let rows = count.map_or(rows, Dim::Fixed);
            for (i, (first_key, count)) in key_runs.iter().enumerate() {
                let params = vec![
                    rows.into(),
                    (kv_heads * group).into(),
                    kv_heads.into(),
                    // Without a mask every row stands behind the last key.
                    attention.mask.start().map_or(keys.into(), Param::Index),
                    first_row.into(),
                    keys.into(),
                    Param::F32(attention.scale),
                    Param::U32(attention.mask.window().and_then(|n| n.try_into().ok()).unwrap_or(u32::MAX)),
                    (*first_key).into(),
                    (first_key + count).into(),
                    usize::from(i == last_run).into(),
                    query.base().into(),
                    (scores.base() / 2).into(),
                ];
                let storage = vec![query, k.into(), v.into(), result, scores];
                let grid = match tiled {
                    true => vec![Count::product(&[rows, group.into()]), Count::product(&[kv_heads.into()])],
                    false => vec![Count::product(&[rows, (kv_heads * group).into()])],
                };
                self.step(id, pipeline.clone(), storage, params, grid);
            }
        }
        Ok(out)
    }
}
