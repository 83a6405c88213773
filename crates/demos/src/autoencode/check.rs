//! Files are recognised by their tensors' names before a byte of weights is read.

use std::collections::HashMap;

use lantern_graph::{DType, Error, Graph, Result, WeightSpec};
use lantern_models::{Parameters, autoencoder_kl, taesd};
use lantern_weights::{ByteSource, NameMap, SafeDtype, SafeTensor, Safetensors, read_tables};

use super::latents::Latents;

/// Which network the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Taesd,
    AutoencoderKl,
}

impl Family {
    /// `taesd`, `autoencoder_kl`: for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Family::Taesd => "taesd",
            Family::AutoencoderKl => "autoencoder_kl",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Family::Taesd => "TAESD",
            Family::AutoencoderKl => "AutoencoderKL",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Config {
    Taesd(taesd::Config),
    AutoencoderKl(autoencoder_kl::Config),
}

impl Config {
    pub fn family(&self) -> Family {
        match self {
            Config::Taesd(_) => Family::Taesd,
            Config::AutoencoderKl(_) => Family::AutoencoderKl,
        }
    }

    /// Pixels of a picture's side for one of the latents'.
    pub fn downscale(&self) -> usize {
        match self {
            Config::Taesd(config) => config.downscale(),
            Config::AutoencoderKl(config) => config.downscale(),
        }
    }

    /// Elements of the largest tensor between two operations, for a picture of so many pixels.
    pub(super) fn largest_tensor(&self, pixels: u64) -> u64 {
        match self {
            Config::Taesd(config) => config.largest_tensor(pixels),
            Config::AutoencoderKl(config) => config.largest_tensor(pixels),
        }
    }

    fn latent_channels(&self) -> usize {
        match self {
            Config::Taesd(config) => config.latent_channels,
            Config::AutoencoderKl(config) => config.latent_channels,
        }
    }

    /// For latents of a height and a width.
    pub(super) fn graph(&self, half: Half, dtype: &dyn Fn(&str) -> DType, latents: [usize; 2]) -> Result<Graph> {
        let picture = latents.map(|side| side * self.downscale());
        let params = &Parameters::weights(dtype);
        match (self, half) {
            (Config::Taesd(config), Half::Encoder) => taesd::encoder(config, params, picture),
            (Config::Taesd(config), Half::Decoder) => taesd::decoder(config, params, latents),
            (Config::AutoencoderKl(config), Half::Encoder) => autoencoder_kl::encoder(config, params, picture),
            (Config::AutoencoderKl(config), Half::Decoder) => autoencoder_kl::decoder(config, params, latents),
        }
    }

    fn names(&self, half: Half) -> Result<NameMap> {
        match (self, half) {
            (Config::Taesd(_), Half::Encoder) => NameMap::taesd_encoder(),
            (Config::Taesd(_), Half::Decoder) => NameMap::taesd_decoder(),
            (Config::AutoencoderKl(_), _) => NameMap::autoencoder_kl(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Encoder,
    Decoder,
}

impl Half {
    pub const BOTH: [Half; 2] = [Half::Encoder, Half::Decoder];

    pub fn name(self) -> &'static str {
        match self {
            Half::Encoder => "encoder",
            Half::Decoder => "decoder",
        }
    }
}

/// Where one weight is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub half: Half,
    pub spec: WeightSpec,
    /// Among the files given, one behind the other.
    pub tensor: SafeTensor,
}

/// What the files hold: which network, and where each weight is.
#[derive(Debug, Clone)]
pub struct Checked {
    pub config: Config,
    pub(super) halves: Vec<Half>,
    pub(super) found: Vec<Found>,
}

impl Checked {
    pub fn has_encoder(&self) -> bool {
        self.halves.contains(&Half::Encoder)
    }

    pub fn has_decoder(&self) -> bool {
        self.halves.contains(&Half::Decoder)
    }

    /// For those who want a picture back.
    ///
    /// # Errors
    /// `autoencoder.half`, naming what is missing.
    pub fn needs_both(&self) -> Result<()> {
        match Half::BOTH.into_iter().find(|half| !self.halves.contains(half)) {
            Some(half) => Err(missing_half(self.config.family(), half)),
            None => Ok(()),
        }
    }

    /// How each weight is stored on the device: as in the file where that is f16 and the weight no bias, else f32.
    pub(super) fn dtypes(&self) -> HashMap<String, DType> {
        self.found.iter().map(|f| (f.spec.name.clone(), f.spec.dtype)).collect()
    }

