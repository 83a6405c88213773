//! The autoencoder's calls: pictures and latents across the edge. Nothing is remembered here between calls but the plans:
//! the page keeps pictures and latents, and sends them with each request.

use std::rc::Rc;

use js_sys::{Float32Array, Function, Uint8ClampedArray};
use lantern_demos::Picture;
use lantern_demos::autoencode::{Autoencoder, AutoencoderSession, Latents, LoadOptions};
use lantern_graph::{Cancel, Executor, Result};
use lantern_weights::download::{Look, Part, Stored};
use lantern_weights::{ByteSource, Safetensors};
use wasm_bindgen::{JsCast, JsValue};

use crate::host::{Given, Limits, teller};
use crate::js;

/// Looks at a safetensors header as soon as it is here.
pub struct Header;

impl<P: Part> Look<P> for Header {
    async fn look(&mut self, stored: &Stored<'_, P>) -> Result<bool> {
        // Its tensors fill the file to the byte: without its length the header proves nothing.
        if stored.len.is_none() {
            return Ok(false);
        }
        match Safetensors::read(stored).await {
            Err(error) if error.code == Stored::<P>::MORE => Ok(false),
            read => read.map(|_| true),
        }
    }
}

/// A model and what the page shows of it.
pub async fn load<E: Executor>(
    executor: &Rc<E>,
    given: Vec<Given>,
    limits: Limits,
    cancel: &Cancel,
    progress: &Function,
) -> Result<(Autoencoder<E>, JsValue)> {
    let bytes = given.iter().map(ByteSource::len).sum();
    limits.check_weights(bytes)?;
    let mut options = LoadOptions::default();
    if let Some(ceiling) = limits.ceiling {
        options.max_bytes = options.max_bytes.min(ceiling);
    }
    let model = Autoencoder::load(executor, &given, &options, &mut teller(progress), cancel).await?;
    let info = js::object(&[
        ("family", model.family().name().into()),
        ("encoder", model.has_encoder().into()),
        ("decoder", model.has_decoder().into()),
        ("bytes", (bytes as f64).into()),
        ("downscale", (model.config().downscale() as f64).into()),
    ]);
    Ok((model, info))
}

/// `request`: see `EncodeRequest` in `www/lantern/core/protocol.js`. Gives `Encoded`.
pub async fn encode<E: Executor>(
    session: &mut AutoencoderSession<E>,
    request: &JsValue,
    cancel: &Cancel,
    progress: &Function,
) -> Result<JsValue> {
    let picture = picture(request, "pixels", size(request)?)?;
    let latents = session.encode(&picture, &mut teller(progress), cancel).await?;
    let peak = session.peak_bytes(picture.width, picture.height, cancel).await?;
    Ok(js::object(&[
        ("latents", Float32Array::from(latents.values.as_slice()).into()),
        ("width", (latents.width as f64).into()),
        ("height", (latents.height as f64).into()),
        ("channels", (Latents::CHANNELS as f64).into()),
        ("ms", session.times().encode_ms.into()),
        ("peakBytes", (peak as f64).into()),
    ]))
}

/// `request`: see `DecodeRequest` in `www/lantern/core/protocol.js`. Gives `Decoded`.
pub async fn decode<E: Executor>(
    session: &mut AutoencoderSession<E>,
    request: &JsValue,
    cancel: &Cancel,
    progress: &Function,
) -> Result<JsValue> {
    let gains = js::array(request, "gains")?;
    let gains: Vec<f32> = gains.iter().filter_map(|gain| gain.as_f64()).map(|gain| gain as f32).collect();
    let gains: [f32; Latents::CHANNELS] =
        gains.try_into().map_err(|_| js::unfit("gains", "a number for each plane of latents"))?;
    let [width, height] = size(request)?;
    let original_size = size(&js::field(request, "picture"))?;
    let values: Float32Array =
        js::field(request, "latents").dyn_into().map_err(|_| js::unfit("latents", "an array of floats"))?;
    let latents = Latents { width, height, values: values.to_vec(), picture: original_size };
    let original = picture(request, "original", original_size)?;

    let decoded = session.decode(&latents.scaled(&gains), &mut teller(progress), cancel).await?;
    let bytes = decoded.to_rgba8();
    // Against what the visitor sees: the rounded picture.
    let seen = Picture::from_rgba8(decoded.width, decoded.height, &bytes)?;
    Ok(js::object(&[
        ("pixels", Uint8ClampedArray::from(bytes.as_slice()).into()),
        ("width", (decoded.width as f64).into()),
        ("height", (decoded.height as f64).into()),
        ("ms", session.times().decode_ms.into()),
        ("psnrDb", seen.psnr_db(&original)?.into()),
    ]))
}

/// `[width, height]`.
fn size(object: &JsValue) -> Result<[usize; 2]> {
    Ok([js::number(object, "width")? as usize, js::number(object, "height")? as usize])
}

fn picture(request: &JsValue, name: &str, [width, height]: [usize; 2]) -> Result<Picture> {
    let pixels: Uint8ClampedArray =
        js::field(request, name).dyn_into().map_err(|_| js::unfit(name, "an array of bytes"))?;
    Picture::from_rgba8(width, height, &pixels.to_vec())
}
