//! Dispatches of the kernels between a picture's words and a tensor.

use std::ops::Range;

use lantern_graph::{Alpha, Error, Filter, FrameSpec, Result, Transfer};

use super::{PIECE, Pixels, sum_count};
use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::memory::{ALIGNMENT, Buffer};
use crate::pipeline::Pipeline;
use crate::session::DATA;
use crate::shader::Binding;
use crate::step::fold;

/// A run of rows of a result, and the rows of what is read that they are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Band {
    rows: Range<usize>,
    from: Range<usize>,
}

/// What a dispatch binds: whole words, from an aligned place on.
struct Bound<'b> {
    buffer: &'b wgpu::Buffer,
    offset: u64,
    bytes: u64,
    /// Words of it before the first that is meant.
    base: usize,
}

impl<'b> Bound<'b> {
    /// `len` words from word `first` on of what begins at `offset`, an aligned place.
    fn words(buffer: &'b wgpu::Buffer, offset: u64, first: usize, len: usize) -> Bound<'b> {
        let start = first as u64 * 4 / ALIGNMENT * ALIGNMENT;
        let base = first - start as usize / 4;
        Bound { buffer, offset: offset + start, bytes: (base + len) as u64 * 4, base }
    }
}

/// Rows of the result that are bound at once: as many as fit, with what they read, under the limit on a binding.
fn bands(spec: &FrameSpec, row_bytes: usize, from_row_bytes: usize, limit: u64) -> Result<Vec<Band>> {
    let from = |rows: &Range<usize>| {
        let taps = |i| spec.filter.taps(i, spec.crop.height, spec.size[0]);
        spec.place(0, taps(rows.start).start)..spec.place(0, taps(rows.end - 1).end - 1) + 1
    };
    // What is before an aligned place is bound too.
    let fits = |rows: usize, bytes: usize| rows as u64 * bytes as u64 + ALIGNMENT <= limit;
    let (mut bands, mut start, mut most) = (Vec::new(), 0, spec.size[0]);
    while start < spec.size[0] {
        let rows = start..(start + most).min(spec.size[0]);
        let band = Band { from: from(&rows), rows };
        if fits(band.rows.len(), row_bytes) && fits(band.from.len(), from_row_bytes) {
            start = band.rows.end;
            bands.push(band);
        } else if most > 1 {
            most = most.div_ceil(2);
        } else {
            let [[height, width], [rows, columns]] = [spec.cropped(), spec.size];
            return Err(Error::new(
                "gpu.too_large",
                format!(
                    "one row of {width} × {height} pixels that become {columns} × {rows} is over this adapter's limit of {limit} bytes"
                ),
                "use a smaller picture, or the processor",
            ));
        }
    }
    Ok(bands)
}

/// The numbers of `frame_interface.wgsl`.
struct Params<'s> {
    spec: &'s FrameSpec,
    channels: usize,
    band: &'s Band,
    from_base: usize,
    base: usize,
    stride: usize,
}

impl Params<'_> {
    fn words(&self) -> Vec<u32> {
        let Params { spec, channels, band, from_base, base, stride } = self;
        let [height, width] = spec.size;
        let (alpha, [red, green, blue]) = match spec.alpha {
            Alpha::Drop => (0, [0.0; 3]),
            Alpha::Over(colour) => (1, colour),
            Alpha::Keep => (2, [0.0; 3]),
        };
        let numbers = [
            band.rows.len() * width,
            band.rows.start,
            spec.from[0],
            spec.from[1],
            band.from.start,
            *from_base,
            *base,
            *stride,
            spec.crop.top,
            spec.crop.left,
            spec.crop.height,
            spec.crop.width,
            height,
            width,
            usize::from(spec.mirror),
            usize::from(spec.filter == Filter::Area),
            usize::from(spec.transfer == Transfer::Linear),
        ];
        let mut words: Vec<u32> = numbers.iter().map(|n| *n as u32).collect();
        words.extend(spec.range.map(f32::to_bits));
        words.extend([*channels as u32, alpha]);
        words.extend([red, green, blue].map(f32::to_bits));
        words
    }
}

impl Gpu {
    /// A picture into a tensor that begins at `offset`, an aligned place.
    pub(super) fn picture_in(
        &self,
        picture: &Pixels,
        spec: &FrameSpec,
        tensor: &wgpu::Buffer,
        offset: u64,
    ) -> Result<()> {
        let (channels, width) = (spec.channels(), spec.size[1]);
        for band in bands(spec, width * channels * 4, picture.stride * 4, self.0.binding_limit)? {
            let from =
                Bound::words(&picture.words, 0, band.from.start * picture.stride, band.from.len() * picture.stride);
            let (first, len) = (band.rows.start * width * channels, band.rows.len() * width * channels);
            let to = Bound::words(tensor, offset, first, len);
            let params =
                Params { spec, channels, band: &band, from_base: from.base, base: to.base, stride: picture.stride };
            self.dispatch(Kernel::FrameIn, &[from, to], &params.words())?;
        }
        Ok(())
    }

