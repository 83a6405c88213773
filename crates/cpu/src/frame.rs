//! Pictures in and out, as `lantern_graph::FrameSpec` defines them: in f64, row by row. What kernels are held to.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use lantern_graph::contract::find_input;
use lantern_graph::{Alpha, Error, FrameSpec, Frames, PlanOf, Result, Session as _, Transfer, Value};

use crate::memory::{Account, Entry, filled};
use crate::{Cpu, Session};

/// Multiplications between two turns of the event loop: some 20 ms in the page.
const SLICE: usize = 10_000_000;

/// A picture of bytes.
pub struct Frame {
    size: [usize; 2],
    rgba: Vec<u8>,
    _entry: Entry,
}

/// What was painted last, as bytes.
pub struct Surface {
    size: [usize; 2],
    rgba: Vec<u8>,
    memory: Account,
    entry: Entry,
}

impl Surface {
    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// `[height, width, 4]`.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }
}

/// Inputs of a plan that frames were written to, by their place in the graph.
#[derive(Default)]
pub(crate) struct Written(RefCell<Tensors>);

/// Inputs' values that stay from run to run.
#[derive(Default, Clone)]
pub(crate) struct Tensors(HashMap<usize, Rc<Tensor>>);

struct Tensor {
    value: Value,
    _entry: Entry,
}

impl Written {
    /// Those that a run is not given itself; for those that it is, the frame is over.
    pub fn beside(&self, given: &[Option<&Value>]) -> Tensors {
        let mut written = self.0.borrow_mut();
        written.0.retain(|i, _| given[*i].is_none());
        written.clone()
    }
}

impl Tensors {
    /// What is given, and these where nothing is.
    pub fn fill<'v>(&'v self, given: &[Option<&'v Value>]) -> Vec<Option<&'v Value>> {
        let standing = |i: usize| self.0.get(&i).map(|tensor| &tensor.value);
        given.iter().enumerate().map(|(i, value)| value.or_else(|| standing(i))).collect()
    }
}

/// sRGB's curve (IEC 61966-2-1) taken off.
fn to_linear(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn to_srgb(v: f64) -> f64 {
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// A way from rows to rows of another number and length.
struct Resample<'a> {
    spec: &'a FrameSpec,
    channels: usize,
    /// For each pixel of a row: what counts in it, and how much.
    across: Vec<(Range<usize>, Vec<f64>)>,
    /// Rows of the crop at their new length, from `first` on.
    kept: VecDeque<Vec<f64>>,
    first: usize,
    line: Vec<f64>,
    out: Vec<f64>,
}

impl<'a> Resample<'a> {
    fn new(spec: &'a FrameSpec, channels: usize) -> Self {
        let ([_, length], [_, out]) = (spec.cropped(), spec.size);
        Self {
            spec,
            channels,
            across: (0..out).map(|i| shares(spec, i, length, out)).collect(),
            kept: VecDeque::new(),
            first: 0,
            line: vec![0.0; length * channels],
            out: vec![0.0; out * channels],
        }
    }

    /// Row `i` of the result, asked for in order. `read` fills a row of the crop.
    fn row(&mut self, i: usize, read: impl Fn(usize, &mut [f64])) -> &mut [f64] {
        let (taps, weights) = shares(self.spec, i, self.spec.crop.height, self.spec.size[0]);
        let passed = taps.start.saturating_sub(self.first).min(self.kept.len());
        let mut spare: Vec<Vec<f64>> = self.kept.drain(..passed).collect();
        self.first = taps.start;
        for j in self.first + self.kept.len()..taps.end {
            read(j, &mut self.line);
            let mut squeezed = spare.pop().unwrap_or_else(|| vec![0.0; self.out.len()]);
            for (out, (taps, weights)) in squeezed.chunks_exact_mut(self.channels).zip(&self.across) {
                out.fill(0.0);
                let under = self.line[taps.start * self.channels..].chunks_exact(self.channels);
                for (pixel, weight) in under.zip(weights) {
                    out.iter_mut().zip(pixel).for_each(|(out, v)| *out += weight * v);
                }
            }
            self.kept.push_back(squeezed);
        }
        self.out.fill(0.0);
        for (row, weight) in self.kept.iter().zip(&weights) {
            self.out.iter_mut().zip(row).for_each(|(out, v)| *out += weight * v);
        }
        &mut self.out
    }
}

fn shares(spec: &FrameSpec, i: usize, length: usize, out: usize) -> (Range<usize>, Vec<f64>) {
    let taps = spec.filter.taps(i, length, out);
    let weights: Vec<f64> = taps.clone().map(|j| spec.filter.weight(i, j, length, out) as f64).collect();
    let total: f64 = weights.iter().sum();
    (taps, weights.into_iter().map(|weight| weight / total).collect())
}

/// Colours times their alpha, or divided by it again.
fn multiply(pixel: &mut [f64]) {
    if let [colours @ .., alpha] = pixel {
        colours.iter_mut().for_each(|v| *v *= *alpha);
    }
}

fn divide(pixel: &mut [f64]) {
    if let [colours @ .., alpha] = pixel {
        let by = if *alpha > 0.0 { 1.0 / *alpha } else { 0.0 };
        colours.iter_mut().for_each(|v| *v *= by);
    }
}

fn mirrored<const N: usize, T: Copy>(row: &mut [T], channels: usize) {
    debug_assert_eq!(channels, N);
    row.as_chunks_mut::<N>().0.reverse();
}

/// A picture of bytes on its way to a tensor.
struct Inwards<'a> {
    rgba: &'a [u8],
    /// What each byte of a colour is in the tensor's transfer.
    colours: Vec<f64>,
    rows: Resample<'a>,
}

impl<'a> Inwards<'a> {
    fn new(spec: &'a FrameSpec, rgba: &'a [u8]) -> Self {
        let colour = |byte: u8| match spec.transfer {
            Transfer::Srgb => f64::from(byte) / 255.0,
            Transfer::Linear => to_linear(f64::from(byte) / 255.0),
        };
        Self { rgba, colours: (0..=255).map(colour).collect(), rows: Resample::new(spec, spec.channels()) }
    }

