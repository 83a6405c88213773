//! Matrix products: a step for each shard of the weight and each band of the rows. Kernels: one row in `one_row.rs`, many in
//! `many_rows.rs`, in tiles as `tiles.rs` has them.

mod many_rows;
mod one_row;
mod pairs;
pub(in crate::ops) mod tiles;

use lantern_graph::{Activation, Count, Dim, Epilogue, Graph, NodeId, Op, Result};

use super::{Lowering, one, weight_of};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Build, Described, End, Kernel, Test, Variant};
use crate::lower::fixed;
use crate::shader::Defines;
use crate::step::{Param, Part, Slot};
use crate::weights::GpuWeight;

pub use many_rows::{gemm, linear_transposed, matmul};
pub use one_row::{gemv, quantize};
pub use pairs::pairs;
pub use tiles::{Reads, join, large, split};

use tiles::Way;

pub(in crate::ops) use many_rows::linear_transposed_kernel;
pub(in crate::ops) use one_row::{READER, int8_may_be_read};

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::MatMul, Kernel::Quantize];
    for (format, aligned) in Format::aligned() {
        all.push(Kernel::LinearTransposed { format, aligned });
        let adds = Adds::ALL.into_iter().filter(|adds| !adds.bias || Format::PICTURES.contains(&format));
        let linear = |adds| [false, true].map(|many| Kernel::Linear { format, many, adds, aligned });
        all.extend(adds.flat_map(linear));
        let ends = [End::Gate, End::Attend { halves: false }, End::Attend { halves: true }];
        all.extend(ends.into_iter().filter(|_| aligned).map(|end| Kernel::Pairs { format, end }));
    }
    all.extend(tiles::all());
    all
}

/// What is added to a product while its result is in registers. The activation is a number of the dispatch: it costs a
/// branch that all invocations take alike, and saves a compilation per kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adds {
    pub bias: bool,
    pub residual: bool,
}

impl Adds {
    pub const NONE: Adds = Adds { bias: false, residual: false };
    pub const ALL: [Adds; 4] = [
        Adds::NONE,
        Adds { bias: true, residual: false },
        Adds { bias: false, residual: true },
        Adds { bias: true, residual: true },
    ];

    pub fn of(epilogue: &Epilogue) -> Adds {
        Adds { bias: epilogue.bias, residual: epilogue.residual }
    }

    pub(in crate::ops) fn suffix(self) -> &'static str {
        match (self.bias, self.residual) {
            (false, false) => "",
            (true, false) => "_bias",
            (false, true) => "_add",
            (true, true) => "_bias_add",
        }
    }

    pub(in crate::ops) fn defines(self) -> Defines {
        let mut defines = Vec::new();
        defines.extend(self.bias.then(|| ("BIAS", String::new())));
        defines.extend(self.residual.then(|| ("RESIDUAL", String::new())));
        defines
    }
}

/// What `product_interface.wgsl` and what it is included with want defined, where the rows of x are of a file.
pub(in crate::ops) fn rows_of(file: &str, adds: Adds) -> Defines {
    let mut defines = adds.defines();
    defines.push(("ROWS", file.to_owned()));
    defines
}

/// A product as language models have them.
pub fn trial(format: Format, [rows, n, k]: [usize; 3]) -> Build {
    Box::new(move |b| {
        let x = b.floats("x", [rows, k]);
        let w = b.weight(&[n, k], format)?;
        b.graph().linear(x, w)
    })
}

fn linear(many: bool, format: Format, adds: Adds, aligned: bool, variants: Vec<Variant>) -> Described {
    let name = if many { "gemm" } else { "gemv" };
    Described {
        name: format!("{name}_{}{}{}", format.name(), adds.suffix(), if aligned { "" } else { "_odd" }),
        variants,
        test: Test::case(move |b| {
            let (rows, n) = (if many { 71 } else { 1 }, 45);
            let (x, k) = match many {
                true => {
                    let k = b.columns(format, aligned);
                    (b.floats("x", [rows, k]), k)
                }
                false => one_row::row(b, aligned),
            };
            let w = b.weight(&[n, k], format)?;
            let (mut inputs, epilogue) = b.epilogue(adds, [rows, n], Activation::Tanh);
            inputs.splice(0..0, [x, w]);
            b.graph().fused(Op::FusedLinear { epilogue }, &inputs)
        }),
    }
}

