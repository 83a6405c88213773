//! Products of one row with several matrices in one dispatch, two results at a time, and what is done with them: a gated unit, or
//! queries, keys and values on their way to attention. Which nodes these are, `lower/joins.rs` says.

use lantern_graph::{Attention, Count, DType, Graph, Index, Mask, NodeId, Op, Result, StateOptions};

use super::one_row::{READER, row, variants};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, End, Kernel, Test, Variant};
use crate::lower::joins::{Does, Join};
use crate::lower::{Lowering, fixed};
use crate::ops::{halved, one, weight_of};
use crate::selftest::Builder;
use crate::step::{Param, Part, Slot};

/// Keys and values are rounded to halves of sums in another order: now and then to a neighbour.
const HALVES: f32 = 2e-3;
const FLOATS: f32 = 1e-4;

/// The single nodes behind it in the self-test.
const JOIN: Kernel = Kernel::AttentionJoin { int8: false };
const ROW: Kernel = Kernel::AttentionRow { head_dim: 8, halves: false, heads: 1 };
const ROW_OF_HALVES: Kernel = Kernel::AttentionRow { head_dim: 8, halves: true, heads: 1 };
const GATED: &[Kernel] = &[Kernel::Quantize, READER];
const ATTENDED: &[Kernel] = &[Kernel::Quantize, JOIN, ROW];
const ATTENDED_HALVES: &[Kernel] = &[Kernel::Quantize, JOIN, ROW, ROW_OF_HALVES];

pub fn pairs(format: Format, end: End) -> Described {
    let (name, halves) = match end {
        End::Gate => ("gate", false),
        End::Attend { halves: false } => ("attend", false),
        End::Attend { halves: true } => ("attend_f16", true),
    };
    let mut variants = variants(format, |variant| {
        let variant = variant.define("INTERFACE", "pairs").flag("PAIRS", true).flag("ALIGNED", true);
        variant.flag("TURNED", end != End::Gate).flag("HALVES", halves)
    });
    for variant in &mut variants {
        variant.with = match end {
            End::Gate => GATED,
            End::Attend { halves: false } => ATTENDED,
            End::Attend { halves: true } => ATTENDED_HALVES,
        };
    }
    if end == End::Gate && format.is_quantized() {
        // A workgroup's results are a group of int8.
        variants.retain(|variant| variant.choice.tier != Tier::Dot);
        let dot = Variant::new(Tier::Dot, "gemv_dot.wgsl").defines(format.defines()).with(GATED);
        let dot = dot.define("INTERFACE", "pairs").flag("PAIRS", true).flag("ALIGNED", true).flag("INT8", true);
        variants.push(dot.define("LANES", "8").define("RESULTS", "32").flag("AHEAD", true));
    }
    let test = match end {
        End::Gate => Test::case(move |b| gate(b, format)),
        End::Attend { halves } => {
            Test::Case(Box::new(move |b| attend(b, format, halves)), if halves { HALVES } else { FLOATS })
        }
    };
    Described { name: format!("pairs_{name}_{}", format.name()), variants, test }
}

/// Rows of a matrix in the self-tests: so many that any format's next one begins where a binding may.
const ROWS: usize = 16;
/// Results of a gated unit: some workgroups' of every tier.
const GATES: usize = 96;

fn gate(b: &mut Builder, format: Format) -> Result<NodeId> {
    let (x, k) = row(b, true);
    let [gate, up] = ["gate", "up"].map(|name| b.weight_called(name, &[GATES, k], format));
    let (gate, up) = (b.graph().linear(x, gate?)?, b.graph().linear(x, up?)?);
    let gated = b.graph().fused(Op::SwiGlu, &[gate, up])?;
    let down = b.weight_called("down", &[45, GATES], Format::Q8)?;
    b.graph().linear(gated, down)
}

/// The queries see known keys, and what comes of that sees the keys and values that were written: each of the three counts.
fn attend(b: &mut Builder, format: Format, halves: bool) -> Result<NodeId> {
    let (x, k) = row(b, true);
    let frequencies = b.floats("f", [4, 1]);
    let weights = ["q", "k", "v"].map(|name| b.weight_called(name, &[ROWS, k], format));
    let mut heads = Vec::new();
    for weight in weights {
        let y = b.graph().linear(x, weight?)?;
        heads.push(b.graph().reshape(y, [1usize, ROWS / 8, 8])?);
    }
    let turn = Op::Rope { start: Index::Fixed(1007) };
    let queries = b.graph().fused(turn.clone(), &[heads[0], frequencies])?;
    let keys = b.graph().fused(turn, &[heads[1], frequencies])?;
    let options = StateOptions { storage: if halves { DType::F16 } else { DType::F32 }, growing: false };
    let mut kept = Vec::new();
    for (name, value) in [("keys", keys), ("values", heads[2])] {
        let state = b.graph().state_with(name, &[3, ROWS / 8, 8], options)?;
        kept.push(b.graph().write(state, value, Index::Fixed(2))?);
    }
    let [known_keys, known_values] = ["known keys", "known values"].map(|name| b.floats(name, [5, ROWS / 8, 8]));
    let attention = Attention { scale: 0.5, mask: Mask::None };
    let queries = b.graph().reshape(queries, [1usize, ROWS / 8, 1, 8])?;
    let first = b.graph().attention(queries, known_keys, known_values, &attention)?;
    b.graph().attention(first, kept[0], kept[1], &attention)
}

