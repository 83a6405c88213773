//! Convolutions, as products of what their windows see, and their adjoints.

use lantern_graph::{Activation, Count, Dim, Epilogue, Graph, NodeId, Op, Result, Window};

use super::product::{Adds, Band, Product, Reads, tiles};
use super::{Lowering, one, weight_of};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Build, Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::{fixed, unsupported};
use crate::selftest::{Builder, WINDOW};
use crate::step::{Param, Part, Slot};

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::ConvFilter];
    all.extend(Adds::ALL.map(|adds| Kernel::Depthwise { adds }));
    for format in Format::PICTURES {
        all.extend(Adds::ALL.map(|adds| Kernel::Conv { format, adds }));
        all.extend(Adds::ALL.map(|adds| Kernel::ConvDirect { format, adds }));
        all.push(Kernel::ConvTransposed { format });
    }
    all
}

/// A test's sizes: channels of the picture and of the result, groups, and how many times the picture is enlarged.
struct Sizes {
    channels: usize,
    outs: usize,
    groups: usize,
    upsample: usize,
}

/// Two pictures with every kind of oddity.
fn case(b: &mut Builder, format: Format, adds: Adds, sizes: &Sizes) -> Result<NodeId> {
    let &Sizes { channels, outs, groups, upsample } = sizes;
    let [height, width] = [10 / upsample, 16 / upsample];
    let x = b.floats("x", [2, height, width, channels]);
    let w = b.weight(&[outs, 3, 2, channels / groups], format)?;
    let sides = [WINDOW.positions(0, height * upsample), WINDOW.positions(1, width * upsample)];
    let [oh, ow] = sides.map(Option::unwrap_or_default);
    let (mut inputs, epilogue) = b.epilogue(adds, [2, oh, ow, outs], Activation::Silu);
    inputs.splice(0..0, [x, w]);
    b.graph().fused(Op::FusedConv2d { window: WINDOW, groups, upsample, epilogue }, &inputs)
}

/// Of channels in eights. Rows of the weight are whole groups of 32 in every format where channels are 32.
pub(super) fn many_channels(b: &mut Builder, format: Format, adds: Adds) -> Result<NodeId> {
    case(b, format, adds, &Sizes { channels: 32, outs: 37, groups: 1, upsample: 3 })
}

pub fn conv(format: Format, adds: Adds) -> Described {
    Described {
        name: format!("conv_{}{}", format.name(), adds.suffix()),
        variants: tiles::plain(format, Reads::Patches, adds),
        test: Test::case(move |b| many_channels(b, format, adds)),
    }
}

/// A convolution as diffusion models have them.
pub fn trial(format: Format, side: usize) -> Build {
    Box::new(move |b| {
        let x = b.floats("x", [1, side, side, 320]);
        let w = b.weight(&[320, 3, 3, 320], format)?;
        b.graph().conv2d(x, w, Window::square(3, 1, 1), 1)
    })
}

pub fn conv_direct(format: Format, adds: Adds) -> Described {
    let variant = Variant::software("conv_direct.wgsl").defines(format.defines()).defines(adds.defines());
    Described {
        name: format!("conv_direct_{}{}", format.name(), adds.suffix()),
        variants: vec![variant.define("PATCHES", "")],
        test: Test::case(move |b| {
            let channels = if format.is_quantized() { 64 } else { 6 };
            case(b, format, adds, &Sizes { channels, outs: 4, groups: 2, upsample: 1 })
        }),
    }
}

pub fn depthwise(adds: Adds) -> Described {
    Described {
        name: format!("depthwise{}", adds.suffix()),
        variants: vec![Variant::software("depthwise.wgsl").defines(adds.defines()).define("PATCHES", "")],
        test: Test::case(move |b| {
            case(b, Format::F32, adds, &Sizes { channels: 12, outs: 12, groups: 12, upsample: 1 })
        }),
    }
}