/// The kernels of a product with a weight at a tier.
pub(in crate::ops) fn linear_kernels(graph: &Graph, id: NodeId, epilogue: &Epilogue, tier: Tier) -> Vec<Kernel> {
    let kernel = linear_kernel(graph, id, epilogue);
    let quantizes =
        tier == Tier::Dot && matches!(kernel, Kernel::Linear { format, many: false, .. } if format.is_quantized());
    quantizes.then_some(Kernel::Quantize).into_iter().chain(tiles::kernels(graph, id, kernel, tier)).collect()
}

fn linear_kernel(graph: &Graph, id: NodeId, epilogue: &Epilogue) -> Kernel {
    let node = graph.node(id);
    let (format, aligned) = weight_of(graph, node.inputs[1]);
    Kernel::Linear { format, many: !node.shape.0[0].is_one(), adds: Adds::of(epilogue), aligned }
}

/// A weight operand: a node's own slot, or the shards of a weight.
pub(in crate::ops) struct Shards<'a> {
    pub parts: Vec<ShardSlots>,
    weight: Option<&'a GpuWeight>,
}

pub(in crate::ops) struct ShardSlots {
    pub first: usize,
    pub rows: Param,
    pub grid: Count,
    pub words: Slot,
    pub scales: Option<Slot>,
}

/// Its number in `product_interface.wgsl`.
fn activation_number(activation: Option<Activation>) -> usize {
    activation.map_or(0, |a| match a {
        Activation::Relu => 1,
        Activation::Silu => 2,
        Activation::Tanh => 3,
        Activation::Sigmoid => 4,
    })
}

/// A product's kernel, what is done to its result, and its bands.
pub(in crate::ops) struct Product<'e> {
    pub kernel: Kernel,
    pub epilogue: &'e Epilogue,
    pub bands: Vec<Band>,
}

/// One dispatch of a product, before shards: which rows of x and of y, and the convolution's numbers.
pub(in crate::ops) struct Band {
    pub x: Part,
    pub y: Part,
    pub residual: Option<Part>,
    pub rows: Count,
    pub window: Vec<Param>,
}

