//! What a browser has as a picture, and canvases. Called by name: wgpu's own calls panic where the browser refuses, as it does when
//! a video's frame was closed meanwhile.

use std::cell::Cell;

use js_sys::{Array, Function, Reflect};
use lantern_graph::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};

use super::show::{FORMAT, Target};
use super::{GpuFrame, GpuSurface, Pixels};
use crate::device::Gpu;
use crate::web::{get, object, raw, thrown};

/// A canvas that this device draws on.
pub(super) struct Canvas {
    canvas: JsValue,
    context: JsValue,
    format: wgpu::TextureFormat,
    size: Cell<[usize; 2]>,
}

fn no_canvas(cause: String) -> Error {
    Error::new("frame.canvas", cause, "give another canvas, one that nothing has drawn on")
}

fn invoke(object: &JsValue, method: &str, arguments: &[&JsValue]) -> std::result::Result<JsValue, JsValue> {
    let arguments: Array = arguments.iter().copied().collect();
    get(object, method).dyn_into::<Function>()?.apply(object, &arguments)
}

impl Canvas {
    pub fn format(&self) -> wgpu::TextureFormat {
        self.format
    }

    /// What it shows next, as large as that. To be drawn on at once: it is the browser's.
    pub fn texture(&self, gpu: &Gpu, size: [usize; 2]) -> Result<wgpu::Texture> {
        let [height, width] = size;
        let refused = |error: JsValue| no_canvas(format!("the canvas gives nothing to draw on: {}", thrown(&error)));
        if self.size.get() != size {
            for (name, side) in [("width", width), ("height", height)] {
                Reflect::set(&self.canvas, &name.into(), &(side as f64).into()).map_err(refused)?;
            }
            self.size.set(size);
        }
        let texture = invoke(&self.context, "getCurrentTexture", &[]).map_err(refused)?;
        let descriptor = wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        };
        Ok(gpu.0.device.create_texture_from_webgpu_handle(texture.unchecked_into(), &descriptor, None))
    }
}

impl Gpu {
    /// A picture that the browser has (ImageBitmap, VideoFrame, ImageData, a canvas), of that height and width. What can be used of
    /// `kept` is used again: a video's frames then take no memory anew.
    ///
    /// # Errors
    /// `frame.gone` where the browser gives no pixels of it; `frame.too_large` over this adapter's longest side of a texture.
    pub fn frame_of(&self, image: &JsValue, size: [usize; 2], kept: Option<GpuFrame>) -> Result<GpuFrame> {
        self.check()?;
        self.check_side(size)?;
        let kept = kept.filter(|kept| kept.pixels.size == size);
        let again = kept.is_some();
        let (pixels, texture) = match kept {
            Some(GpuFrame { pixels, texture }) => (pixels, texture),
            None => (Pixels::new(self, size)?, None),
        };
        let usage =
            wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC;
        let texture = match texture {
            Some(texture) => texture,
            None => self.texture(size, usage)?,
        };
        self.copy_image(image, &texture, size).map_err(|error| {
            let cause = format!("no pixels of the picture can be had: {}", thrown(&error));
            Error::new("frame.gone", cause, "give the picture again")
        })?;
        self.copy_to_pixels(&texture, &pixels);
        self.check()?;
        Ok(GpuFrame { pixels, texture: again.then_some(texture) })
    }

    fn copy_image(
        &self,
        image: &JsValue,
        texture: &wgpu::Texture,
        [height, width]: [usize; 2],
    ) -> std::result::Result<(), JsValue> {
        let queue: JsValue = self.0.queue.as_webgpu().map_or(JsValue::UNDEFINED, |queue| queue.clone().into());
        let texture: JsValue = texture.as_webgpu().map_or(JsValue::UNDEFINED, |texture| texture.clone().into());
        let source = object(&[("source", image)]);
        let to =
            object(&[("texture", &texture), ("colorSpace", &"srgb".into()), ("premultipliedAlpha", &false.into())]);
        let size = Array::of2(&(width as f64).into(), &(height as f64).into());
        invoke(&queue, "copyExternalImageToTexture", &[&source, &to, &size])?;
        Ok(())
    }

    /// A surface that is a canvas (an OffscreenCanvas that nothing has drawn on). It is this device's: after a lost one, the page
    /// gives another canvas.
    ///
    /// # Errors
    /// `frame.canvas` where it cannot be drawn on.
    pub fn canvas_surface(&self, canvas: &JsValue) -> Result<GpuSurface> {
        self.check()?;
        let refused = |error: JsValue| no_canvas(format!("the canvas cannot be drawn on: {}", thrown(&error)));
        let context = invoke(canvas, "getContext", &[&"webgpu".into()]).map_err(refused)?;
        if context.is_falsy() {
            return Err(no_canvas("the canvas is drawn on in another way already".into()));
        }
        let browser = get(&get(&js_sys::global(), "navigator"), "gpu");
        let preferred = invoke(&browser, "getPreferredCanvasFormat", &[]).map_err(refused)?;
        let (name, format) = match preferred.as_string().as_deref() {
            Some("bgra8unorm") => ("bgra8unorm", wgpu::TextureFormat::Bgra8Unorm),
            _ => ("rgba8unorm", FORMAT),
        };
        let settings = object(&[
            ("device", &raw(&self.0.device)),
            ("format", &name.into()),
            ("alphaMode", &"premultiplied".into()),
        ]);
        invoke(&context, "configure", &[&settings]).map_err(refused)?;
        let canvas = Canvas { canvas: canvas.clone(), context, format, size: Cell::new([0, 0]) };
        Ok(GpuSurface { pixels: None, target: Target::Canvas(canvas) })
    }
}
