//! Four planes: pictures and latents across the edge. The session has the picture and the planes that it made last, and a canvas that
//! it paints on; the page has the former too, and sends what a session lacks. A picture itself comes and goes on the device.

use std::rc::Rc;

use js_sys::Float32Array;
use lantern_demos::autoencode::{Autoencoder, AutoencoderSession, Latents, LoadOptions};
use lantern_graph::{Account, Frames, Result};
use lantern_weights::download::{Look, Part, Stored};
use lantern_weights::{ByteSource, Safetensors};
use wasm_bindgen::{JsCast, JsValue};

use crate::contract::{Loaded, Loading, Model, Reply, Session};
use crate::frame::Pictures;
use crate::port::Port;
use crate::{js, picture};

/// One or two safetensors.
pub async fn load<E: Pictures>(mut loading: Loading<'_, E>) -> Result<Loaded> {
    let Loading { executor, limits, shared, port, .. } = loading;
    let (files, notice) = loading.gather(|| Header).await?;
    let bytes: u64 = files.iter().map(ByteSource::len).sum();
    let mut options = LoadOptions::default();
    if let Some(ceiling) = limits.ceiling {
        options.max_bytes = options.max_bytes.min(ceiling);
    }
    let (tell, cancel) = (&mut port.teller(), port.cancel());
    let model = Autoencoder::load_sharing(executor, shared, &files, &options, tell, cancel).await?;
    let info = js::object(&[
        ("family", model.family().name().into()),
        ("encoder", model.has_encoder().into()),
        ("decoder", model.has_decoder().into()),
        ("bytes", (bytes as f64).into()),
        ("downscale", (model.config().downscale() as f64).into()),
    ]);
    Ok(Loaded::new(model, info, notice))
}

/// Looks at a safetensors header as soon as it is here.
struct Header;

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

impl<E: Pictures> Model for Autoencoder<E> {
    type Session = Planes<E>;

    async fn open(self: &Rc<Self>, _: &Port) -> Result<Planes<E>> {
        Ok(Planes { session: self.session(), there: None, screen: None })
    }

    fn weight_bytes(&self) -> u64 {
        self.weight_bytes()
    }
}

pub struct Planes<E: Pictures> {
    session: AutoencoderSession<E>,
    there: Option<There<E>>,
    /// Where what comes back is shown.
    screen: Option<E::Screen>,
}

/// A picture and its planes.
struct There<E: Frames> {
    picture: E::Frame,
    latents: Latents,
}

impl<E: Pictures> Session for Planes<E> {
    fn account(&self) -> &Account {
        self.session.account()
    }

    async fn request(&mut self, kind: &str, payload: &JsValue, port: &Port) -> Result<Reply> {
        match kind {
            "encode" => self.encode(payload, port).await,
            "decode" => self.decode(payload, port).await,
            "peak" => {
                let [width, height] = picture::size(payload)?;
                Ok(Reply::new((self.session.peak_bytes(width, height, port.cancel()).await? as f64).into()))
            }
            _ => Err(js::strange(format!("an autoencoder does not {kind}"))),
        }
    }
}

impl<E: Pictures> Planes<E> {
    /// `request`: `EncodeRequest` of `www/lantern/autoencode/messages.js`. Gives `Encoded`.
    async fn encode(&mut self, request: &JsValue, port: &Port) -> Result<Reply> {
        let before = self.there.take().map(|there| there.picture);
        let picture = self.session.model().executor().take(&js::field(request, "picture"), before)?;
        let latents = self.session.encode_frame(&picture, &mut port.teller(), port.cancel()).await?;
        let values = Float32Array::from(latents.values.as_slice());
        let encoded = js::object(&[
            ("latents", (&values).into()),
            ("width", (latents.width as f64).into()),
            ("height", (latents.height as f64).into()),
            ("channels", (Latents::CHANNELS as f64).into()),
            ("ms", self.session.times().encode_ms.into()),
        ]);
        self.there = Some(There { picture, latents });
        Ok(Reply::new(encoded).handing_over(values.buffer()))
    }

    /// `request`: `DecodeRequest` of `www/lantern/autoencode/messages.js`. Gives `Decoded`.
    async fn decode(&mut self, request: &JsValue, port: &Port) -> Result<Reply> {
        let executor = self.session.model().executor().clone();
        // First what was handed over: the page will not send it again.
        let canvas = js::field(request, "canvas");
        if !canvas.is_undefined() {
            self.screen = Some(executor.screen(&canvas)?);
        }
        let journal = js::field(request, "journal");
        if !journal.is_undefined() {
            self.there = Some(There::read(&*executor, &journal)?);
        }
        let gains = js::array(request, "gains")?;
        let gains: Vec<f32> = gains.iter().filter_map(|gain| gain.as_f64()).map(|gain| gain as f32).collect();
        let gains: [f32; Latents::CHANNELS] =
            gains.try_into().map_err(|_| js::unfit("gains", "a number for each plane of latents"))?;
        let There { picture, latents } =
            self.there.as_ref().ok_or_else(|| js::strange("no picture was encoded here, and the request has none"))?;
        let screen =
            self.screen.as_mut().ok_or_else(|| js::strange("there is no canvas here, and the request has none"))?;
        let (scaled, surface) = (latents.scaled(&gains), E::surface_of(screen));
        let mut tell = port.teller();
        let psnr_db = self.session.decode_onto(&scaled, surface, picture, &mut tell, port.cancel()).await?;
        executor.show(screen)?;
        let [width, height] = latents.picture.map(|side| JsValue::from(side as f64));
        let ms = self.session.times().decode_ms.into();
        let said = [("width", width), ("height", height), ("ms", ms), ("psnrDb", psnr_db.into())];
        Ok(Reply::new(js::object(&said)))
    }
}

impl<E: Pictures> There<E> {
    /// `{original, latents, width, height}`, the sizes those of the latents.
    fn read(executor: &E, journal: &JsValue) -> Result<Self> {
        let original = executor.take(&js::field(journal, "original"), None)?;
        let [rows, columns] = executor.frame_size(&original);
        let [width, height] = picture::size(journal)?;
        let values: Float32Array =
            js::field(journal, "latents").dyn_into().map_err(|_| js::unfit("latents", "an array of floats"))?;
        let latents = Latents { width, height, values: values.to_vec(), picture: [columns, rows] };
        Ok(There { picture: original, latents })
    }
}
