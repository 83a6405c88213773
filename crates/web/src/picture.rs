//! Pictures across the edge: `{pixels, width, height}`, RGBA of 8 bits, rows from the top.

use js_sys::Uint8ClampedArray;
use lantern_demos::Picture;
use lantern_graph::Result;
use wasm_bindgen::{JsCast, JsValue};

use crate::contract::Reply;
use crate::js;

/// `[width, height]`.
///
/// # Errors
/// `web.request`.
pub fn size(object: &JsValue) -> Result<[usize; 2]> {
    Ok([js::number(object, "width")? as usize, js::number(object, "height")? as usize])
}

/// # Errors
/// `web.request`; `picture.empty`, `picture.size`.
pub fn read(object: &JsValue) -> Result<Picture> {
    let [width, height] = size(object)?;
    let pixels: Uint8ClampedArray =
        js::field(object, "pixels").dyn_into().map_err(|_| js::unfit("pixels", "an array of bytes"))?;
    Picture::from_rgba8(width, height, &pixels.to_vec())
}

/// A picture of so many RGBA bytes, handed over, with what else there is to say of it.
pub fn reply([width, height]: [usize; 2], rgba: &[u8], also: &[(&str, JsValue)]) -> Reply {
    let pixels = Uint8ClampedArray::from(rgba);
    let size = [("width", (width as f64).into()), ("height", (height as f64).into())];
    let value = js::object(&[&[("pixels", (&pixels).into())][..], &size, also].concat());
    Reply::new(value).handing_over(pixels.buffer())
}