pub fn conv_transposed(format: Format) -> Described {
    Described {
        name: format!("conv_transposed_{}", format.name()),
        variants: vec![Variant::software("conv_transposed.wgsl").defines(format.defines())],
        test: Test::case(move |b| {
            let y = b.floats("y", [2, 3, 4, 6]);
            let per_group = if format.is_quantized() { 32 } else { 5 };
            let w = b.weight(&[6, 3, 2, per_group], format)?;
            b.graph().conv2d_transposed(y, w, WINDOW, 2, [7, 8])
        }),
    }
}

pub fn conv_filter() -> Described {
    Described {
        name: "conv_filter".into(),
        variants: vec![Variant::software("conv_filter.wgsl")],
        test: Test::case(|b| {
            let (x, y) = (b.floats("x", [2, 7, 8, 6]), b.floats("dy", [2, 3, 4, 4]));
            b.graph().conv2d_filter(x, y, WINDOW, 2)
        }),
    }
}

/// A convolution as the graph has it.
#[derive(Clone, Copy)]
pub(super) struct Conv<'e> {
    pub window: Window,
    pub groups: usize,
    /// How many times the picture is enlarged while it is read.
    pub upsample: usize,
    pub epilogue: &'e Epilogue,
}

impl Conv<'_> {
    /// Is it a matrix product of the pixels?
    fn is_pointwise(&self) -> bool {
        self.window.is_pointwise() && self.groups == 1 && self.upsample == 1
    }

    pub fn kernels(&self, graph: &Graph, id: NodeId, tier: Tier) -> Result<Vec<Kernel>> {
        Ok(tiles::kernels(graph, id, self.kernel(graph, id)?, tier))
    }

    fn kernel(&self, graph: &Graph, id: NodeId) -> Result<Kernel> {
        let node = graph.node(id);
        let (adds, (format, aligned)) = (Adds::of(self.epilogue), weight_of(graph, node.inputs[1]));
        if self.is_pointwise() {
            return Ok(Kernel::Linear { format, many: true, adds, aligned });
        }
        let format = filter_format(graph, id)?;
        let channels = fixed(graph.shape(node.inputs[0]).back(0), "a convolution's channels")?;
        let by_channel = self.groups == channels && node.shape.back(0) == Dim::Fixed(channels);
        Ok(match self.groups {
            1 if channels.is_multiple_of(8) => Kernel::Conv { format, adds },
            _ if by_channel && channels.is_multiple_of(4) && format == Format::F32 => Kernel::Depthwise { adds },
            _ => Kernel::ConvDirect { format, adds },
        })
    }
}

/// The format of a convolution's filter, if there is a kernel for it.
fn filter_format(graph: &Graph, id: NodeId) -> Result<Format> {
    let filter = graph.node(graph.node(id).inputs[1]);
    let format = Format::of(filter.dtype);
    match Format::PICTURES.contains(&format) {
        true => Ok(format),
        false => Err(unsupported(format!("a convolution with a filter of {}", filter.dtype.name()))),
    }
}

pub(super) fn conv2d_transposed_kernel(graph: &Graph, id: NodeId) -> Result<Kernel> {
    Ok(Kernel::ConvTransposed { format: filter_format(graph, id)? })
}

/// A window's numbers, height before width.
pub(super) fn window_numbers(window: Window) -> [Param; 8] {
    let Window { kernel: k, stride: s, dilation: d, padding: p } = window;
    [k[0], k[1], s[0], s[1], d[0], d[1], p[0][0], p[1][0]].map(Param::from)
}

