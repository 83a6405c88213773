//! Plans for one size of picture, and runs of them.

use std::rc::Rc;

use lantern_graph::{Account, Alpha, Bindings, Cancel, Error, Executor, FrameSpec, Frames, Result, Session, Value};
use web_time::Instant;

use super::check::Half;
use super::{Autoencoder, Latents};
use crate::{Picture, Progress, Stage};

/// Of one tensor, so that every byte of it has a 32-bit address.
const MAX_ELEMENTS: u64 = (1 << 30) - 1;

/// Milliseconds that the last picture took, 0 for what did not happen yet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Times {
    /// Plans and pipelines, for both halves: only when a size is new.
    pub compile_ms: f64,
    pub encode_ms: f64,
    pub decode_ms: f64,
}

/// Encodes and decodes pictures, best of one size: another size makes plans anew.
pub struct AutoencoderSession<E: Executor> {
    model: Rc<Autoencoder<E>>,
    /// Encoder and decoder in it share their temporaries.
    session: E::Session,
    plans: Plans<E>,
    times: Times,
}

struct Plans<E: Executor> {
    /// Height and width of the latents.
    latents: [usize; 2],
    encoder: Option<<E::Session as Session>::Plan>,
    decoder: Option<<E::Session as Session>::Plan>,
    /// Bytes of temporaries, of the halves that have a plan.
    needs: [u64; 2],
}

impl<E: Executor> Plans<E> {
    fn none(latents: [usize; 2]) -> Self {
        Self { latents, encoder: None, decoder: None, needs: [0; 2] }
    }

    fn of(&mut self, half: Half) -> &mut Option<<E::Session as Session>::Plan> {
        match half {
            Half::Encoder => &mut self.encoder,
            Half::Decoder => &mut self.decoder,
        }
    }
}

impl<E: Executor> AutoencoderSession<E> {
    pub(super) fn new(model: Rc<Autoencoder<E>>) -> Self {
        Self { session: model.device_session(), model, plans: Plans::none([0, 0]), times: Times::default() }
    }

    pub fn model(&self) -> &Rc<Autoencoder<E>> {
        &self.model
    }

    /// What it holds beside weights and pictures: what its plans compute in.
    pub fn account(&self) -> &Account {
        self.session.account()
    }

    pub fn times(&self) -> Times {
        self.times
    }

