//! `lantern autoencode`.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use lantern_demos::Picture;
use lantern_demos::autoencode::{Autoencoder, Family, Latents, LoadOptions, check};
use lantern_graph::{Cancel, Error, Frames, Result};
use lantern_weights::{FileSource, ModelIndex, model_files, model_index};
use serde_json::json;

use crate::args::Autoencode;
use crate::device::{self, Device};
use crate::output::{self, Notes};
use crate::picture;

const TAESD: [&str; 2] = ["taesd_encoder.safetensors", "taesd_decoder.safetensors"];
/// Where a folder of diffusers' has its autoencoder, and what of it this version runs.
const PART: &str = "vae";
const CLASSES: [&str; 2] = ["AutoencoderKL", "AutoencoderTiny"];

pub async fn run(args: &Autoencode) -> Result<()> {
    let files = files(&args.model).await?;
    let factors = factors(args.scale.as_deref())?;
    picture::check_output(&args.output)?;
    let sources = files.iter().map(FileSource::open).collect::<Result<Vec<_>>>()?;
    let options = load_options(args);
    // What cannot be run is refused before a device is woken.
    check(&sources, &options.autoencoder_kl).await?.needs_both()?;
    let (original, note) = picture::read(&args.input)?;
    let mut notes = Notes::new("autoencode");
    let device = device::open(&args.device, &mut notes).await?;
    let mut work = Work { args, options, sources, original, note, factors, notes };
    match device {
        Device::Cpu(cpu) => work.go_through(&cpu).await,
        Device::Gpu(gpu) => work.go_through(&gpu).await,
    }
}

struct Work<'a> {
    args: &'a Autoencode,
    options: LoadOptions,
    sources: Vec<FileSource>,
    original: Picture,
    note: Option<String>,
    factors: Option<[f32; Latents::CHANNELS]>,
    notes: Notes,
}

impl Work<'_> {
    async fn go_through<E: Frames>(&mut self, executor: &Rc<E>) -> Result<()> {
        let (cancel, mut silent) = (Cancel::new(), |_| {});
        let start = Instant::now();
        let model = Autoencoder::load(executor, &self.sources, &self.options, &mut silent, &cancel).await?;
        let load_ms = start.elapsed().as_secs_f64() * 1e3;
        let model = Rc::new(model);
        let mut session = model.session();
        let Picture { width, height, .. } = self.original;
        let peak_bytes = session.peak_bytes(width, height, &cancel).await?;
        // What is seen is bytes, on every device.
        let original = executor.frame([height, width], &self.original.to_rgba8())?;
        let mut latents = session.encode_frame(&original, &mut silent, &cancel).await?;
        if let Some(factors) = &self.factors {
            latents = latents.scaled(factors);
        }
        let mut back = executor.surface();
        let psnr_db = session.decode_onto(&latents, &mut back, &original, &mut silent, &cancel).await?;
        let (_, rgba) = executor.read_surface(&back).await?;
        picture::write_png(&self.args.output, &Picture::from_rgba8(width, height, &rgba)?)?;
        let (times, device) = (session.times(), executor.describe());
        if self.args.scaling_factor.is_some() && model.family() == Family::Taesd {
            let cause =
                "--scaling-factor is of Stable Diffusion's autoencoder, and these files are TAESD's, which has none";
            self.notes.tell(Error::new("autoencode.no_effect", cause, "leave it out"));
        }
        self.notes.tell_all(executor.notices());
        if !self.args.json.json {
            let note = self.note.as_deref().map_or(String::new(), |note| format!("; {note}"));
            return output::line(&format!(
                "{}: {width} × {height}, {psnr_db:.2} dB, encoded in {:.0} ms, decoded in {:.0} ms on {}{note}",
                self.args.output.display(),
                times.encode_ms,
                times.decode_ms,
                device.adapter,
            ));
        }
        output::json(&json!({
            "width": width,
            "height": height,
            "family": model.family().name(),
            // No number where nothing was lost.
            "psnr_db": psnr_db.is_finite().then_some(psnr_db),
            "load_ms": load_ms,
            "compile_ms": times.compile_ms,
            "encode_ms": times.encode_ms,
            "decode_ms": times.decode_ms,
            "peak_bytes": peak_bytes,
            "weight_bytes": model.weight_bytes(),
            "work_bytes": session.account().bytes(),
            "device": device.device,
            "tier": device.tier,
            "adapter": device.adapter,
            "note": self.note,
            "notes": self.notes.to_json(),
        }))
    }
}

fn load_options(args: &Autoencode) -> LoadOptions {
    let mut options = LoadOptions::default();
    if let Some(factor) = args.scaling_factor {
        options.autoencoder_kl.scaling_factor = factor;
    }
    if let Some(mib) = args.memory_mib {
        options.max_bytes = mib.saturating_mul(1 << 20);
    }
    options
}

fn factors(given: Option<&[f32]>) -> Result<Option<[f32; Latents::CHANNELS]>> {
    let Some(given) = given else { return Ok(None) };
    match given.try_into() {
        Ok(factors) if given.iter().all(|f| f.is_finite()) => Ok(Some(factors)),
        _ => Err(Error::new(
            "autoencode.scale",
            format!("{given:?} as factors of the {} planes", Latents::CHANNELS),
            "give four numbers: --scale 1,0,1,1",
        )),
    }
}

/// The files meant by `--model`: each stands for itself, a list of shards for those too, and a folder for what is in it.
async fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if given.is_empty() {
        return Err(Error::new("autoencode.model", "no --model was given", takes()));
    }
    let mut files = Vec::new();
    for path in given {
        files.extend(if path.is_dir() { in_folder(path).await? } else { model_files(path).await? });
    }
    Ok(files)
}

async fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let taesd: Vec<PathBuf> = TAESD.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
    if !taesd.is_empty() {
        return Ok(taesd);
    }
    let of_model = match model_index(folder)? {
        Some(index) => {
            check_class(&index)?;
            folder.join(PART)
        }
        None if folder.join(PART).is_dir() => folder.join(PART),
        None => folder.to_owned(),
    };
    model_files(&of_model).await.map_err(|error| match error.code {
        "model.folder" => Error::new("autoencode.model", error.cause, takes()),
        _ => error,
    })
}

/// # Errors
/// `model.part` for a model without an autoencoder; `autoencode.model` for one of a kind that this version lacks.
fn check_class(index: &ModelIndex) -> Result<()> {
    let class = &index.part(PART)?.class;
    if CLASSES.contains(&class.as_str()) {
        return Ok(());
    }
    let cause =
        format!("the autoencoder of this {} is a {class}; this version runs {}", index.class, CLASSES.join(" and "));
    Err(Error::new("autoencode.model", cause, takes()))
}

fn takes() -> String {
    format!(
        "name TAESD's files (--model {},{}), Stable Diffusion's autoencoder (diffusion_pytorch_model.safetensors, or the list of \
         its parts), or the folder they are in",
        TAESD[0], TAESD[1]
    )
}