impl Lowering<'_> {
    pub(super) fn conv2d(&mut self, id: NodeId, conv: Conv) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let Conv { window, upsample, epilogue, .. } = conv;
        let kernel = conv.kernel(graph, id)?;
        let out = self.result(id);
        let side = |dim: Dim| fixed(dim, "a picture's side");
        let shape = self.shape(node.inputs[0]);
        let [h, w, channels] = [side(shape.0[1])?, side(shape.0[2])?, side(shape.0[3])?];
        let [oh, ow, outs] = [side(node.shape.0[1])?, side(node.shape.0[2])?, side(node.shape.0[3])?];
        let picture = Picture { h, w, channels, oh, ow, outs, window, upsample };
        let bands = match node.shape.0[0] {
            Dim::Fixed(n) if conv.is_pointwise() => self.row_bands(id, epilogue, out, [n * h * w, channels, outs])?,
            n if conv.is_pointwise() => {
                let x = self.slot(node.inputs[0])?;
                vec![self.whole(id, epilogue, [x, out], &[n, h.into(), w.into()], Vec::new())?]
            }
            n => self.picture_bands(id, epilogue, out, n, &picture)?,
        };
        self.product(id, Product { kernel, epilogue, bands }, None).map(|()| out)
    }

    /// One step: a convolution's weight is far from any binding limit.
    pub(super) fn conv2d_transposed(&mut self, id: NodeId, window: Window, groups: usize) -> Result<Slot> {
        let node = self.graph.node(id);
        let (y, w) = (node.inputs[0], node.inputs[1]);
        let kernel = conv2d_transposed_kernel(self.graph, id)?;
        let mut shards = self.shards(w)?.parts;
        let (Some(shard), true) = (shards.pop(), shards.is_empty()) else {
            return Err(unsupported("the adjoint of a convolution whose weight is over the binding limit".into()));
        };
        let out = self.result(id);
        let mut storage: Vec<Part> = vec![out.into(), self.slot(y)?.into(), shard.words.into()];
        storage.extend(shard.scales.map(Part::from));
        let (from, weight, count) = (self.shape(y), self.shape(w), node.shape.count());
        let k = Count::product(&weight.0[1..]).factor;
        let mut params = vec![count.clone().into(), k.div_ceil(8).into(), k.into()];
        params.extend([node.shape.0[1], node.shape.0[2], weight.0[3]].map(Param::from));
        params.push(groups.into());
        params.extend([from.0[3], from.0[1], from.0[2]].map(Param::from));
        params.extend(window_numbers(window));
        self.step(id, self.gpu.chosen(kernel)?, storage, params, vec![count]);
        Ok(out)
    }

    /// Bands of rows of pixels, each with the rows of the picture that its windows see.
    fn picture_bands(
        &self,
        id: NodeId,
        epilogue: &Epilogue,
        out: Slot,
        n: Dim,
        picture: &Picture,
    ) -> Result<Vec<Band>> {
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
            return Ok(vec![self.whole(id, epilogue, [x, out], &[n, oh.into(), ow.into()], window)?]);
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
                    residual: self.residual(id, epilogue, Some(run))?,
                    rows: one(count * ow),
                    window: picture.numbers((seen, seen_count), (first, count)),
                });
            }
        }
        Ok(bands)
    }

    /// One step, an invocation a result.
    pub(super) fn conv2d_filter(&mut self, id: NodeId, window: Window, groups: usize) -> Result<Slot> {
        let node = self.graph.node(id);
        let (x, y) = (self.shape(node.inputs[0]), self.shape(node.inputs[1]));
        let count = node.shape.count();
        let mut params = vec![count.clone().into()];
        params.extend([x.0[0], x.0[1], x.0[2], node.shape.0[3]].map(Param::from));
        params.push(groups.into());
        params.extend([y.0[3], y.0[1], y.0[2]].map(Param::from));
        params.push(window.taps().into());
        params.extend(window_numbers(window));
        self.plain(id, Kernel::ConvFilter, params, count)
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
        let share = |of: usize| Param::F32(1.0 / of.max(1) as f32);
        let tap_chunks = self.channels / 8;
        vec![
            (self.h * self.upsample).into(),
            (self.w * self.upsample).into(),
            share(self.upsample),
            self.channels.into(),
            (x_rows * self.w * self.channels).into(),
            self.w.into(),
            x_row.into(),
            self.ow.into(),
            y_rows.into(),
            y_row.into(),
            self.window.taps().into(),
            tap_chunks.into(),
            share(tap_chunks),
            kernel[1].into(),
            share(kernel[1]),
            stride[0].into(),
            stride[1].into(),
            dilation[0].into(),
            dilation[1].into(),
            padding[0][0].into(),
            padding[1][0].into(),
        ]
    }
}