    /// Row `i` of the tensor, asked for in order.
    fn row(&mut self, i: usize, out: &mut [f32]) {
        let spec = self.rows.spec;
        let width = spec.from[1];
        let (rgba, colours) = (self.rgba, &self.colours);
        let read = |row: usize, line: &mut [f64]| {
            let bytes = rgba[4 * width * spec.place(0, row)..].as_chunks::<4>().0;
            for (x, pixel) in line.chunks_exact_mut(spec.channels()).enumerate() {
                let [r, g, b, a] = bytes[spec.place(1, x)];
                let alpha = f64::from(a) / 255.0;
                let rgb = [r, g, b].map(|byte| colours[usize::from(byte)]);
                for (c, out) in pixel.iter_mut().enumerate() {
                    *out = match (spec.alpha, rgb.get(c)) {
                        (Alpha::Drop, Some(v)) => *v,
                        (Alpha::Over(other), Some(v)) => v * alpha + f64::from(other[c]) * (1.0 - alpha),
                        (Alpha::Keep, Some(v)) => v * alpha,
                        (_, None) => alpha,
                    };
                }
            }
        };
        let row = self.rows.row(i, read);
        let [black, white] = spec.range.map(f64::from);
        for pixel in row.chunks_exact_mut(spec.channels()) {
            if spec.alpha == Alpha::Keep {
                divide(pixel);
            }
            pixel.iter_mut().take(3).for_each(|v| *v = black + *v * (white - black));
        }
        out.iter_mut().zip(row).for_each(|(out, v)| *out = *v as f32);
        match (spec.mirror, spec.channels()) {
            (false, _) => {}
            (true, 4) => mirrored::<4, f32>(out, 4),
            (true, channels) => mirrored::<3, f32>(out, channels),
        }
    }
}

/// A tensor on its way to a picture of bytes.
struct Outwards<'a> {
    values: &'a [f32],
    rows: Resample<'a>,
}