impl<'a> Lowering<'a> {
    /// The slots of a weight operand, shard by shard of its rows.
    pub(in crate::ops) fn shards(&self, id: NodeId) -> Result<Shards<'a>> {
        let node = self.graph.node(id);
        if let Op::Weight(w) = node.op {
            let index = w.0 as usize;
            let weight = self.weights.get(&self.graph.weights[index])?;
            let parts = weight.shards.iter().enumerate().map(|(i, shard)| ShardSlots {
                first: shard.first,
                rows: shard.rows.into(),
                grid: one(shard.rows),
                words: Slot::Words(index, i),
                scales: shard.scales.is_some().then_some(Slot::Scales(index, i)),
            });
            return Ok(Shards { parts: parts.collect(), weight: Some(weight) });
        }
        let rows = node.shape.0[0];
        let whole = ShardSlots {
            first: 0,
            rows: rows.into(),
            grid: Count::product(&[rows]),
            words: self.slot(id)?,
            scales: None,
        };
        Ok(Shards { parts: vec![whole], weight: None })
    }

    fn total_rows(&self, shards: &Shards, w: NodeId) -> Param {
        match shards.weight {
            Some(weight) => weight.spec.rows().into(),
            None => self.shape(w).0[0].into(),
        }
    }

    /// Kernels that take a table's or a weight's shards one after the other, `operands` being it and the other operand.
    pub(in crate::ops) fn by_shards(
        &mut self,
        id: NodeId,
        kernel: Kernel,
        [table, other]: [NodeId; 2],
        rows: &Count,
        grid: &dyn Fn(usize) -> Vec<Count>,
    ) -> Result<Slot> {
        let shards = self.shards(table)?;
        let k = fixed(self.shape(table).0[1], "a weight's row")?;
        let total = self.total_rows(&shards, table);
        let pipeline = self.gpu.chosen(kernel)?;
        let out = self.result(id);
        let x = self.slot(other)?;
        let chunks = k.div_ceil(8);
        for shard in shards.parts {
            let mut storage: Vec<Part> = vec![out.into(), x.into(), shard.words.into()];
            storage.extend(shard.scales.map(Part::from));
            let params =
                vec![shard.rows, rows.clone().into(), chunks.into(), k.into(), shard.first.into(), total.clone()];
            self.step(id, pipeline.clone(), storage, params, grid(chunks));
        }
        Ok(out)
    }

    /// `linear` and what is fused to it.
    pub(in crate::ops) fn linear(&mut self, id: NodeId, epilogue: &Epilogue) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let kernel = linear_kernel(graph, id, epilogue);
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let k = fixed(self.shape(w).0[1], "a weight's row")?;
        let out = self.result(id);
        if matches!(kernel, Kernel::Linear { many: false, .. }) && self.gpu.chosen(kernel)?.choice.tier == Tier::Dot {
            let quantized = self.quantize(id, x)?;
            let bands = vec![self.whole(id, epilogue, [quantized[0], out], &node.shape.0[..1], Vec::new())?];
            return self.product(id, Product { kernel, epilogue, bands }, Some(quantized[1])).map(|()| out);
        }
        let bands = match (node.shape.0[0], node.shape.0[1]) {
            (Dim::Fixed(rows), Dim::Fixed(n)) => self.row_bands(id, epilogue, out, [rows, k, n])?,
            (rows, _) => vec![self.whole(id, epilogue, [self.slot(x)?, out], &[rows], Vec::new())?],
        };
        self.product(id, Product { kernel, epilogue, bands }, None).map(|()| out)
    }

    /// The one band of a product that is bound whole: as many rows as `rows` multiply to.
    pub(in crate::ops) fn whole(
        &self,
        id: NodeId,
        epilogue: &Epilogue,
        [x, out]: [Slot; 2],
        rows: &[Dim],
        window: Vec<Param>,
    ) -> Result<Band> {
        let residual = self.residual(id, epilogue, None)?;
        Ok(Band { x: x.into(), y: out.into(), residual, rows: Count::product(rows), window })
    }

    /// The operand that is added to the result, or the run of it.
    pub(in crate::ops) fn residual(
        &self,
        id: NodeId,
        epilogue: &Epilogue,
        run: Option<(usize, usize)>,
    ) -> Result<Option<Part>> {
        if !epilogue.residual {
            return Ok(None);
        }
        let slot = self.slot(self.graph.node(id).inputs[2 + usize::from(epilogue.bias)])?;
        Ok(Some(run.map_or(slot.into(), |(first, len)| Part::run(slot, first, len))))
    }

    /// Steps for every band and shard.
    pub(in crate::ops) fn product(&mut self, id: NodeId, product: Product, x_scales: Option<Slot>) -> Result<()> {
        let graph = self.graph;
        let node = graph.node(id);
        let w = node.inputs[1];
        let shards = self.shards(w)?;
        let total = self.total_rows(&shards, w);
        let k: usize = Count::product(&self.shape(w).0[1..]).factor;
        let Product { kernel, epilogue, bands } = product;
        let bias = epilogue.bias.then(|| self.slot(node.inputs[2])).transpose()?;
        let way = tiles::way(graph, id, kernel, self.gpu.tier(), self.only);
        let pipeline = self.gpu.chosen(way.kernel(kernel))?;
        let columns = node.shape.back(0).bound(graph);
        let parts = match way {
            Way::Split(count) => Some(self.parts(&bands, columns, k / 8, count)),
            Way::Plain | Way::Large => None,
        };
        for band in bands {
            for shard in &shards.parts {
                let y = parts.as_ref().map_or(band.y, |parts| parts.slot.into());
                let mut storage = vec![y];
                if parts.is_none() {
                    storage.extend(bias.map(Part::from));
                    storage.extend(band.residual);
                }
                storage.push(band.x);
                storage.extend(x_scales.map(Part::from));
                storage.push(shard.words.into());
                storage.extend(shard.scales.map(Part::from));
                let mut params = vec![
                    shard.rows.clone(),
                    band.rows.clone().into(),
                    k.div_ceil(8).into(),
                    k.into(),
                    shard.first.into(),
                    total.clone(),
                    activation_number(epilogue.activation).into(),
                    band.x.base().into(),
                    y.base().into(),
                ];
                params.extend(band.window.iter().cloned());
                let mut grid = match kernel {
                    // An invocation four channels of a pixel.
                    Kernel::ConvDirect { .. } | Kernel::Depthwise { .. } => {
                        let factor = band.rows.factor * shard.grid.factor.div_ceil(4);
                        vec![Count { factor, symbols: band.rows.symbols.clone() }]
                    }
                    _ => vec![shard.grid.clone(), band.rows.clone()],
                };
                if let Some(parts) = &parts {
                    params.push(parts.chunks.into());
                    grid.push(one(parts.count));
                }
                self.step(id, pipeline.clone(), storage, params, grid);
            }
            if let Some(parts) = &parts {
                self.add_up(id, epilogue, bias, &band, columns, parts)?;
            }
        }
        Ok(())
    }
}
