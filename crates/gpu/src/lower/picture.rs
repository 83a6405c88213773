//! Operations on pictures that are not products, and element-by-element work, which may be as large as a picture.

use lantern_graph::{Count, Dim, NodeId, Op, Result, Shape};

use super::bands::runs;
use super::{Lowering, fixed, unsupported};
use crate::kernel::Kernel;
use crate::step::{Param, Part, Slot, strides};

/// Invocations that a group norm's first pass is spread over, about: enough for a GPU, few enough for the fold.
const NORM_PARTS: usize = 512;

impl Lowering<'_> {
    /// Uniforms and grid of the kernels that bind their inputs, then their result.
    pub(super) fn picture_numbers(&self, id: NodeId) -> Result<(Vec<Param>, Count)> {
        let node = self.graph.node(id);
        let count = node.shape.count();
        let sides = |shape: &Shape| [shape.0[1], shape.0[2], shape.0[3]].map(Param::from);
        let window = node.op.window();
        let two = |pair: [usize; 2]| pair.map(Param::from);
        let mut params = vec![count.clone().into()];
        let from = self.shape(node.inputs[0]);
        match node.op {
            Op::Conv2dTransposed { groups, .. } => {
                let w = self.shape(node.inputs[1]);
                let k = Count::product(&w.0[1..]).factor;
                let [h, wide, _] = sides(&node.shape);
                let [oh, ow, outs] = sides(from);
                params.extend([k.div_ceil(8).into(), k.into(), h, wide, w.0[3].into(), groups.into(), outs, oh, ow]);
            }
            Op::Conv2dFilter { groups, .. } => {
                let y = self.shape(node.inputs[1]);
                let ([h, wide, _], [oh, ow, outs]) = (sides(from), sides(y));
                let taps = window.map_or(0, |w| w.taps());
                params.extend([from.0[0].into(), h, wide, node.shape.0[3].into(), groups.into(), outs, oh, ow]);
                params.push(taps.into());
            }
            _ => {
                let [oh, ow, _] = sides(&node.shape);
                params.extend(sides(from));
                params.extend([oh, ow]);
            }
        }
        if let Some(window) = window {
            params.extend(two(window.kernel));
            params.extend(two(window.stride));
            if !matches!(node.op, Op::MaxPool { .. }) {
                params.extend(two(window.dilation));
            }
            params.extend([window.padding[0][0], window.padding[1][0]].map(Param::from));
        }
        Ok((params, count))
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
                let grid = vec![Count { factor: here * groups, symbols: Vec::new() }];
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
                let grid = vec![Count { factor: elements, symbols: Vec::new() }];
                self.step(id, pipeline.clone(), vec![run(x), factors.into(), run(out)], params, grid);
            }
        }
        Ok(out)
    }

    /// Operations whose operands all have the result's shape.
    pub(super) fn elements(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let numbers = |n: Param| match node.op {
            Op::Affine { mul, add } => vec![n, Param::F32(mul), Param::F32(add)],
            _ => vec![n, Param::F32(0.0), Param::F32(0.0)],
        };
        let out = self.result(id);
        let mut storage = node.inputs.iter().map(|i| self.slot(*i)).collect::<Result<Vec<_>>>()?;
        storage.push(out);
        let count = node.shape.count();
        let at_once = self.rows_at_once(&[1], 1);
        if count.bound(graph) <= at_once {
            self.simple(id, kernel, storage, numbers(count.clone().into()), count)?;
            return Ok(out);
        }
        let total = self.known(&count)?;
        let pipeline = self.gpu.chosen(kernel)?;
        for (first, len) in runs(total, at_once, 64) {
            let parts = storage.iter().map(|slot| Part::run(*slot, first, len)).collect();
            let grid = vec![Count { factor: len, symbols: Vec::new() }];
            self.step(id, pipeline.clone(), parts, numbers(len.into()), grid);
        }
        Ok(out)
    }

    /// Two operands, each stretched where it is 1 long; cut along the result's outermost axis where it is too large.
    pub(super) fn binary(&mut self, id: NodeId, kernel: Kernel) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let shape = &node.shape;
        let (l, r) = (self.shape(node.inputs[0]), self.shape(node.inputs[1]));
        let slots = [self.slot(node.inputs[0])?, self.slot(node.inputs[1])?];
        let out = self.result(id);
        let count = shape.count();
        let at_once = self.rows_at_once(&[1], 1);
        let operands: Vec<Param> = [l, r].iter().flat_map(|from| self.strides4(from, shape)).collect();
        if count.bound(graph) <= at_once {
            let mut params = self.dims4(shape)?;
            params.extend(operands);
            params.push(count.clone().into());
            self.simple(id, kernel, vec![slots[0], slots[1], out], params, count)?;
            return Ok(out);
        }
        self.known(&count)?;
        let mut dims: Vec<usize> = shape.bound(graph);
        let Some(axis) = dims.iter().position(|d| *d > 1) else {
            return Err(unsupported(format!("{shape} has no axis to cut")));
        };
        // Elements from one index of that axis to the next, in each operand and in the result: 0 where it is stretched.
        let step_of = |from: &Shape| {
            let own = (axis + from.rank()).checked_sub(shape.rank());
            own.filter(|a| from.0[*a] == shape.0[axis]).map_or(0, |a| strides(from)[a].bound(graph))
        };
        let steps = [step_of(l), step_of(r), step_of(shape)];
        // Bindings of these kernels have no base, so runs begin where every operand is aligned.
        let unit = if steps.iter().all(|s| s % 64 == 0) { 1 } else { 64 };
        let pipeline = self.gpu.chosen(kernel)?;
        let length = dims[axis];
        for (first, len) in runs(length, at_once / steps[2].max(1), unit) {
            dims[axis] = len;
            let part = |slot: Slot, step: usize| match step {
                0 => slot.into(),
                _ => Part::run(slot, first * step, len * step),
            };
            let storage = vec![part(slots[0], steps[0]), part(slots[1], steps[1]), part(out, steps[2])];
            let here = Shape(dims.iter().map(|d| Dim::Fixed(*d)).collect());
            let mut params = self.dims4(&here)?;
            params.extend(operands.clone());
            params.push(here.count().into());
            self.step(id, pipeline.clone(), storage, params, vec![here.count()]);
        }
        Ok(out)
    }

    fn known(&self, count: &Count) -> Result<usize> {
        if count.symbols.is_empty() {
            return Ok(count.factor);
        }
        fixed(Dim::Symbol(count.symbols[0]), "a dimension of what is done in parts")
    }
}