impl<'a> Outwards<'a> {
    fn new(spec: &'a FrameSpec, channels: usize, values: &'a [f32]) -> Self {
        Self { values, rows: Resample::new(spec, channels) }
    }

    /// Row `i` of the picture, asked for in order.
    fn row(&mut self, i: usize, out: &mut [u8]) {
        let (spec, channels) = (self.rows.spec, self.rows.channels);
        let width = spec.from[1];
        let [black, white] = spec.range.map(f64::from);
        let values = self.values;
        let read = |row: usize, line: &mut [f64]| {
            let from = &values[channels * width * spec.place(0, row)..];
            for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                let from = &from[channels * spec.place(1, x)..][..channels];
                pixel.iter_mut().zip(from).for_each(|(out, v)| *out = (f64::from(*v) - black) / (white - black));
                if channels == 4 {
                    pixel[3] = f64::from(from[3]).clamp(0.0, 1.0);
                    multiply(pixel);
                }
            }
        };
        let row = self.rows.row(i, read);
        let byte = |v: f64| (255.0 * v + 0.5).floor() as u8;
        for (pixel, out) in row.chunks_exact_mut(channels).zip(out.as_chunks_mut::<4>().0) {
            if channels == 4 {
                divide(pixel);
            }
            let colour = |i: usize| {
                let v = pixel[if channels == 1 { 0 } else { i }].clamp(0.0, 1.0);
                byte(if spec.transfer == Transfer::Linear { to_srgb(v) } else { v })
            };
            let alpha = if channels == 4 { byte(pixel[3]) } else { 255 };
            *out = [colour(0), colour(1), colour(2), alpha];
        }
        if spec.mirror {
            mirrored::<4, u8>(out, 4);
        }
    }
}

/// The tensor that a picture becomes, `[1, height, width, channels]`.
///
/// # Errors
/// `frame.spec`; `frame.unfit` for another number of bytes.
pub(crate) fn picture_to_tensor(spec: &FrameSpec, rgba: &[u8]) -> Result<Vec<f32>> {
    spec.check()?;
    count(rgba.len(), spec.from, 4)?;
    let [height, width] = spec.size;
    let mut out = vec![0.0; height * width * spec.channels()];
    let mut inwards = Inwards::new(spec, rgba);
    out.chunks_exact_mut(width * spec.channels()).enumerate().for_each(|(i, row)| inwards.row(i, row));
    Ok(out)
}

/// The bytes that a tensor becomes, `[height, width, 4]`.
///
/// # Errors
/// `frame.spec`; `frame.unfit` for another number of values.
pub(crate) fn tensor_to_picture(spec: &FrameSpec, channels: usize, values: &[f32]) -> Result<Vec<u8>> {
    spec.check_out(&[1, spec.from[0], spec.from[1], channels])?;
    count(values.len(), spec.from, channels)?;
    let [height, width] = spec.size;
    let mut out = vec![0; height * width * 4];
    let mut outwards = Outwards::new(spec, channels, values);
    out.chunks_exact_mut(width * 4).enumerate().for_each(|(i, row)| outwards.row(i, row));
    Ok(out)
}

fn count(values: usize, [height, width]: [usize; 2], channels: usize) -> Result<()> {
    if height.checked_mul(width).and_then(|n| n.checked_mul(channels)) == Some(values) {
        return Ok(());
    }
    let cause = format!("{values} values for {width} × {height} pixels of {channels} channels");
    Err(Error::new("frame.unfit", cause, "give as many as its size says"))
}

impl Cpu {
    /// Rows of a result one after the other, with turns of the event loop between them.
    async fn rows<T>(&self, spec: &FrameSpec, out: &mut [T], mut row: impl FnMut(usize, &mut [T])) {
        let [height, width] = spec.size;
        // About: what is read across, and what is added up down.
        let work = (spec.crop.height * spec.crop.width / height + width * (spec.crop.height / height + 2)) * 8;
        let at_once = (SLICE / work.max(1)).max(1);
        let len = out.len() / height;
        for (i, out) in out.chunks_exact_mut(len).enumerate() {
            if let (0, Some(yields)) = (i % at_once, &self.yields) {
                yields().await;
            }
            row(i, out);
        }
    }
}