    /// A tensor that begins at `offset`, an aligned place, into a picture.
    pub(super) fn picture_out(
        &self,
        tensor: &wgpu::Buffer,
        offset: u64,
        channels: usize,
        spec: &FrameSpec,
        picture: &Pixels,
    ) -> Result<()> {
        let row = spec.from[1] * channels;
        for band in bands(spec, picture.stride * 4, row * 4, self.0.binding_limit)? {
            let from = Bound::words(tensor, offset, band.from.start * row, band.from.len() * row);
            let to =
                Bound::words(&picture.words, 0, band.rows.start * picture.stride, band.rows.len() * picture.stride);
            let params =
                Params { spec, channels, band: &band, from_base: from.base, base: to.base, stride: picture.stride };
            self.dispatch(Kernel::FrameOut, &[from, to], &params.words())?;
        }
        Ok(())
    }

    /// Squared differences between pictures of one size, `sum_count` numbers.
    pub(super) fn differences(&self, a: &Pixels, b: &Pixels) -> Result<Buffer> {
        let [height, width] = a.size;
        let sums = self.buffer("differences", (sum_count(a.size) * 4) as u64, DATA);
        let pieces = width.div_ceil(PIECE);
        // Rows are whole multiples of 256 bytes: any of them may be bound first.
        let rows_at_once = (self.0.binding_limit as usize / (a.stride.max(pieces) * 4)).max(1);
        let mut row = 0;
        while row < height {
            let rows = rows_at_once.min(height - row);
            let part = |pixels: &'_ Pixels| (row * pixels.stride, rows * pixels.stride);
            let (a_part, b_part) = (part(a), part(b));
            let bound = [
                Bound::words(&a.words, 0, a_part.0, a_part.1),
                Bound::words(&b.words, 0, b_part.0, b_part.1),
                Bound::words(&sums, 0, row * pieces, rows * pieces),
            ];
            let numbers = [rows * pieces, width, pieces, a.stride, b.stride, bound[2].base];
            self.dispatch(Kernel::FrameDifference, &bound, &numbers.map(|n| n as u32))?;
            row += rows;
        }
        Ok(sums)
    }

    /// Submits one dispatch of a prepared kernel; the first number says how many invocations it takes.
    fn dispatch(&self, kernel: Kernel, bound: &[Bound], numbers: &[u32]) -> Result<()> {
        let inner = &self.0;
        let pipeline: &Pipeline = &*self.chosen(kernel)?;
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self.buffer("frame", size_of_val(numbers) as u64, uniform);
        inner.queue.write_buffer(&params, 0, bytemuck::cast_slice(numbers));
        let mut storage = bound.iter();
        let entries: Vec<wgpu::BindGroupEntry> = pipeline
            .shader
            .bindings
            .iter()
            .enumerate()
            .filter_map(|(binding, kind)| {
                let whole = wgpu::BufferBinding { buffer: &params, offset: 0, size: None };
                let part = |bound: &'_ Bound| (bound.offset, wgpu::BufferSize::new(bound.bytes));
                let resource = match kind {
                    Binding::Uniform => whole,
                    Binding::Read | Binding::ReadWrite => {
                        let bound = storage.next()?;
                        let (offset, size) = part(bound);
                        wgpu::BufferBinding { buffer: bound.buffer, offset, size }
                    }
                };
                let resource = wgpu::BindingResource::Buffer(resource);
                Some(wgpu::BindGroupEntry { binding: binding as u32, resource })
            })
            .collect();
        let group = inner.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("frame"),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let invocations = numbers.first().map_or(0, |n| *n as usize);
        let [x, y] = fold(invocations.div_ceil(pipeline.shader.covers[0]), inner.workgroups_limit);
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        drop(pass);
        inner.queue.submit([encoder.finish()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_all_rows_in_order_and_what_they_read() {
        let spec = FrameSpec { size: [37, 11], ..FrameSpec::new([100, 30]) };
        let whole = bands(&spec, 11 * 12, 64 * 4, 1 << 20).unwrap();
        assert_eq!(whole, [Band { rows: 0..37, from: 0..100 }]);
        let parts = bands(&spec, 11 * 12, 64 * 4, 6000).unwrap();
        assert!(parts.len() > 2, "{parts:?}");
        let mut next = 0;
        for band in &parts {
            assert_eq!(band.rows.start, next);
            next = band.rows.end;
            assert!(band.from.len() * 256 + 256 <= 6000 && band.rows.len() * 132 + 256 <= 6000, "{band:?}");
            for i in band.rows.clone() {
                let taps = spec.filter.taps(i, 100, 37);
                assert!(band.from.start <= taps.start && taps.end <= band.from.end, "{i} of {band:?}");
            }
        }
        assert_eq!(next, 37);
        let error = bands(&spec, 11 * 12, 64 * 4, 800).unwrap_err();
        assert!(error.code == "gpu.too_large" && error.cause.contains("800"), "{error}");
    }
}
