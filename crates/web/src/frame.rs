//! Pictures of the page's, taken to where the executor computes; and canvases of the page's, painted from there.

use js_sys::{Array, Function, Object, Uint8ClampedArray};
use lantern_cpu::Cpu;
use lantern_gpu::{Gpu, GpuFrame, GpuSurface};
use lantern_graph::{Error, Frames, Result};
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{ImageData, OffscreenCanvas, OffscreenCanvasRenderingContext2d};

use crate::js;

/// An executor that takes what a page has as a picture, and paints what a page shows.
pub trait Pictures: Frames {
    /// A canvas of the page.
    type Screen: 'static;

    /// An ImageBitmap, a VideoFrame, an ImageData or a canvas. What can be closed is closed, whatever comes of it. What can be used
    /// of `kept`, a frame that is done with, is used again.
    ///
    /// # Errors
    /// `web.request` for what is no picture; `frame.gone` where its pixels are not to be had; the executor's own.
    fn take(&self, picture: &JsValue, kept: Option<Self::Frame>) -> Result<Self::Frame> {
        let taken = size_of(picture).and_then(|size| self.taken(picture, size, kept));
        if let Ok(close) = js::field(picture, "close").dyn_into::<Function>() {
            let _ = close.call0(picture);
        }
        taken
    }

    /// As [`take`](Self::take), of a picture of that height and width that somebody else closes.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    fn taken(&self, picture: &JsValue, size: [usize; 2], kept: Option<Self::Frame>) -> Result<Self::Frame>;

    /// An OffscreenCanvas that nothing has drawn on. It serves this executor alone: to another, the page gives another canvas.
    ///
    /// # Errors
    /// `frame.canvas` where it cannot be drawn on.
    fn screen(&self, canvas: &JsValue) -> Result<Self::Screen>;

    /// What is painted for it.
    fn surface_of(screen: &mut Self::Screen) -> &mut Self::Surface;

    /// Shows what was painted last.
    ///
    /// # Errors
    /// `frame.canvas`.
    fn show(&self, screen: &Self::Screen) -> Result<()>;
}

/// Height and width.
fn size_of(picture: &JsValue) -> Result<[usize; 2]> {
    let side = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| js::field(picture, name).as_f64());
        found.filter(|side| *side >= 1.0).map(|side| side as usize)
    };
    // A video's frame says how large it is shown.
    match (side(["displayHeight", "height"]), side(["displayWidth", "width"])) {
        (Some(height), Some(width)) => Ok([height, width]),
        _ if js::field(picture, "displayHeight").as_f64().or(js::field(picture, "height").as_f64()).is_some() => {
            Err(gone("it has no pixels: it was closed, or given away"))
        }
        _ => Err(js::unfit("picture", "a picture")),
    }
}

fn gone(why: &str) -> Error {
    Error::new("frame.gone", format!("no pixels of the picture can be had: {why}"), "give the picture again")
}

fn no_canvas(error: &JsValue) -> Error {
    let cause = format!("the canvas cannot be drawn on: {}", js::thrown(error));
    Error::new("frame.canvas", cause, "reload the page")
}

/// The bytes of a picture that lies in memory already.
fn bytes_of(picture: &JsValue) -> Option<Vec<u8>> {
    js::field(picture, "data").dyn_into::<Uint8ClampedArray>().ok().map(|bytes| bytes.to_vec())
}

fn flat(canvas: &OffscreenCanvas) -> std::result::Result<OffscreenCanvasRenderingContext2d, JsValue> {
    let options: Object = js::object(&[("willReadFrequently", true.into())]).unchecked_into();
    let context = canvas.get_context_with_context_options("2d", &options)?;
    let context = context.ok_or_else(|| JsValue::from("something else draws on it already"))?;
    Ok(context.unchecked_into())
}

/// Any other picture's bytes: drawn on a canvas, and read there.
fn drawn(picture: &JsValue, [height, width]: [usize; 2]) -> std::result::Result<Vec<u8>, JsValue> {
    let context = flat(&OffscreenCanvas::new(width as u32, height as u32)?)?;
    // One call for every kind of picture, where web-sys has one for each.
    let draw: Function = js::field(&context, "drawImage").dyn_into()?;
    draw.apply(&context, &Array::of3(picture, &0.into(), &0.into()))?;
    let image = context.get_image_data(0.0, 0.0, f64::from(width as u32), f64::from(height as u32))?;
    Ok(image.data().0)
}

impl Pictures for Gpu {
    type Screen = GpuSurface;

    fn taken(&self, picture: &JsValue, size: [usize; 2], kept: Option<GpuFrame>) -> Result<GpuFrame> {
        match bytes_of(picture) {
            Some(bytes) => self.frame(size, &bytes),
            None => self.frame_of(picture, size, kept),
        }
    }

    fn screen(&self, canvas: &JsValue) -> Result<GpuSurface> {
        self.canvas_surface(canvas)
    }

    fn surface_of(screen: &mut GpuSurface) -> &mut GpuSurface {
        screen
    }

    /// Painting has shown it.
    fn show(&self, _: &GpuSurface) -> Result<()> {
        Ok(())
    }
}

/// A canvas that bytes are put on.
pub struct Sheet {
    surface: lantern_cpu::Surface,
    canvas: OffscreenCanvas,
    context: OffscreenCanvasRenderingContext2d,
}

impl Pictures for Cpu {
    type Screen = Sheet;

    fn taken(
        &self,
        picture: &JsValue,
        size: [usize; 2],
        kept: Option<lantern_cpu::Frame>,
    ) -> Result<lantern_cpu::Frame> {
        drop(kept);
        match bytes_of(picture) {
            Some(bytes) => self.frame(size, &bytes),
            None => self.frame(size, &drawn(picture, size).map_err(|error| gone(&js::thrown(&error)))?),
        }
    }

    fn screen(&self, canvas: &JsValue) -> Result<Sheet> {
        let canvas: OffscreenCanvas = canvas.clone().dyn_into().map_err(|_| js::unfit("canvas", "a canvas"))?;
        let context = flat(&canvas).map_err(|error| no_canvas(&error))?;
        Ok(Sheet { surface: Frames::surface(self), canvas, context })
    }

    fn surface_of(screen: &mut Sheet) -> &mut lantern_cpu::Surface {
        &mut screen.surface
    }

    fn show(&self, Sheet { surface, canvas, context }: &Sheet) -> Result<()> {
        let [height, width] = surface.size().map(|side| side as u32);
        if [canvas.height(), canvas.width()] != [height, width] {
            canvas.set_height(height);
            canvas.set_width(width);
        }
        ImageData::new_with_u8_clamped_array_and_sh(Clamped(surface.rgba()), width, height)
            .and_then(|image| context.put_image_data(&image, 0.0, 0.0))
            .map_err(|error| no_canvas(&error))
    }
}