impl Frames for Cpu {
    type Frame = Frame;
    type Surface = Surface;

    fn frame(&self, size: [usize; 2], rgba: &[u8]) -> Result<Frame> {
        count(rgba.len(), size, 4)?;
        let mut bytes = filled("a picture", rgba.len(), 0)?;
        bytes.copy_from_slice(rgba);
        Ok(Frame { size, _entry: self.memory.enter(bytes.len() as u64), rgba: bytes })
    }

    fn frame_size(&self, frame: &Frame) -> [usize; 2] {
        frame.size
    }

    fn surface(&self) -> Surface {
        Surface { size: [0, 0], rgba: Vec::new(), memory: self.memory.clone(), entry: self.memory.enter(0) }
    }

    async fn write_frame(
        &self,
        session: &mut Session,
        plan: &PlanOf<Self>,
        input: &str,
        frame: &Frame,
        spec: &FrameSpec,
    ) -> Result<()> {
        let at = find_input(session, plan, input)?;
        spec.check_in(frame.size, &plan.graph.inputs[at].shape.bound(&plan.graph))?;
        let [height, width] = spec.size;
        // The one before goes first.
        plan.bond.input_is_written(at);
        plan.written.0.borrow_mut().0.remove(&at);
        let mut tensor = filled(input, height * width * spec.channels(), 0.0)?;
        let mut inwards = Inwards::new(spec, &frame.rgba);
        self.rows(spec, &mut tensor, |i, row| inwards.row(i, row)).await;
        plan.bond.input_stands(at, tensor.len());
        let entry = self.memory.enter(size_of_val(&tensor[..]) as u64);
        let tensor = Tensor { value: Value::F32(tensor), _entry: entry };
        plan.written.0.borrow_mut().0.insert(at, Rc::new(tensor));
        Ok(())
    }

    async fn paint(
        &self,
        session: &mut Session,
        plan: &PlanOf<Self>,
        output: &str,
        spec: &FrameSpec,
        surface: &mut Surface,
    ) -> Result<()> {
        let id = plan.graph.find_output(output)?;
        let channels = spec.check_out(&plan.graph.shape(id).bound(&plan.graph))?;
        let values = session.read(plan, output).await?.into_f32()?;
        count(values.len(), spec.from, channels)?;
        let [height, width] = spec.size;
        if surface.size != spec.size {
            // What was painted before goes first.
            (surface.rgba, surface.size) = (Vec::new(), [0, 0]);
            surface.rgba = filled("a picture", height * width * 4, 0)?;
            surface.entry = surface.memory.enter(surface.rgba.len() as u64);
            surface.size = spec.size;
        }
        let mut outwards = Outwards::new(spec, channels, &values);
        self.rows(spec, &mut surface.rgba, |i, row| outwards.row(i, row)).await;
        Ok(())
    }

    async fn difference(&self, surface: &Surface, frame: &Frame) -> Result<u64> {
        if surface.size != frame.size {
            let ([rows, columns], [height, width]) = (surface.size, frame.size);
            let cause = format!("{columns} × {rows} pixels were painted, and the picture has {width} × {height}");
            return Err(Error::new("frame.unfit", cause, "compare pictures of one size"));
        }
        let pixels = surface.rgba.as_chunks::<4>().0.iter().zip(frame.rgba.as_chunks::<4>().0);
        Ok(pixels.map(|(a, b)| (0..3).map(|c| u64::from(a[c].abs_diff(b[c])).pow(2)).sum::<u64>()).sum())
    }

    async fn read_surface(&self, surface: &Surface) -> Result<([usize; 2], Vec<u8>)> {
        Ok((surface.size, surface.rgba.clone()))
    }
}
