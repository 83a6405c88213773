//! Matrix products and convolutions: a step for each shard of the weight and each band of the rows.

use lantern_graph::{Activation, Count, Dim, Epilogue, NodeId, Op, Result, Window};

use super::bands::runs;
use super::{Lowering, fixed, unsupported};
use crate::caps::Tier;
use crate::kernel::{Adds, Kernel};
use crate::step::{Param, Part, Slot};
use crate::weights::GpuWeight;

/// A weight operand: a node's own slot, or the shards of a weight.
struct Shards<'a> {
    parts: Vec<ShardSlots>,
    weight: Option<&'a GpuWeight>,
}

struct ShardSlots {
    first: usize,
    rows: Param,
    grid: Count,
    words: Slot,
    scales: Option<Slot>,
}

fn epilogue(op: &Op) -> Epilogue {
    match op {
        Op::FusedLinear { epilogue } | Op::FusedConv2d { epilogue, .. } => *epilogue,
        _ => Epilogue::default(),
    }
}

pub(super) fn adds(op: &Op) -> Adds {
    Adds::of(&epilogue(op))
}

/// Is a convolution a product of its pixels?
pub(super) fn is_linear(op: &Op) -> bool {
    match op {
        Op::Conv2d { window, groups } => window.is_pointwise() && *groups == 1,
        Op::FusedConv2d { window, groups, upsample, .. } => window.is_pointwise() && *groups == 1 && *upsample == 1,
        _ => false,
    }
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

/// One dispatch of a product, before shards: which rows of x and of y, and the convolution's numbers.
struct Band {
    x: Part,
    y: Part,
    residual: Option<Part>,
    rows: Count,
    window: Vec<Param>,
}

impl<'a> Lowering<'a> {
    /// The slots of a weight operand, shard by shard of its rows.
    fn shards(&self, id: NodeId) -> Result<Shards<'a>> {
        let node = self.graph.node(id);
        if let Op::Weight(w) = node.op {
            let index = w.0 as usize;
            let weight = self.weights.get(&self.graph.weights[index])?;
            let parts = weight.shards.iter().enumerate().map(|(i, shard)| ShardSlots {
                first: shard.first,
                rows: shard.rows.into(),
                grid: Count { factor: shard.rows, symbols: Vec::new() },
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

    /// `linear_transposed` and `gather`: one step a shard.
    pub(super) fn by_rows(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let node = self.graph.node(id);
        let table = if node.op == Op::Gather { 0 } else { 1 };
        let (other, w) = (node.inputs[1 - table], node.inputs[table]);
        let shards = self.shards(w)?;
        let k = fixed(self.shape(w).0[1], "a weight's row")?;
        let total = self.total_rows(&shards, w);
        let pipeline = self.gpu.chosen(kernel)?;
        let out = self.result(id);
        let x = self.slot(other)?;
        let chunks = k.div_ceil(8);
        let rows = match node.op {
            Op::Gather => self.shape(other).count(),
            _ => Count::product(&[node.shape.0[0]]),
        };
        for shard in shards.parts {
            let mut storage: Vec<Part> = vec![out.into(), x.into(), shard.words.into()];
            storage.extend(shard.scales.map(Part::from));
            let params =
                vec![shard.rows, rows.clone().into(), chunks.into(), k.into(), shard.first.into(), total.clone()];
            let grid = match node.op {
                Op::Gather => vec![Count { factor: rows.factor * chunks, symbols: rows.symbols.clone() }],
                _ => vec![Count { factor: chunks, symbols: Vec::new() }, rows.clone()],
            };
            self.step(id, pipeline.clone(), storage, params, grid);
        }
        Ok(out)
    }

    /// `linear` and what is fused to it.
    pub(super) fn linear(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let k = fixed(self.shape(w).0[1], "a weight's row")?;
        let out = self.result(id);
        if self.gpu.chosen(kernel)?.tier == Tier::Dot {
            let quantized = self.quantize(id, x)?;
            let band = self.whole(id, quantized[0], out, &node.shape.0[..1], Vec::new())?;
            return self.product(id, kernel, vec![band], Some(quantized[1])).map(|()| out);
        }
        let bands = match (node.shape.0[0], node.shape.0[1]) {
            (Dim::Fixed(rows), Dim::Fixed(n)) => self.row_bands(id, out, rows, k, n)?,
            (rows, _) => vec![self.whole(id, self.slot(x)?, out, &[rows], Vec::new())?],
        };
        self.product(id, kernel, bands, None).map(|()| out)
    }

    /// The one band of a product that is bound whole: as many rows as `rows` multiply to.
    fn whole(&self, id: NodeId, x: Slot, out: Slot, rows: &[Dim], window: Vec<Param>) -> Result<Band> {
        let residual = self.residual(id, None)?;
        Ok(Band { x: x.into(), y: out.into(), residual, rows: Count::product(rows), window })
    }

    /// Bands of a product of `rows` rows of `k` to rows of `n`.
    fn row_bands(&self, id: NodeId, out: Slot, rows: usize, k: usize, n: usize) -> Result<Vec<Band>> {
        let x = self.slot(self.graph.node(id).inputs[0])?;
        let step = self.rows_at_once(&[k, n], 2 * (k * n) as u64);
        if step >= rows {
            return Ok(vec![self.whole(id, x, out, &[rows.into()], Vec::new())?]);
        }
        runs(rows, step, if step >= 64 { 64 } else { 1 })
            .map(|(first, count)| {
                Ok(Band {
                    x: Part::run(x, first * k, count * k),
                    residual: self.residual(id, Some((first * n, count * n)))?,
                    y: Part::run(out, first * n, count * n),
                    rows: Count { factor: count, symbols: Vec::new() },
                    window: Vec::new(),
                })
            })
            .collect()
    }

    /// The operand that is added to the result, or the run of it.
    fn residual(&self, id: NodeId, run: Option<(usize, usize)>) -> Result<Option<Part>> {
        let node = self.graph.node(id);
        let adds = adds(&node.op);
        if !adds.residual {
            return Ok(None);
        }
        let slot = self.slot(node.inputs[2 + usize::from(adds.bias)])?;
        Ok(Some(run.map_or(slot.into(), |(first, len)| Part::run(slot, first, len))))
    }

    /// Steps for every band and shard.
    fn product(&mut self, id: NodeId, kernel: Kernel, bands: Vec<Band>, x_scales: Option<Slot>) -> Result<()> {
        let graph = self.graph;
        let node = graph.node(id);
        let w = node.inputs[1];
        let shards = self.shards(w)?;
        let total = self.total_rows(&shards, w);
        let k: usize = Count::product(&self.shape(w).0[1..]).factor;
        let epilogue = epilogue(&node.op);
        let bias = epilogue.bias.then(|| self.slot(node.inputs[2])).transpose()?;
        let pipeline = self.gpu.chosen(kernel)?;
        for band in bands {
            for shard in &shards.parts {
                let mut storage = vec![band.y];
                storage.extend(bias.map(Part::from));
                storage.extend(band.residual);
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
                    band.y.base().into(),
                ];
                params.extend(band.window.iter().cloned());
                let grid = match kernel {
                    // An invocation four channels of a pixel.
                    Kernel::ConvDirect { .. } | Kernel::Depthwise { .. } => {
                        let factor = band.rows.factor * shard.grid.factor.div_ceil(4);
                        vec![Count { factor, symbols: band.rows.symbols.clone() }]
                    }
                    _ => vec![shard.grid.clone(), band.rows.clone()],
                };
                self.step(id, pipeline.clone(), storage, params, grid);
            }
        }
        Ok(())
    }

    pub(super) fn conv2d(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let (window, upsample) = match node.op {
            Op::Conv2d { window, .. } => (window, 1),
            Op::FusedConv2d { window, upsample, .. } => (window, upsample),
            _ => return Err(unsupported(format!("{} is not a convolution", node.op.name()))),
        };
        if !upsample.is_power_of_two() {
            return Err(unsupported(format!("a picture enlarged {upsample} times while it is read")));
        }
        let out = self.result(id);
        let side = |dim: Dim| fixed(dim, "a picture's side");
        let shape = self.shape(node.inputs[0]);
        let [h, w, channels] = [side(shape.0[1])?, side(shape.0[2])?, side(shape.0[3])?];
        let [oh, ow, outs] = [side(node.shape.0[1])?, side(node.shape.0[2])?, side(node.shape.0[3])?];
        let picture = Picture { h, w, channels, oh, ow, outs, window, upsample };
        let bands = match node.shape.0[0] {
            Dim::Fixed(n) if is_linear(&node.op) => self.row_bands(id, out, n * h * w, channels, outs)?,
            n if is_linear(&node.op) => {
                vec![self.whole(id, self.slot(node.inputs[0])?, out, &[n, h.into(), w.into()], Vec::new())?]
            }
            n => self.picture_bands(id, out, n, &picture)?,
        };
        self.product(id, kernel, bands, None).map(|()| out)
    }

    /// One step: a convolution's weight is far from any binding limit.
    pub(super) fn conv2d_transposed(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let (y, w) = (self.graph.node(id).inputs[0], self.graph.node(id).inputs[1]);
        let mut shards = self.shards(w)?.parts;
        let (Some(shard), true) = (shards.pop(), shards.is_empty()) else {
            return Err(unsupported("the adjoint of a convolution whose weight is over the binding limit".into()));
        };
        let out = self.result(id);
        let mut storage: Vec<Part> = vec![out.into(), self.slot(y)?.into(), shard.words.into()];
        storage.extend(shard.scales.map(Part::from));
        let (params, grid) = self.picture_numbers(id)?;
        self.step(id, self.gpu.chosen(kernel)?, storage, params, vec![grid]);
        Ok(out)
    }

    /// Bands of rows of pixels, each with the rows of the picture that its windows see.
    fn picture_bands(&self, id: NodeId, out: Slot, n: Dim, picture: &Picture) -> Result<Vec<Band>> {
        let x = self.slot(self.graph.node(id).inputs[0])?;
        let flops = self.graph.flops(id) / (n.bound(self.graph) * picture.oh).max(1) as u64;
        let &Picture { h, w, channels, oh, ow, outs, .. } = picture;
        let rows = self.rows_at_once(&[ow * outs], flops).min(picture.rows_seen_in(self.bindable() / (w * channels)));
        let elements = n.bound(self.graph) * (h * w * channels).max(oh * ow * outs);
        if rows >= oh
            && elements <= self.bindable()
            && flops * (n.bound(self.graph) * oh) as u64 <= self.gpu.slice_flops()
        {
            let window = picture.numbers((0, h), (0, oh));
            return Ok(vec![self.whole(id, x, out, &[n, oh.into(), ow.into()], window)?]);
        }
        let n = fixed(n, "the number of pictures whose convolution is done in parts")?;
        let mut bands = Vec::new();
        for image in 0..n {
            for (first, count) in runs(oh, rows, 1) {
                let (seen, seen_count) = picture.seen(first, count);
                let run = ((image * oh + first) * ow * outs, count * ow * outs);
                bands.push(Band {
                    x: Part::run(x, (image * h + seen) * w * channels, seen_count * w * channels),
                    y: Part::run(out, run.0, run.1),
                    residual: self.residual(id, Some(run))?,
                    rows: Count { factor: count * ow, symbols: Vec::new() },
                    window: picture.numbers((seen, seen_count), (first, count)),
                });
            }
        }
        Ok(bands)
    }

    /// Activations as int8: words, then scale and sum of each group of 32.
    fn quantize(&mut self, id: NodeId, x: NodeId) -> Result<[Slot; 2]> {
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

/// A convolution's sizes.
struct Picture {
    h: usize,
    w: usize,
    channels: usize,
    oh: usize,
    ow: usize,
    outs: usize,
    window: Window,
    upsample: usize,
}

impl Picture {
    /// Rows of x, first and count, that `count` rows of the result from `first` on see.
    fn seen(&self, first: usize, count: usize) -> (usize, usize) {
        let Window { kernel, stride, dilation, padding } = self.window;
        let enlarged = self.h * self.upsample;
        let top = (first * stride[0]).saturating_sub(padding[0][0]).min(enlarged - 1);
        let end = ((first + count - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1).saturating_sub(padding[0][0]);
        let (top, last) = (top / self.upsample, end.clamp(top + 1, enlarged.max(top + 1)).div_ceil(self.upsample));
        (top, last.min(self.h).max(top + 1) - top)
    }

    /// How many rows of the result can be made from `rows` rows of x.
    fn rows_seen_in(&self, rows: usize) -> usize {
        let Window { kernel, stride, dilation, .. } = self.window;
        // Two rows of x may be seen in part.
        let enlarged = rows.saturating_sub(2) * self.upsample;
        (enlarged.saturating_sub((kernel[0] - 1) * dilation[0]) / stride[0]).max(1)
    }

    /// The numbers after `y_base` in `product_interface.wgsl`, for the given rows (first, count) of x and y.
    fn numbers(&self, (x_row, x_rows): (usize, usize), (y_row, y_rows): (usize, usize)) -> Vec<Param> {
        let Window { kernel, stride, dilation, padding } = self.window;
        [
            self.h * self.upsample,
            self.w * self.upsample,
            self.upsample.trailing_zeros() as usize,
            self.channels,
            x_rows,
            x_row,
            self.ow,
            y_rows,
            y_row,
            kernel[1],
            self.window.taps(),
            stride[0],
            stride[1],
            dilation[0],
            dilation[1],
            padding[0][0],
            padding[1][0],
        ]
        .map(Param::from)
        .to_vec()
    }
}
