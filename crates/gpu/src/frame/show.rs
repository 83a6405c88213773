//! What was painted, drawn onto a texture: a canvas's of the moment, or one of our own.

use std::cell::RefCell;
use std::collections::HashMap;

use lantern_graph::{Error, Result};

use super::{GpuSurface, Pixels, too_large};
use crate::device::Gpu;
use crate::memory::Texture;

const SHADER: &str = include_str!("../kernels/frame_show.wgsl");

/// What drawing takes of a device.
#[derive(Default)]
pub(crate) struct Show(RefCell<HashMap<wgpu::TextureFormat, wgpu::RenderPipeline>>);

/// A texture, once it is there, and its size.
type Shown = RefCell<Option<(Texture, [usize; 2])>>;

/// Where a surface is seen.
pub(super) enum Target {
    None,
    Texture(Box<Shown>),
    #[cfg(target_arch = "wasm32")]
    Canvas(super::web::Canvas),
}

impl Target {
    pub fn texture() -> Target {
        Target::Texture(Box::default())
    }

    /// A texture's pixels, copied.
    pub fn copied(&self, gpu: &Gpu) -> Result<Pixels> {
        let unfit = || Error::new("frame.unfit", "nothing was painted on a texture", "paint first");
        let Target::Texture(texture) = self else { return Err(unfit()) };
        let texture = texture.borrow();
        let Some((texture, size)) = &*texture else { return Err(unfit()) };
        let pixels = Pixels::new(gpu, *size)?;
        gpu.copy_to_pixels(texture, &pixels);
        Ok(pixels)
    }
}

/// One of eight bits a channel, not in sRGB: bytes are written as they are.
pub(super) const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

impl GpuSurface {
    /// Draws what was painted where it is seen.
    pub(super) fn show(&self, gpu: &Gpu) -> Result<()> {
        let Some(pixels) = &self.pixels else { return Ok(()) };
        match &self.target {
            Target::None => Ok(()),
            Target::Texture(kept) => {
                let mut kept = kept.borrow_mut();
                kept.take_if(|(_, size)| *size != pixels.size);
                if kept.is_none() {
                    let usage = wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC;
                    *kept = Some((gpu.texture(pixels.size, usage)?, pixels.size));
                }
                match &*kept {
                    Some((texture, _)) => gpu.draw(pixels, texture, FORMAT),
                    None => Ok(()),
                }
            }
            #[cfg(target_arch = "wasm32")]
            Target::Canvas(canvas) => {
                gpu.check_side(pixels.size)?;
                let texture = canvas.texture(gpu, pixels.size)?;
                gpu.draw(pixels, &texture, canvas.format())
            }
        }
    }
}

impl Gpu {
    /// # Errors
    /// `frame.too_large` over this adapter's longest side of a texture.
    pub(super) fn check_side(&self, size: [usize; 2]) -> Result<()> {
        let limit = self.0.texture_limit as usize;
        if size.iter().all(|side| *side <= limit) {
            return Ok(());
        }
        Err(too_large(size, &format!("a side has at most {limit} here")))
    }

    /// # Errors
    /// `frame.too_large`.
    pub(super) fn texture(&self, size: [usize; 2], usage: wgpu::TextureUsages) -> Result<Texture> {
        self.check_side(size)?;
        Ok(Texture::new(&self.0.device, &self.1, size, FORMAT, usage))
    }

    /// A texture's pixels into a picture of its size.
    pub(super) fn copy_to_pixels(&self, texture: &wgpu::Texture, pixels: &Pixels) {
        let [height, width] = pixels.size.map(|side| side as u32);
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(pixels.stride as u32 * 4),
            rows_per_image: Some(height),
        };
        let mut encoder = self.0.device.create_command_encoder(&Default::default());
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &pixels.words, layout },
            wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        );
        self.0.queue.submit([encoder.finish()]);
    }

    /// # Errors
    /// `frame.too_large` over the limit on a binding.
    fn draw(&self, pixels: &Pixels, texture: &wgpu::Texture, format: wgpu::TextureFormat) -> Result<()> {
        let inner = &self.0;
        if pixels.words.size() > inner.binding_limit {
            let why =
                format!("take {} bytes, and {} can be seen at once here", pixels.words.size(), inner.binding_limit);
            return Err(too_large(pixels.size, &why));
        }
        let pipeline = self.show_pipeline(format);
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = self.buffer("show", 4, uniform);
        inner.queue.write_buffer(&params, 0, &(pixels.stride as u32).to_le_bytes());
        let group = inner.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("show"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: pixels.words.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: params.as_entire_binding() },
            ],
        });
        let view = texture.create_view(&Default::default());
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("show"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
        drop(pass);
        inner.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn show_pipeline(&self, format: wgpu::TextureFormat) -> wgpu::RenderPipeline {
        if let Some(pipeline) = self.0.show.0.borrow().get(&format) {
            return pipeline.clone();
        }
        let device = &self.0.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("show"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("show"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("show"),
                compilation_options: Default::default(),
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        self.0.show.0.borrow_mut().insert(format, pipeline.clone());
        pipeline
    }
}
