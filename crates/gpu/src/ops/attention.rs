//! Attention, in runs of query rows, and of keys where a kernel could not walk all of them; and rotary positions.

use lantern_graph::{Attention, Count, Dim, Graph, Index, Mask, NodeId, Op, Result};

use super::Lowering;
use crate::caps::Tier;
use crate::kernel::{Build, Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::{fixed, in_halves, unsupported};
use crate::step::{Param, Part, Slot};

/// Heads up to there have a kernel for a single query; larger ones are few, and go in tiles.
const ALONE: usize = 256;

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::Rope];
    // Of language models, and of diffusion models and their autoencoders.
    for head_dim in [8, 32, 64, 80, 96, 112, 128] {
        let kernel = |halves: bool| [false, true].map(|tiled| Kernel::Attention { head_dim, halves, tiled });
        all.extend([false, true].into_iter().flat_map(kernel));
    }
    all.extend([40, 48, 72, 160, 512].map(|head_dim| Kernel::Attention { head_dim, halves: false, tiled: true }));
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

pub fn attention(head_dim: usize, halves: bool, tiled: bool) -> Described {
    let step = vectors_a_step(head_dim);
    let lines = |line: fn(usize) -> String| (0..step).map(line).collect::<Vec<_>>().join(" ");
    let products = lines(|i| format!("products += query[d + {i}u] * four(k[base + d + {i}u]);"));
    let totals = lines(|i| format!("total[d + {i}u] = total[d + {i}u] * shrink + weight * four(v[base + d + {i}u]);"));
    let software = Variant::software("attention_software.wgsl")
        .define("STEP", step.to_string())
        .define("PRODUCTS", products)
        .define("TOTALS", totals);
    let core = match tiled {
        true => Variant::core("attention_tiled.wgsl").define("TILE", tile(head_dim).to_string()),
        false => Variant::core("attention_core.wgsl"),
    };
    let common = |variant: Variant| {
        let variant = variant.define("QUADS", (head_dim / 4).to_string()).flag("HALVES", halves);
        variant.with(if halves { &[Kernel::Pack] } else { &[] })
    };
    Described {
        name: format!("attention_{head_dim}{}{}", if tiled { "_tiled" } else { "" }, if halves { "_f16" } else { "" }),
        variants: vec![common(software), common(core)],
        test: Test::case(move |b| {
            let rows = if tiled { 7 } else { 1 };
            let q = b.floats("q", [rows, 2, 3, head_dim]);
            let (mut k, mut v) = (b.floats("k", [77, 2, head_dim]), b.floats("v", [77, 2, head_dim]));
            if halves {
                (k, v) = (b.halves("k", k, 0)?, b.halves("v", v, 0)?);
            }
            // A window that ends inside what an invocation or a workgroup takes at once.
            let mask = Mask::Window { start: Index::Fixed(76 - rows), size: 67 };
            b.graph().attention(q, k, v, &Attention { scale: 0.7, mask })
        }),
    }
}

/// An attention as models have them: of a token over a long conversation, or of many queries.
pub fn trial(head_dim: usize, halves: bool, tiled: bool) -> Build {
    Box::new(move |b| {
        let (rows, keys) = if tiled { (256, 512) } else { (1, 1024) };
        let q = b.floats("q", [rows, 8, 4, head_dim]);
        let (mut k, mut v) = (b.floats("k", [keys, 8, head_dim]), b.floats("v", [keys, 8, head_dim]));
        if halves {
            (k, v) = (b.halves("k", k, 0)?, b.halves("v", v, 0)?);
        }
        let mask = Mask::Causal { start: Index::Fixed(keys - rows) };
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

/// Steps of an invocation's loops over `keys` keys, at most: see the shaders.
fn attention_steps(tier: Tier, head_dim: usize, tiled: bool, keys: usize) -> usize {
    let quads = head_dim / 4;
    match (tier, tiled) {
        (Tier::Software, _) => {
            keys.saturating_mul(2 * (quads / vectors_a_step(head_dim)) + 1).saturating_add(2 * quads)
        }
        // 64 keys at once: a product, six halvings, their sum, and at most as much again for the values.
        (_, false) => keys.div_ceil(64).saturating_mul(quads + 6 + 64 + 64 + 1),
        (_, true) => {
            let (each, columns, shares) = (tile(head_dim) / 4, quads.div_ceil(16), 64 / tile(head_dim));
            let products = quads.div_ceil(8) * (2 + 8 + 8 * (each + 1) + 1);
            let weights = 6 * each + 2 * 64 / shares + 2 * shares;
            let values = 64 * (1 + columns * (each + 1)) + (columns + 1) * each;
            keys.div_ceil(64).saturating_mul(products + weights + values + 1)
        }
    }
}

/// What an attention's kernel depends on.
struct Heads {
    head_dim: usize,
    halves: bool,
    tiled: bool,
}

/// The kernel of a node, if it can be had.
pub(super) fn kernel(graph: &Graph, id: NodeId) -> Result<Kernel> {
    heads(graph, id).map(|Heads { head_dim, halves, tiled }| Kernel::Attention { head_dim, halves, tiled })
}

fn heads(graph: &Graph, id: NodeId) -> Result<Heads> {
    let node = graph.node(id);
    let head_dim = fixed(node.shape.back(0), "head_dim")?;
    if !head_dim.is_multiple_of(4) || !(4..=512).contains(&head_dim) {
        return Err(unsupported(format!("attention heads of {head_dim}, not a multiple of four up to 512")));
    }
    let tiled = !node.shape.0[0].is_one() || head_dim > ALONE;
    Ok(Heads { head_dim, halves: attends_halves(graph, id), tiled })
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
        let (kv_heads, group) = (of(1)?, of(2)?);
        let Heads { head_dim, halves, tiled } = heads(graph, id)?;
        let (rows, row_len) = (node.shape.0[0], kv_heads * group * head_dim);
        let pipeline = self.gpu.chosen(Kernel::Attention { head_dim, halves, tiled })?;

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
        let by_steps = most_steps / attention_steps(pipeline.choice.tier, head_dim, tiled, 64).max(1) * 64;
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
