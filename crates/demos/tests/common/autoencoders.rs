//! Autoencoders with random weights as files, and a session on them.

use std::rc::Rc;

use lantern_demos::Picture;
use lantern_demos::autoencode::{Autoencoder, AutoencoderSession, LoadOptions};
use lantern_graph::{Cancel, DType, Executor, Graph, Result};
use lantern_models::{Parameters, autoencoder_kl, taesd};
use lantern_weights::{MemorySource, SafeDtype, SafetensorsWriter};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn f32(_: &str) -> DType {
    DType::F32
}

/// A file of a graph's weights, named as `name` turns ours, of the shapes that PyTorch gives them.
pub fn file(graphs: &[Graph], dtype: &SafeDtype, name: impl Fn(&str) -> Option<String>, seed: u64) -> Vec<u8> {
    println!("random weights, seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut w = SafetensorsWriter::new();
    for spec in graphs.iter().flat_map(|g| &g.weights) {
        let shape = match spec.shape[..] {
            [out, h, w, channels] => vec![out, channels, h, w],
            _ => spec.shape.clone(),
        };
        // Of such a spread that activations keep theirs.
        let spread = if shape.len() == 1 { 0.1 } else { (3.0 / spec.columns() as f32).sqrt() };
        let middle = if spec.name.contains("norm") && spec.name.ends_with("weight") { 1.0 } else { 0.0 };
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| middle + rng.random_range(-spread..spread)).collect();
        if let Some(name) = name(&spec.name) {
            w.tensor_f32(&name, &shape, dtype, &values).unwrap();
        }
    }
    w.finish()
}

/// TAESD's encoder and decoder, as two files.
pub fn taesd_files(seed: u64) -> [Vec<u8>; 2] {
    let config = taesd::Config::default();
    let halves = [
        taesd::encoder(&config, &Parameters::weights(&f32), [8, 8]),
        taesd::decoder(&config, &Parameters::weights(&f32), [1, 1]),
    ];
    let mut seed = seed;
    halves.map(|graph| {
        seed += 1;
        let bare = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_owned());
        file(&[graph.unwrap()], &SafeDtype::BF16, bare, seed)
    })
}

pub fn taesd_in_one(seed: u64) -> Vec<u8> {
    let config = taesd::Config::default();
    let halves = [
        taesd::encoder(&config, &Parameters::weights(&f32), [8, 8]).unwrap(),
        taesd::decoder(&config, &Parameters::weights(&f32), [1, 1]).unwrap(),
    ];
    file(&halves, &SafeDtype::F32, |name| Some(name.to_owned()), seed)
}

/// Small, with odd widths.
pub fn narrow() -> autoencoder_kl::Config {
    let block_channels = vec![16, 24, 24, 40];
    autoencoder_kl::Config { block_channels, layers_per_block: 1, groups: 8, ..autoencoder_kl::Config::default() }
}

pub fn kl_halves() -> [Graph; 2] {
    let config = narrow();
    [
        autoencoder_kl::encoder(&config, &Parameters::weights(&f32), [8, 8]).unwrap(),
        autoencoder_kl::decoder(&config, &Parameters::weights(&f32), [1, 1]).unwrap(),
    ]
}

pub fn kl_file(dtype: &SafeDtype, seed: u64) -> Vec<u8> {
    file(&kl_halves(), dtype, |name| Some(name.to_owned()), seed)
}

pub fn options() -> LoadOptions {
    LoadOptions { autoencoder_kl: narrow(), ..LoadOptions::default() }
}

pub fn load<E: Executor>(executor: &Rc<E>, files: &[&[u8]], options: &LoadOptions) -> Result<Rc<Autoencoder<E>>> {
    let sources: Vec<MemorySource> = files.iter().map(|file| MemorySource::new(*file)).collect();
    block_on(Autoencoder::load(executor, &sources, options, &mut |_| {}, &Cancel::new())).map(Rc::new)
}

pub fn open<E: Executor>(executor: &Rc<E>, files: &[&[u8]]) -> AutoencoderSession<E> {
    load(executor, files, &options()).unwrap().session()
}

/// Latents, and the picture they make.
pub fn through<E: Executor>(session: &mut AutoencoderSession<E>, picture: &Picture) -> (Vec<f32>, Picture) {
    let cancel = Cancel::new();
    let latents = block_on(session.encode(picture, &mut |_| {}, &cancel)).unwrap();
    let back = block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap();
    (latents.values, back)
}

pub fn random_picture(width: usize, height: usize, seed: u64) -> Picture {
    let mut rng = SmallRng::seed_from_u64(seed);
    Picture::new(width, height, (0..3 * width * height).map(|_| rng.random_range(0.0..1.0)).collect()).unwrap()
}
