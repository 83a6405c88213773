//! Pictures that are made smaller or larger, or normalized.

use lantern_graph::{Count, Dim, NodeId, Op, ResizeMode, Result, Window};

use super::{Lowering, one};
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::unsupported;
use crate::selftest::WINDOW;
use crate::step::{Param, Part, Slot};

/// Invocations that a group norm's first pass is spread over, about: enough for a GPU, few enough for the fold.
const NORM_PARTS: usize = 512;

pub(super) const GROUP_NORM: [Kernel; 3] = [Kernel::GroupNormParts, Kernel::GroupNormFold, Kernel::GroupNormApply];

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::MaxPool, Kernel::Resize(ResizeMode::Nearest), Kernel::Resize(ResizeMode::Bilinear)];
    all.extend(GROUP_NORM);
    all
}

pub fn max_pool() -> Described {
    Described {
        name: "max_pool".into(),
        variants: vec![Variant::software("max_pool.wgsl")],
        test: Test::case(|b| {
            let x = b.floats("x", [2, 5, 8, 3]);
            b.graph().max_pool(x, Window { dilation: [1, 1], padding: [[1, 0], [1, 1]], ..WINDOW })
        }),
    }
}

pub fn resize(mode: ResizeMode) -> Described {
    let file = match mode {
        ResizeMode::Nearest => "resize_nearest.wgsl",
        ResizeMode::Bilinear => "resize_bilinear.wgsl",
    };
    Described {
        name: format!("resize_{mode:?}").to_lowercase(),
        variants: vec![Variant::software(file)],
        test: Test::case(move |b| {
            let x = b.floats("x", [2, 5, 7, 3]);
            b.graph().resize(x, mode, [11, 4])
        }),
    }
}

pub fn group_norm_parts() -> Described {
    let variants = vec![Variant::software("group_norm_parts.wgsl")];
    Described { name: "group_norm_parts".into(), variants, test: Test::WithOthers }
}

pub fn group_norm_fold() -> Described {
    let variants = vec![Variant::software("group_norm_fold.wgsl")];
    Described { name: "group_norm_fold".into(), variants, test: Test::WithOthers }
}

pub fn group_norm_apply() -> Described {
    let others = &[Kernel::GroupNormParts, Kernel::GroupNormFold];
    Described {
        name: "group_norm_apply".into(),
        variants: vec![Variant::software("group_norm_apply.wgsl").with(others)],
        test: Test::case(|b| {
            let (x, w, bias) = (b.floats("x", [2, 23, 29, 12]), b.floats("w", [12]), b.floats("b", [12]));
            b.graph().fused(Op::GroupNorm { groups: 4, eps: 1e-5, silu: true }, &[x, w, bias])
        }),
    }
}

impl Lowering<'_> {
    /// What the kernels of pooling and of resizing begin with: elements of the result, and both pictures' sizes.
    fn sizes(&self, id: NodeId) -> Vec<Param> {
        let (to, from) = (self.shape(id), self.shape(self.graph.node(id).inputs[0]));
        let mut params = vec![to.count().into()];
        params.extend([from.0[1], from.0[2], from.0[3], to.0[1], to.0[2]].map(Param::from));
        params
    }

    pub(super) fn max_pool(&mut self, id: NodeId, window: Window) -> Result<Slot> {
        let Window { kernel, stride, padding, .. } = window;
        let mut params = self.sizes(id);
        params.extend([kernel[0], kernel[1], stride[0], stride[1], padding[0][0], padding[1][0]].map(Param::from));
        self.plain(id, Kernel::MaxPool, params, self.shape(id).count())
    }

    pub(super) fn resize(&mut self, id: NodeId, mode: ResizeMode) -> Result<Slot> {
        self.plain(id, Kernel::Resize(mode), self.sizes(id), self.shape(id).count())
    }

    /// Two passes over the picture, whatever parts of it can be bound, and a small one between them.
    pub(super) fn group_norm(&mut self, id: NodeId, groups: usize, eps: f32, silu: bool) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let (n, [h, w, channels]) = match node.shape.0[..] {
            [n, Dim::Fixed(h), Dim::Fixed(w), Dim::Fixed(c)] => (n, [h, w, c]),
            _ => return Err(unsupported(format!("group norm of {}", node.shape))),
        };
        let [x, weight, bias] = [self.slot(node.inputs[0])?, self.slot(node.inputs[1])?, self.slot(node.inputs[2])?];
        let pixels = h * w;
        let images = n.bound(graph);
        let part_pixels = pixels.div_ceil(NORM_PARTS);
        let parts = pixels.div_ceil(part_pixels);
        let sums = self.temporary(images * parts * groups * 2);
        let at_once = self.rows_at_once(&[channels], 8 * channels as u64);
        let in_one = at_once >= images * pixels;

        // A part belongs to one picture, so with several pictures each has its own dispatch.
        let pipeline = self.gpu.chosen(Kernel::GroupNormParts)?;
        let bands = |unit: usize| runs(pixels, at_once, unit).collect::<Vec<_>>();
        for image in 0..images {
            for (first, count) in bands(part_pixels) {
                let from = Part::run(x, (image * pixels + first) * channels, count * channels);
                let here = count.div_ceil(part_pixels);
                let params =
                    [here, count, part_pixels, channels, groups, image * parts + first / part_pixels, from.base()];
                let grid = vec![one(here * groups)];
                let params = params.map(Param::from).to_vec();
                self.step(id, pipeline.clone(), vec![from, sums.into()], params, grid);
            }
        }

        let factors = self.temporary(images * channels * 2);
        let all = Count::product(&[n, channels.into()]);
        let mut params = vec![all.clone().into()];
        params.extend([parts, pixels, part_pixels, channels, groups].map(Param::from));
        params.push(Param::F32(eps));
        self.simple(id, Kernel::GroupNormFold, vec![sums, weight, bias, factors], params, all)?;

        let out = self.result(id);
        let pipeline = self.gpu.chosen(Kernel::GroupNormApply)?;
        let numbers = |count: Param, first: usize, base: usize| {
            let mut params = vec![count];
            params.extend([channels, pixels * channels, first, usize::from(silu), base].map(Param::from));
            params
        };
        if in_one {
            let count = node.shape.count();
            let params = numbers(count.clone().into(), 0, 0);
            self.step(id, pipeline, vec![x.into(), factors.into(), out.into()], params, vec![count]);
            return Ok(out);
        }
        for image in 0..images {
            for (first, count) in bands(1) {
                let run = |slot| Part::run(slot, (image * pixels + first) * channels, count * channels);
                let elements = count * channels;
                let params = numbers(elements.into(), image, run(x).base());
                let grid = vec![one(elements)];
                self.step(id, pipeline.clone(), vec![run(x), factors.into(), run(out)], params, grid);
            }
        }
        Ok(out)
    }
}