    /// Bytes of the weights in the files.
    pub fn file_bytes(&self) -> u64 {
        self.found.iter().map(|f| f.tensor.bytes).sum()
    }
}

/// A half of a network, to be looked for in files.
struct Candidate {
    config: Config,
    half: Half,
    names: NameMap,
    specs: Vec<WeightSpec>,
}

/// Recognises the files: TAESD's encoder and decoder, in either order or in one file, or an AutoencoderKL of the sizes
/// `kl` says; each in one file, or in shards and their list. One half alone will do for what it does.
///
/// # Errors
/// `autoencoder.files` when there is none, or two hold the same or parts of different networks; `autoencoder.latents`;
/// `safetensors.*` naming what is missing or of the wrong shape in the network that comes closest; `source.*`.
pub async fn check<S: ByteSource>(sources: &[S], kl: &autoencoder_kl::Config) -> Result<Checked> {
    let candidates = candidates(kl)?;
    let mut checked: Option<Checked> = None;
    for file in read_tables(sources).await? {
        // What is missing may be in another part.
        for candidate in recognise(&file, &candidates).map_err(|error| file.part.clone().unwrap_or(error))? {
            let so_far = checked.get_or_insert_with(|| Checked {
                config: candidate.config.clone(),
                halves: Vec::new(),
                found: Vec::new(),
            });
            if so_far.config != candidate.config {
                let names = [so_far.config.family().title(), candidate.config.family().title()];
                return Err(files(format!("one file is of {}, another of {}", names[0], names[1])));
            }
            if so_far.halves.contains(&candidate.half) {
                let family = candidate.config.family().title();
                return Err(files(format!("two files hold the {} of {family}", candidate.half.name())));
            }
            so_far.halves.push(candidate.half);
            let chosen = candidate.names.choose(&file, &candidate.specs)?;
            so_far.found.extend(candidate.specs.iter().zip(chosen.tensors).map(|(spec, tensor)| {
                let halved = tensor.dtype == SafeDtype::F16 && spec.shape.len() > 1;
                let dtype = if halved { DType::F16 } else { DType::F32 };
                Found { half: candidate.half, spec: WeightSpec { dtype, ..spec.clone() }, tensor: tensor.clone() }
            }));
        }
    }
    checked.ok_or_else(|| files("no file was given".into()))
}

pub(super) fn missing_half(family: Family, half: Half) -> Error {
    let give = match family {
        Family::Taesd => format!("taesd_{}.safetensors", half.name()),
        Family::AutoencoderKl => format!("a file with the {} too", half.name()),
    };
    Error::new("autoencoder.half", format!("the files hold no {}", half.name()), format!("give {give}"))
}

fn files(cause: String) -> Error {
    Error::new(
        "autoencoder.files",
        cause,
        "give taesd_encoder.safetensors and taesd_decoder.safetensors, or the autoencoder of Stable Diffusion",
    )
}

fn candidates(kl: &autoencoder_kl::Config) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for config in [Config::Taesd(taesd::Config::default()), Config::AutoencoderKl(kl.clone())] {
        if config.latent_channels() != Latents::CHANNELS {
            return Err(Error::new(
                "autoencoder.latents",
                format!("{} latents; this version shows {}", config.latent_channels(), Latents::CHANNELS),
                "use an autoencoder with as many",
            ));
        }
        for half in Half::BOTH {
            let specs = config.graph(half, &|_| DType::F32, [1, 1])?.weights;
            candidates.push(Candidate { names: config.names(half)?, config: config.clone(), half, specs });
        }
    }
    Ok(candidates)
}

/// The halves that a file holds; at least one.
fn recognise<'c>(file: &Safetensors, candidates: &'c [Candidate]) -> Result<Vec<&'c Candidate>> {
    let mut whole: Vec<&Candidate> = Vec::new();
    let mut closest: Option<(f64, Error)> = None;
    for candidate in candidates {
        let error = match candidate.names.choose(file, &candidate.specs) {
            Ok(_) => {
                whole.push(candidate);
                continue;
            }
            Err(error) => error,
        };
        let share = candidate.share(file);
        if closest.as_ref().is_none_or(|(most, _)| share > *most) {
            closest = Some((share, error));
        }
    }
    // Names of AutoencoderKL's halves never look alike: one that is there in part is a damaged file. TAESD's do.
    let damaged = whole.is_empty() || whole.iter().all(|c| c.config.family() == Family::AutoencoderKl);
    match closest {
        Some((share, error)) if whole.is_empty() || damaged && share > 0.5 => Err(error),
        _ => Ok(whole),
    }
}

impl Candidate {
    /// How many of its tensors the file has, of whatever shape and type, out of all.
    fn share(&self, file: &Safetensors) -> f64 {
        let there = self.specs.iter().filter(|spec| match self.names.choose(file, std::slice::from_ref(spec)) {
            Ok(_) => true,
            Err(error) => error.code != "safetensors.missing",
        });
        there.count() as f64 / self.specs.len() as f64
    }
}
