//! Attention, in runs of query rows, and of keys where a kernel could not walk all of them; and rotary positions.

use std::rc::Rc;

use lantern_graph::{Attention, Count, Dim, Graph, Index, Mask, NodeId, Op, Result};

use super::{Lowering, one, product};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Build, Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::{fixed, in_halves, unsupported};
use crate::pipeline::Pipeline;
use crate::selftest::Builder;
use crate::step::{Param, Part, Pieces, Slot, Times};

/// Heads up to there have a kernel for a single query; larger ones are few, and go in tiles.
const ALONE: usize = 256;

/// Query heads that a workgroup takes of one row, at most.
const TOGETHER: usize = 4;

/// Workgroups that fill any GPU, about, and the pieces that one head's keys may be cut into for them.
const ENOUGH: usize = 512;
const PIECES: std::ops::RangeInclusive<usize> = 8..=64;

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::Rope, Kernel::AttentionJoin { int8: false }, Kernel::AttentionJoin { int8: true }];
    // Of language models, and of diffusion models and their autoencoders.
    for head_dim in [8, 32, 64, 80, 96, 112, 128] {
        for halves in [false, true] {
            all.push(Kernel::Attention { head_dim, halves });
            let groups = if matches!(head_dim, 64 | 128) { 1..=TOGETHER } else { 3..=3 };
            all.extend(groups.map(|heads| Kernel::AttentionRow { head_dim, halves, heads }));
        }
    }
    all.extend([40, 48, 72, 160, 512].map(|head_dim| Kernel::Attention { head_dim, halves: false }));
    all
}

pub fn rope() -> Described {
    Described {
        name: "rope".into(),
        variants: vec![Variant::software("rope.wgsl")],
        test: Test::case(|b| {
            let (x, f) = (b.floats("x", [5, 3, 16]), b.floats("f", [8, 1]));
            b.graph().fused(Op::Rope { start: Index::Fixed(1007) }, &[x, f])
        }),
    }
}

/// Of many rows.
pub fn attention(head_dim: usize, halves: bool) -> Described {
    let core = Variant::core("attention_tiled.wgsl").define("TILE", tile(head_dim).to_string());
    Described {
        name: format!("attention_{head_dim}{}", suffix(halves)),
        variants: [software(head_dim), core].map(|variant| variant.operands(head_dim, halves)).into(),
        test: Test::case(move |b| {
            let q = b.floats("q", [7, 2, 3, head_dim]);
            let [k, v] = keys_and_values(b, ["k", "v"], [77, 2, head_dim], halves)?;
            // A window that ends inside what an invocation or a workgroup takes at once.
            let mask = Mask::Window { start: Index::Fixed(69), size: 67 };
            b.graph().attention(q, k, v, &Attention { scale: 0.7, mask })
        }),
    }
}

/// Of one row.
pub fn row(head_dim: usize, halves: bool, heads: usize) -> Described {
    let core = in_pieces(Variant::core("attention_row.wgsl")).define("HEADS", heads.to_string());
    let core = core.operands(head_dim, halves).with(match halves {
        true => &[Kernel::Pack, Kernel::AttentionJoin { int8: false }],
        false => &[Kernel::AttentionJoin { int8: false }],
    });
    Described {
        name: format!("attention_row_{head_dim}_{heads}{}", suffix(halves)),
        variants: vec![software(head_dim).operands(head_dim, halves), core],
        test: Test::case(move |b| {
            // Where a workgroup takes as many heads as it may, some of the next one's are missing.
            let group = if heads == TOGETHER { 5 } else { heads };
            let q = b.floats("q", [1, 2, group, head_dim]);
            let [k, v] = keys_and_values(b, ["k", "v"], [77, 2, head_dim], halves)?;
            let few = Attention { scale: 0.7, mask: Mask::Window { start: Index::Fixed(75), size: 67 } };
            let alone = b.graph().attention(q, k, v, &few)?;
            // In pieces, the last one of part of a block.
            let [k, v] = keys_and_values(b, ["more k", "more v"], [337, 2, head_dim], halves)?;
            let many = Attention { scale: 2.0, mask: Mask::Window { start: Index::Fixed(335), size: 330 } };
            b.graph().attention(alone, k, v, &many)
        }),
    }
}

pub fn join(int8: bool) -> Described {
    const WITH: &[Kernel] = &[
        Kernel::AttentionRow { head_dim: 32, halves: false, heads: 3 },
        Kernel::AttentionJoin { int8: false },
        product::READER,
        Kernel::Quantize,
    ];
    let variant = |tier| in_pieces(Variant::new(tier, "attention_join.wgsl"));
    if !int8 {
        let variants = vec![variant(Tier::Software)];
        return Described { name: "attention_join".into(), variants, test: Test::WithOthers };
    }
    Described {
        name: "attention_join_int8".into(),
        variants: [Tier::Software, Tier::Dot].map(|tier| variant(tier).flag("INT8", true).with(WITH)).into(),
        test: Test::case(|b| {
            let q = b.floats("q", [1, 3, 3, 32]);
            let [k, v] = keys_and_values(b, ["k", "v"], [203, 3, 32], false)?;
            let mixed = b.graph().attention(q, k, v, &Attention { scale: 2.0, mask: Mask::None })?;
            let mixed = b.graph().reshape(mixed, [1usize, 288])?;
            let matrix = b.weight_called("m", &[45, 288], Format::Q8)?;
            b.graph().linear(mixed, matrix)
        }),
    }
}