    /// A picture to its latents: of an AutoencoderKL, the mean times its scaling factor. Sides that are no multiples of 8
    /// are padded with the pixels at their edge. `progress` hears of plans (`Compile`), then of floating-point
    /// operations (`Run`).
    ///
    /// # Errors
    /// `picture.empty`; `autoencoder.too_large` with the size that fits, before anything is allocated;
    /// `autoencoder.half` without an encoder; the executor's own; `run.cancelled`.
    pub async fn encode(
        &mut self,
        picture: &Picture,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Latents> {
        let downscale = self.model.config().downscale();
        let [width, height] = whole([picture.width, picture.height], downscale)?;
        self.prepare(Half::Encoder, [height, width], progress, cancel).await?;
        let start = Instant::now();
        let pixels = Value::F32(picture.padded(downscale).rgb);
        let values = self.run(Half::Encoder, ("picture", pixels), "latents", progress, cancel).await?;
        self.times.encode_ms = ms(start);
        Ok(Latents { width, height, values, picture: [picture.width, picture.height] })
    }

    /// Latents to a picture of the size that they say. `progress` as for [`encode`](Self::encode).
    ///
    /// # Errors
    /// `autoencoder.latents`; otherwise as [`encode`](Self::encode), for the decoder.
    pub async fn decode(
        &mut self,
        latents: &Latents,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Picture> {
        let downscale = self.model.config().downscale();
        latents.check(downscale)?;
        self.prepare(Half::Decoder, [latents.height, latents.width], progress, cancel).await?;
        let start = Instant::now();
        let values = Value::F32(latents.values.clone());
        let mut rgb = self.run(Half::Decoder, ("latents", values), "picture", progress, cancel).await?;
        rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let whole = Picture::new(latents.width * downscale, latents.height * downscale, rgb)?;
        self.times.decode_ms = ms(start);
        let [width, height] = latents.picture;
        Ok(whole.cropped(width, height))
    }

    /// Most bytes of device memory at any moment while a picture of this size goes through, weights and the picture itself
    /// included: known before any of them is allocated.
    ///
    /// # Errors
    /// `picture.empty`; `autoencoder.too_large`; the executor's own; `run.cancelled`.
    pub async fn peak_bytes(&mut self, width: usize, height: usize, cancel: &Cancel) -> Result<u64> {
        let [columns, rows] = whole([width, height], self.model.config().downscale())?;
        let (size, mut most) = ([rows, columns], 0);
        for half in self.model.clone().halves() {
            let planned = self.plans.latents == size && self.plans.of(half).is_some();
            let needs = if planned { self.plans.needs[half as usize] } else { self.fits(half, size, cancel).await? };
            most = most.max(needs);
        }
        Ok(self.model.weight_bytes() + most + picture_bytes([width, height]))
    }

    /// The plan for latents of this height and width; those for another size are freed.
    async fn prepare(
        &mut self,
        half: Half,
        latents: [usize; 2],
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<()> {
        self.model.weights(half)?;
        if self.plans.latents == latents && self.plans.of(half).is_some() {
            return Ok(());
        }
        let mut tell = |done| progress(Progress { stage: Stage::Compile, done, total: 1 });
        tell(0);
        let start = Instant::now();
        let needs = self.fits(half, latents, cancel).await?;
        if self.plans.latents != latents {
            self.plans = Plans::none(latents);
            self.session = self.model.device_session();
            self.times = Times::default();
        }
        let weights = self.model.weights(half)?;
        let plan = self.session.compile(&self.model.graph(half, latents)?, weights, cancel).await?;
        *self.plans.of(half) = Some(plan);
        self.plans.needs[half as usize] = needs;
        self.times.compile_ms += ms(start);
        tell(1);
        Ok(())
    }

    async fn run(
        &mut self,
        half: Half,
        input: (&str, Value),
        output: &str,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let plan = planned(self.plans.of(half))?;
        let mut tell = |done, total| progress(Progress { stage: Stage::Run, done, total });
        self.session.run_reporting(plan, &Bindings::default(), &[input], cancel, &mut tell).await?;
        self.session.read(plan, output).await?.into_f32()
    }

    /// Bytes of temporaries for latents of this height and width, if they are within the limits.
    async fn fits(&mut self, half: Half, latents: [usize; 2], cancel: &Cancel) -> Result<u64> {
        let limit = self.model.max_bytes();
        let needs = match self.within_indices(latents) {
            true => Some(self.temporaries(half, latents, cancel).await?),
            false => None,
        };
        if let Some(needs) = needs.filter(|needs| *needs <= limit) {
            return Ok(needs);
        }
        // The largest of the same form, by its longer side.
        let longer = latents[0].max(latents[1]);
        let (mut fits, mut too_large) = (0, longer);
        while too_large - fits > 1 {
            let middle = fits.midpoint(too_large);
            let middle_size = of_form(latents, middle);
            if self.within_indices(middle_size) && self.temporaries(half, middle_size, cancel).await? <= limit {
                fits = middle;
            } else {
                too_large = middle;
            }
        }
        let downscale = self.model.config().downscale();
        let [height, width] = latents.map(|side| side * downscale);
        let largest = self.largest_tensor(latents).saturating_mul(4);
        let why = match needs {
            _ if largest > 4 * MAX_ELEMENTS => format!("a tensor of {}; 4 GiB can be addressed", size(largest)),
            Some(needs) => format!("{}; {} are allowed", size(needs), size(limit)),
            None => format!("more than {}; {} are allowed", size(largest), size(limit)),
        };
        let remedy = match of_form(latents, fits) {
            _ if fits == 0 => "no picture fits: allow more memory".into(),
            [rows, columns] => {
                format!("make it smaller: up to {} × {} pixels of this form fit", columns * downscale, rows * downscale)
            }
        };
        let cause = format!("a picture of {width} × {height} pixels takes {why}");
        Err(Error::new("autoencoder.too_large", cause, remedy))
    }

    fn largest_tensor(&self, [rows, columns]: [usize; 2]) -> u64 {
        let config = self.model.config();
        let pixels = (rows as u64 * columns as u64).saturating_mul((config.downscale() * config.downscale()) as u64);
        config.largest_tensor(pixels)
    }

    fn within_indices(&self, latents: [usize; 2]) -> bool {
        self.largest_tensor(latents) <= MAX_ELEMENTS.min(self.model.max_bytes() / 4)
    }

    /// In a session of its own, so that plans that are there do not count.
    async fn temporaries(&self, half: Half, latents: [usize; 2], cancel: &Cancel) -> Result<u64> {
        cancel.check()?;
        let graph = self.model.graph(half, latents)?;
        self.model.device_session().peak_bytes(&graph, self.model.weights(half)?, cancel).await
    }
}

/// Pictures that do not leave the device.
impl<E: Frames> AutoencoderSession<E> {
    /// As [`encode`](Self::encode), of a picture where the executor has it. What is transparent lies over white.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and [`Frames::write_frame`].
    pub async fn encode_frame(
        &mut self,
        frame: &E::Frame,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Latents> {
        let downscale = self.model.config().downscale();
        let executor = self.model.executor().clone();
        let [rows, columns] = executor.frame_size(frame);
        let [width, height] = whole([columns, rows], downscale)?;
        self.prepare(Half::Encoder, [height, width], progress, cancel).await?;
        let start = Instant::now();
        let padded = FrameSpec::part([rows, columns], [height * downscale, width * downscale]);
        let spec = FrameSpec { alpha: Alpha::Over([1.0; 3]), ..padded };
        let plan = planned(&mut self.plans.encoder)?;
        executor.write_frame(&mut self.session, plan, "picture", frame, &spec).await?;
        let mut tell = |done, total| progress(Progress { stage: Stage::Run, done, total });
        self.session.run_reporting(plan, &Bindings::default(), &[], cancel, &mut tell).await?;
        let values = self.session.read(plan, "latents").await?.into_f32()?;
        self.times.encode_ms = ms(start);
        Ok(Latents { width, height, values, picture: [columns, rows] })
    }

    /// As [`decode`](Self::decode), painted on a surface. Gives the peak signal-to-noise ratio in dB of what is seen, in bytes,
    /// against a picture of its size; the time is up to that answer.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), [`Frames::paint`] and [`Frames::difference`].
    pub async fn decode_onto(
        &mut self,
        latents: &Latents,
        surface: &mut E::Surface,
        original: &E::Frame,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<f64> {
        let downscale = self.model.config().downscale();
        latents.check(downscale)?;
        self.prepare(Half::Decoder, [latents.height, latents.width], progress, cancel).await?;
        let start = Instant::now();
        let executor = self.model.executor().clone();
        let plan = planned(&mut self.plans.decoder)?;
        let values = Value::F32(latents.values.clone());
        let mut tell = |done, total| progress(Progress { stage: Stage::Run, done, total });
        self.session.run_reporting(plan, &Bindings::default(), &[("latents", values)], cancel, &mut tell).await?;
        let [columns, rows] = latents.picture;
        let spec = FrameSpec::part([latents.height * downscale, latents.width * downscale], [rows, columns]);
        executor.paint(&mut self.session, plan, "picture", &spec, surface).await?;
        let squares = executor.difference(surface, original).await?;
        self.times.decode_ms = ms(start);
        Ok(psnr_db(squares, 3 * rows * columns))
    }
}

/// Of bytes whose squared differences have that sum.
fn psnr_db(squares: u64, bytes: usize) -> f64 {
    -10.0 * (squares as f64 / (255.0 * 255.0 * bytes as f64)).log10()
}

fn planned<P>(plan: &mut Option<P>) -> Result<&P> {
    let unmade = || Error::new("autoencoder.half", "no plan was made", "report this, with the files' names");
    plan.as_ref().ok_or_else(unmade)
}

/// Of a picture's bytes on their way in and out, at most: its rows may be padded, and the processor keeps the tensor too.
fn picture_bytes([width, height]: [usize; 2]) -> u64 {
    24 * width.next_multiple_of(64) as u64 * height as u64
}

/// Latents for a picture's sides.
fn whole(picture: [usize; 2], downscale: usize) -> Result<[usize; 2]> {
    if picture.contains(&0) {
        let cause = format!("the picture has {} × {} pixels", picture[0], picture[1]);
        return Err(Error::new("picture.empty", cause, "choose one with pixels in it"));
    }
    Ok(picture.map(|side| side.div_ceil(downscale)))
}

/// The form of `latents` with a longer side of `longer`.
fn of_form(latents: [usize; 2], longer: usize) -> [usize; 2] {
    let most = latents[0].max(latents[1]).max(1);
    latents.map(|side| ((side as u64 * longer as u64 / most as u64) as usize).max(1))
}

/// Of memory, for a reader.
fn size(bytes: u64) -> String {
    match bytes >> 30 {
        0 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ => format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64),
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
