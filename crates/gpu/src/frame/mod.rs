//! Pictures in and out on the device, as `lantern_graph::FrameSpec` defines them.
//!
//! Between its edges a picture is a buffer, a word a pixel, rows apart as texture copies want them. Textures are met only at the
//! edges: what a browser has is copied into one and on into the buffer (`web.rs`), and what is painted is drawn onto one
//! (`show.rs`). So the kernels between them are the same natively and in the page, and are tested like every other.

mod kernels;
mod selftest;
mod show;
#[cfg(target_arch = "wasm32")]
mod web;

use lantern_graph::{Error, FrameSpec, Frames, PlanOf, Result};

use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::memory::Buffer;
use crate::session::{DATA, GpuSession};

pub(crate) use selftest::{all, frame_difference, frame_in, frame_out};
pub(crate) use show::Show;
use show::Target;

/// Pixels that the rows of a picture are a multiple of: 256 bytes, for copies from textures.
const ROW: usize = 64;

/// Pixels that one invocation compares: `PIECE` in `frame_difference.wgsl`.
const PIECE: usize = 256;

/// A picture on the device.
pub struct GpuFrame {
    pixels: Pixels,
    /// Where the browser puts the next one of this size.
    #[cfg(target_arch = "wasm32")]
    texture: Option<crate::memory::Texture>,
}

/// Where pictures are painted: on a canvas, on a texture, or only in memory.
pub struct GpuSurface {
    pixels: Option<Pixels>,
    target: Target,
}

/// A picture's words.
struct Pixels {
    size: [usize; 2],
    /// Words from row to row.
    stride: usize,
    words: Buffer,
}

impl Pixels {
    /// # Errors
    /// `frame.too_large` where a buffer cannot hold or a kernel cannot see it.
    fn new(gpu: &Gpu, size: [usize; 2]) -> Result<Pixels> {
        let [height, width] = size;
        let stride = width.next_multiple_of(ROW);
        let bytes = (height as u64).saturating_mul(stride as u64 * 4);
        let limit = gpu.0.buffer_limit;
        if height == 0 || width == 0 || bytes > limit {
            return Err(too_large(size, &format!("take {bytes} bytes, and a buffer has at most {limit} here")));
        }
        Ok(Pixels { size, stride, words: gpu.buffer("picture", bytes, DATA) })
    }
}

fn too_large([height, width]: [usize; 2], why: &str) -> Error {
    Error::new("frame.too_large", format!("a picture of {width} × {height} pixels: {why}"), "make it smaller first")
}

impl GpuSurface {
    /// Height and width of what was painted last; zeros before that.
    pub fn size(&self) -> [usize; 2] {
        self.pixels.as_ref().map_or([0, 0], |pixels| pixels.size)
    }

    /// A place for a picture of that size; the one before is freed first.
    fn fit(&mut self, gpu: &Gpu, size: [usize; 2]) -> Result<&Pixels> {
        let kept = self.pixels.take().filter(|pixels| pixels.size == size);
        let pixels = match kept {
            Some(pixels) => pixels,
            None => Pixels::new(gpu, size)?,
        };
        Ok(self.pixels.insert(pixels))
    }
}

impl Gpu {
    /// A surface that is a texture, as a window's would be.
    ///
    /// # Errors
    /// When it cannot be drawn on.
    pub fn texture_surface(&self) -> GpuSurface {
        GpuSurface { pixels: None, target: Target::texture() }
    }

    /// What a texture surface shows, `[height, width, 4]`: colours multiplied by alpha.
    ///
    /// # Errors
    /// `frame.unfit` where nothing was painted on a texture; `gpu.lost`.
    pub async fn shown(&self, surface: &GpuSurface) -> Result<Vec<u8>> {
        let copied = surface.target.copied(self)?;
        self.bytes_of(&copied).await
    }

    /// A picture's bytes, without what is between its rows.
    async fn bytes_of(&self, pixels: &Pixels) -> Result<Vec<u8>> {
        let [height, width] = pixels.size;
        let bytes = (height * pixels.stride * 4) as u64;
        let padded = self.read_buffer(&mut None, &pixels.words, 0, bytes).await?;
        let mut rgba = Vec::with_capacity(height * width * 4);
        padded.chunks_exact(pixels.stride * 4).for_each(|row| rgba.extend_from_slice(&row[..width * 4]));
        Ok(rgba)
    }