impl Join {
    /// The kernels it takes at a tier.
    pub fn kernels(&self, graph: &Graph, tier: Tier) -> Vec<Kernel> {
        let (format, _) = weight_of(graph, self.weights[0]);
        let quantizes = tier == Tier::Dot && format.is_quantized();
        quantizes.then_some(Kernel::Quantize).into_iter().chain([self.kernel(graph)]).collect()
    }
}

impl Lowering<'_> {
    /// Where the value of one of the nodes lies, if anything behind them reads it.
    pub(crate) fn join_result(&mut self, id: NodeId, join: &Join) -> Result<Option<Slot>> {
        match join.does {
            Does::Gate => Ok((join.last() == Some(id)).then(|| self.result(id))),
            Does::Attend { queries, .. } if id == queries => Ok(Some(self.result(id))),
            Does::Attend { keys, values, .. } if id == keys || id == values => {
                self.stored(self.graph.node(id).inputs[0]).map(Some)
            }
            Does::Attend { .. } => Ok(None),
        }
    }

    /// The dispatch, and the quantization before it where there is one.
    pub(crate) fn join(&mut self, join: &Join) -> Result<()> {
        let graph = self.graph;
        let first = join.members[0];
        let pipeline = self.gpu.chosen(join.kernel(graph))?;
        let k = fixed(self.shape(join.weights[0]).0[1], "a weight's row")?;
        let rows = |weight: NodeId| fixed(self.shape(weight).0[0], "a weight's rows");
        let rows: Vec<usize> = join.weights.iter().map(|weight| rows(*weight)).collect::<Result<_>>()?;
        let pairs = rows.iter().sum::<usize>() / 2;
        let x = match pipeline.choice.tier {
            Tier::Dot => self.quantize(first, join.x)?.to_vec(),
            _ => vec![self.slot(join.x)?],
        };
        let mut params: Vec<Param> = vec![pairs.into(), 1.into(), k.div_ceil(8).into(), k.into(), 0.into()];
        let mut storage: Vec<Part> = Vec::new();
        match join.does {
            Does::Gate => {
                let (gated, out) = (join.members[2], self.slot(join.members[2])?);
                storage.push(out.into());
                if pipeline.choice.tier == Tier::Dot {
                    let int8 = self.int8_beside(gated, out, join.kernel(graph));
                    // Where nobody reads it, it is written all the same.
                    let int8 = int8.unwrap_or_else(|| [pairs / 4, pairs / 32 * 2].map(|n| self.temporary(n)));
                    storage.extend(int8.map(Part::from));
                }
            }
            Does::Attend { queries, keys, values } => {
                let rope = graph.node(queries);
                let half_dim = fixed(rope.shape.back(0), "head_dim")? / 2;
                let Op::Rope { start } = rope.op else { return Ok(()) };
                let to = |write: NodeId| match graph.node(write).op {
                    Op::Write { start } => Param::Offset(start, halved(Count::product(&graph.shape(write).0[1..]))),
                    _ => 0.into(),
                };
                params.extend([(rows[0] / 2).into(), ((rows[0] + rows[1]) / 2).into(), half_dim.into()]);
                params.extend([Param::Index(start), to(keys), to(values)]);
                let frequencies = self.slot(rope.inputs[1])?;
                storage.extend(
                    [self.slot(queries)?, frequencies, self.stored(keys)?, self.stored(values)?].map(Part::from),
                );
            }
        }
        storage.extend(x.into_iter().map(Part::from));
        storage.extend(self.matrices(join)?);
        self.step(first, pipeline, storage, params, vec![one(pairs)]);
        Ok(())
    }

    /// The matrices as one: words, and scales where there are any.
    fn matrices(&self, join: &Join) -> Result<Vec<Part>> {
        let apart = || crate::lower::unsupported("matrices that lie apart in one dispatch".into());
        let found = join.matrices(self.graph, self.weights).ok_or_else(apart)?;
        let Op::Weight(first) = self.graph.node(join.weights[0]).op else { return Err(apart()) };
        let elements = |bytes: u64| (bytes / 4) as usize;
        let words = found.iter().map(|weight| weight.shards[0].words.size).sum();
        let index = first.0 as usize;
        let mut parts = vec![Part::run(Slot::Words(index, 0), 0, elements(words))];
        if found[0].format.is_quantized() {
            let scales =
                found.iter().filter_map(|weight| weight.shards[0].scales.as_ref()).map(|scales| scales.size).sum();
            parts.push(Part::run(Slot::Scales(index, 0), 0, elements(scales)));
        }
        Ok(parts)
    }
}