fn suffix(halves: bool) -> &'static str {
    if halves { "_f16" } else { "" }
}

fn keys_and_values(b: &mut Builder, names: [&'static str; 2], shape: [usize; 3], halves: bool) -> Result<[NodeId; 2]> {
    let [k, v] = names.map(|name| b.floats(name, shape));
    Ok(if halves { [b.halves(names[0], k, 0)?, b.halves(names[1], v, 0)?] } else { [k, v] })
}

/// An invocation walks a query's keys alone.
fn software(head_dim: usize) -> Variant {
    let step = vectors_a_step(head_dim);
    let lines = |line: fn(usize) -> String| (0..step).map(line).collect::<Vec<_>>().join(" ");
    let products = lines(|i| format!("products += query[d + {i}u] * four(k[base + d + {i}u]);"));
    let totals = lines(|i| format!("total[d + {i}u] = total[d + {i}u] * shrink + weight * four(v[base + d + {i}u]);"));
    Variant::software("attention_software.wgsl")
        .define("STEP", step.to_string())
        .define("PRODUCTS", products)
        .define("TOTALS", totals)
}

/// What `attention_pieces.wgsl` wants defined.
fn in_pieces(variant: Variant) -> Variant {
    variant.define("BLOCK", Pieces::BLOCK.to_string()).define("ALONE", Pieces::ALONE.to_string())
}

impl Variant {
    /// What `attention_operands.wgsl` wants defined.
    fn operands(self, head_dim: usize, halves: bool) -> Variant {
        let variant = self.define("QUADS", (head_dim / 4).to_string()).flag("HALVES", halves);
        variant.with(if halves { &[Kernel::Pack] } else { &[] })
    }
}

/// Attention of many queries as models have it.
pub fn trial(head_dim: usize, halves: bool) -> Build {
    Box::new(move |b| {
        let q = b.floats("q", [256, 8, 4, head_dim]);
        let [k, v] = keys_and_values(b, ["k", "v"], [512, 8, head_dim], halves)?;
        let mask = Mask::Causal { start: Index::Fixed(256) };
        b.graph().attention(q, k, v, &Attention { scale: 0.1, mask })
    })
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

/// Steps of an invocation's loops over `keys` keys where many rows go in tiles, or each alone at the tier `software`, at most: see
/// the shaders.
fn attention_steps(tier: Tier, head_dim: usize, keys: usize) -> usize {
    let quads = head_dim / 4;
    match tier {
        Tier::Software => keys.saturating_mul(2 * (quads / vectors_a_step(head_dim)) + 1).saturating_add(2 * quads),
        _ => {
            let (each, columns, shares) = (tile(head_dim) / 4, quads.div_ceil(16), 64 / tile(head_dim));
            let products = quads.div_ceil(8) * (2 + 8 + 8 * (each + 1) + 1);
            let weights = 6 * each + 2 * 64 / shares + 2 * shares;
            let values = 64 * (1 + columns * (each + 1)) + (columns + 1) * each;
            keys.div_ceil(64).saturating_mul(products + weights + values + 1)
        }
    }
}

/// Steps of an invocation's loops over a block of one row's keys.
fn row_steps(head_dim: usize, heads: usize) -> usize {
    let (quads, shares) = (head_dim / 4, 1024 / head_dim);
    quads.div_ceil(4) * (heads + 1) + 11 * heads + 17 + Pieces::BLOCK.div_ceil(shares) * (heads + 1)
}

/// What an attention's kernels depend on.
struct Heads {
    head_dim: usize,
    halves: bool,
    /// Query heads that share a key head.
    group: usize,
    one_row: bool,
}

impl Heads {
    fn kernel(&self) -> Kernel {
        let Heads { head_dim, halves, .. } = *self;
        match self.one_row {
            true => Kernel::AttentionRow { head_dim, halves, heads: self.together() },
            false => Kernel::Attention { head_dim, halves },
        }
    }

    /// Query heads that a workgroup takes of one row.
    fn together(&self) -> usize {
        self.group.clamp(1, TOGETHER)
    }
}

/// The kernels of a node, if they can be had.
pub(super) fn kernels(graph: &Graph, id: NodeId, tier: Tier) -> Result<Vec<Kernel>> {
    let heads = heads(graph, id)?;
    let mut kernels = Vec::new();
    if heads.one_row && tier > Tier::Software {
        let int8 = tier == Tier::Dot && product::int8_may_be_read(graph, id);
        kernels.extend(int8.then_some(Kernel::AttentionJoin { int8 }));
        kernels.push(Kernel::AttentionJoin { int8: false });
    }
    kernels.push(heads.kernel());
    Ok(kernels)
}

fn heads(graph: &Graph, id: NodeId) -> Result<Heads> {
    let node = graph.node(id);
    let head_dim = fixed(node.shape.back(0), "head_dim")?;
    if !head_dim.is_multiple_of(4) || !(4..=512).contains(&head_dim) {
        return Err(unsupported(format!("attention heads of {head_dim}, not a multiple of four up to 512")));
    }
    let group = fixed(node.shape.back(1), "a number of heads")?;
    let one_row = node.shape.0[0].is_one() && head_dim <= ALONE;
    Ok(Heads { head_dim, halves: attends_halves(graph, id), group, one_row })
}

/// Attention that reads its keys and values as halves.
pub(crate) fn attends_halves(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    matches!(node.op, Op::Attention(_)) && node.inputs[1..].iter().all(|input| in_halves(graph, *input))
}

impl Lowering<'_> {
    pub(super) fn rope(&mut self, id: NodeId, start: Index) -> Result<Slot> {
        let shape = self.shape(id);
        let half = fixed(shape.back(0), "head_dim")? / 2;
        let pairs = super::halved(shape.count());
        let params = vec![pairs.clone().into(), shape.0[1].into(), half.into(), Param::Index(start)];
        self.plain(id, Kernel::Rope, params, pairs)
    }

    pub(super) fn attention(&mut self, id: NodeId, attention: &Attention) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let [q, k, v] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let keys = self.shape(k).0[0];
        let of = |axis: usize| fixed(node.shape.0[axis], "a number of heads");
        let kv_heads = of(1)?;
        let heads = heads(graph, id)?;
        let Heads { head_dim, halves, group, .. } = heads;
        let (rows, row_len) = (node.shape.0[0], kv_heads * group * head_dim);
        let pipeline = self.gpu.chosen(heads.kernel())?;
        if heads.one_row && pipeline.choice.tier > Tier::Software {
            return self.attention_row(id, attention, &heads, pipeline);
        }

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
        let by_steps = most_steps / attention_steps(pipeline.choice.tier, head_dim, 64).max(1) * 64;
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
                let grid = match pipeline.choice.tier {
                    Tier::Software => vec![Count::product(&[rows, (kv_heads * group).into()])],
                    _ => vec![Count::product(&[rows, group.into()]), Count::product(&[kv_heads.into()])],
                };
                self.step(id, pipeline.clone(), storage, params, grid);
            }
        }
        Ok(out)
    }
    /// One row: its keys in pieces, and where there are several, the pieces together.
    fn attention_row(
        &mut self,
        id: NodeId,
        attention: &Attention,
        heads: &Heads,
        pipeline: Rc<Pipeline>,
    ) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let [q, k, v] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let keys = self.shape(k).0[0];
        let Heads { head_dim, halves, group, .. } = *heads;
        let kv_heads = fixed(node.shape.back(2), "a number of heads")?;
        let teams = kv_heads * group.div_ceil(heads.together());

        let most_keys = attention.mask.seen(keys.bound(graph));
        let blocks_at_once = self.gpu.capabilities().loop_steps() / row_steps(head_dim, heads.together());
        let fewest = most_keys.div_ceil(Pieces::BLOCK).div_ceil(blocks_at_once);
        let most = (ENOUGH / teams).clamp(*PIECES.start(), *PIECES.end()).max(fewest);
        let pieces = Pieces { keys, seen: attention.mask.seen(usize::MAX), most };

        let (q, out) = (self.slot(q)?, self.result(id));
        let (k, v) = if halves { (self.stored(k)?, self.stored(v)?) } else { (self.slot(k)?, self.slot(v)?) };
        let join = Kernel::AttentionJoin { int8: true };
        let at_dot = self.gpu.tier() == Tier::Dot && product::int8_may_be_read(graph, id);
        let int8 = if at_dot { self.int8_beside(id, out, join) } else { None };
        let left = kv_heads * group * most.min(most_keys.div_ceil(Pieces::BLOCK));
        let (totals, marks) = (self.temporary(left * head_dim), self.temporary(left * 2));
        let window = Param::U32(attention.mask.window().and_then(|n| n.try_into().ok()).unwrap_or(u32::MAX));
        let params = vec![
            (kv_heads * group).into(),
            kv_heads.into(),
            // Without a mask the row stands behind the last key.
            attention.mask.start().map_or(keys.into(), Param::Index),
            keys.into(),
            Param::F32(attention.scale),
            window.clone(),
            most.into(),
            usize::from(int8.is_none()).into(),
        ];
        let storage = [q, k, v, out, totals, marks].map(Part::from).into();
        self.step(id, pipeline, storage, params, vec![one(teams)]);
        self.repeat(Times::Each(pieces));

        let vectors = kv_heads * group * head_dim / 4;
        let params = vec![vectors.into(), (head_dim / 4).into(), keys.into(), window, most.into()];
        let mut storage = vec![totals, marks, out];
        storage.extend(int8.into_iter().flatten());
        self.simple(id, Kernel::AttentionJoin { int8: int8.is_some() }, storage, params, one(vectors))?;
        // What becomes int8 does so there, be it of one piece.
        self.repeat(if int8.is_some() { Times::Once } else { Times::Join(pieces) });
        Ok(out)
    }
}