    fn upload(&self, size: [usize; 2], rgba: &[u8]) -> Result<Pixels> {
        let [height, width] = size;
        if height.checked_mul(width).and_then(|n| n.checked_mul(4)) != Some(rgba.len()) {
            let cause = format!("{} bytes for {width} × {height} pixels", rgba.len());
            return Err(Error::new("frame.unfit", cause, "give four for each pixel"));
        }
        let pixels = Pixels::new(self, size)?;
        let queue = &self.0.queue;
        if pixels.stride == width {
            queue.write_buffer(&pixels.words, 0, rgba);
            return Ok(pixels);
        }
        for (row, bytes) in rgba.chunks_exact(width * 4).enumerate() {
            queue.write_buffer(&pixels.words, (row * pixels.stride * 4) as u64, bytes);
        }
        Ok(pixels)
    }
}

impl Frames for Gpu {
    type Frame = GpuFrame;
    type Surface = GpuSurface;

    fn frame(&self, size: [usize; 2], rgba: &[u8]) -> Result<GpuFrame> {
        self.check()?;
        Ok(GpuFrame {
            pixels: self.upload(size, rgba)?,
            #[cfg(target_arch = "wasm32")]
            texture: None,
        })
    }

    fn frame_size(&self, frame: &GpuFrame) -> [usize; 2] {
        frame.pixels.size
    }

    fn surface(&self) -> GpuSurface {
        GpuSurface { pixels: None, target: Target::None }
    }

    async fn write_frame(
        &self,
        session: &mut GpuSession,
        plan: &PlanOf<Self>,
        input: &str,
        frame: &GpuFrame,
        spec: &FrameSpec,
    ) -> Result<()> {
        self.check()?;
        let (at, shape, buffer) = session.input(plan, input)?;
        spec.check_in(frame.pixels.size, &shape)?;
        self.prepare(&[Kernel::FrameIn]).await?;
        self.picture_in(&frame.pixels, spec, buffer, 0)?;
        plan.bond.input_stands(at, shape.iter().product());
        self.check()
    }

    async fn paint(
        &self,
        session: &mut GpuSession,
        plan: &PlanOf<Self>,
        output: &str,
        spec: &FrameSpec,
        surface: &mut GpuSurface,
    ) -> Result<()> {
        self.check()?;
        self.prepare(&[Kernel::FrameOut]).await?;
        let (shape, buffer, offset) = session.output(plan, output)?;
        let channels = spec.check_out(&shape)?;
        let pixels = surface.fit(self, spec.size)?;
        self.picture_out(&buffer, offset, channels, spec, pixels)?;
        surface.show(self)?;
        self.check()
    }

    async fn difference(&self, surface: &GpuSurface, frame: &GpuFrame) -> Result<u64> {
        let (painted, b) = (surface.size(), &frame.pixels);
        let Some(a) = surface.pixels.as_ref().filter(|_| painted == b.size) else {
            let ([rows, columns], [height, width]) = (painted, b.size);
            let cause = format!("{columns} × {rows} pixels were painted, and the picture has {width} × {height}");
            return Err(Error::new("frame.unfit", cause, "compare pictures of one size"));
        };
        self.prepare(&[Kernel::FrameDifference]).await?;
        let sums = self.differences(a, b)?;
        let bytes = self.read_buffer(&mut None, &sums, 0, (sum_count(a.size) * 4) as u64).await?;
        let sums: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(sums.into_iter().map(u64::from).sum())
    }

    async fn read_surface(&self, surface: &GpuSurface) -> Result<([usize; 2], Vec<u8>)> {
        match &surface.pixels {
            None => Ok(([0, 0], Vec::new())),
            Some(pixels) => Ok((pixels.size, self.bytes_of(pixels).await?)),
        }
    }
}

/// Numbers that a comparison of pictures of that size gives.
fn sum_count([height, width]: [usize; 2]) -> usize {
    height * width.div_ceil(PIECE)
}
