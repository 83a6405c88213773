//! TAESD's real weights against float64, on every executor; the narrow AutoencoderKL on every GPU against `cpu exact`.

mod common;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use common::autoencoders::{kl_file, open, random_picture, taesd_files, through};
use common::{data, each_gpu, relative_error};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::Picture;
use lantern_demos::autoencode::{AutoencoderSession, Family};
use lantern_gpu::{Gpu, Tier};
use lantern_graph::Executor;
use lantern_weights::SafeDtype;

/// Against float64, both sides on the same BF16 weights: f32 sums of 576 products, some forty layers deep. Latents reach
/// 3.4, the picture is 0 to 1.
const BOUND: f32 = 1e-3;

#[derive(serde::Deserialize)]
struct Case {
    region: Vec<Region>,
}

/// Of the picture; of what comes back, every `step`-th pixel of every `step`-th row is known.
#[derive(serde::Deserialize)]
struct Region {
    name: String,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    step: usize,
    psnr_db: f64,
}

fn case(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/taesd").join(file)
}

fn region(name: &str) -> Region {
    let text = std::fs::read_to_string(case("case.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap();
    case.region.into_iter().find(|region| region.name == name).unwrap()
}

fn floats(file: &str) -> Vec<f32> {
    std::fs::read(case(file)).unwrap().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn astronaut(region: &Region) -> Option<Picture> {
    let image = image::open(data("people/portraits/astronaut.png")?).unwrap();
    let (x, y) = (region.left as u32, region.top as u32);
    let part = image.crop_imm(x, y, region.width as u32, region.height as u32).to_rgba8();
    Some(Picture::from_rgba8(region.width, region.height, &part).unwrap())
}

fn taesd<E: Executor>(executor: &Rc<E>) -> Option<AutoencoderSession<E>> {
    let folder = data("weights/taesd")?;
    let files = ["taesd_encoder.safetensors", "taesd_decoder.safetensors"];
    let [encoder, decoder] = files.map(|file| std::fs::read(folder.join(file)).unwrap());
    // The order does not matter.
    let session = open(executor, &[&decoder, &encoder]);
    assert_eq!(session.model().family(), Family::Taesd);
    Some(session)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d.is_nan() { f32::NAN } else { m.max(d) })
}

fn holds<E: Executor>(executor: &Rc<E>, name: &str) {
    let region = region(name);
    let (Some(mut session), Some(picture)) = (taesd(executor), astronaut(&region)) else { return };
    let (latents, back) = through(&mut session, &picture);
    let sampled: Vec<f32> = (0..region.height)
        .step_by(region.step)
        .flat_map(|y| (0..region.width).step_by(region.step).map(move |x| 3 * (y * region.width + x)))
        .flat_map(|at| back.rgb[at..at + 3].to_vec())
        .collect();
    let errors = [
        largest_difference(&floats(&format!("{name}.latents.f32")), &latents),
        largest_difference(&floats(&format!("{name}.picture.f32")), &sampled),
    ];
    let psnr_db = picture.psnr_db(&back).unwrap();
    let device = executor.describe();
    let what = format!("{name} on {} {}", device.device, device.tier);
    println!("{what}: latents {:.1e}, picture {:.1e}, {psnr_db:.3} dB, {:?}", errors[0], errors[1], session.times());
    assert!(errors.iter().all(|error| *error < BOUND), "{what}: {errors:?}");
    assert!(psnr_db >= 22.0 && (psnr_db - region.psnr_db).abs() < 0.01, "{what}: {psnr_db} dB");
}

#[test]
fn cpu_fast_on_the_whole_picture() {
    holds(&Rc::new(Cpu::new(Mode::Fast)), "whole");
}

#[test]
fn cpu_exact_on_the_whole_picture() {
    holds(&Rc::new(Cpu::new(Mode::Exact)), "whole");
}

#[test]
fn both_modes_at_odd_multiples_of_eight() {
    for mode in [Mode::Exact, Mode::Fast] {
        holds(&Rc::new(Cpu::new(mode)), "odd");
        holds(&Rc::new(Cpu::new(mode)), "small");
    }
}

/// The tiers that convolve differently: those above `core` take its kernels.
fn each_gpu_with_kernels_of_its_own(mut test: impl FnMut(&Rc<Gpu>)) {
    each_gpu(|gpu, tier| {
        if tier <= Tier::Core {
            test(gpu);
        }
    });
}

#[test]
fn every_gpu_tier() {
    each_gpu_with_kernels_of_its_own(|gpu| holds(gpu, "small"));
}

/// Same weights, same picture, the oracle on the other side.
fn agrees<E: Executor>(executor: &Rc<E>, files: &[&[u8]], picture: &Picture, bound: f32) {
    let (latents, back) = through(&mut open(&Rc::new(Cpu::new(Mode::Exact)), files), picture);
    let (our_latents, our_back) = through(&mut open(executor, files), picture);
    let errors = [relative_error(&latents, &our_latents), relative_error(&back.rgb, &our_back.rgb)];
    let device = executor.describe();
    println!("{} {}: latents {:.1e}, picture {:.1e}", device.device, device.tier, errors[0], errors[1]);
    assert!(errors.iter().all(|error| *error < bound), "{} {}: {errors:?}", device.device, device.tier);
}

/// f32 on both sides: some fifty layers in another order of summation, relative to the largest value.
const KL_BOUND: f32 = 1e-3;

#[test]
fn the_large_ones_layers_on_every_gpu_tier() {
    let files = [SafeDtype::F32, SafeDtype::F16].map(|dtype| kl_file(&dtype, 40));
    // Five by three latents, and a size to be padded.
    let pictures = [random_picture(40, 24, 41), random_picture(19, 9, 42)];
    each_gpu_with_kernels_of_its_own(|gpu| {
        for (file, picture) in files.iter().zip(&pictures) {
            agrees(gpu, &[file], picture, KL_BOUND);
        }
    });
}

#[test]
fn the_large_ones_layers_on_cpu_fast() {
    for (dtype, seed) in [(SafeDtype::F32, 43), (SafeDtype::F16, 44), (SafeDtype::BF16, 45)] {
        let file = kl_file(&dtype, seed);
        agrees(&Rc::new(Cpu::new(Mode::Fast)), &[&file], &random_picture(40, 24, seed), KL_BOUND);
    }
}

#[test]
fn random_taesd_on_cpu_fast() {
    let [encoder, decoder] = taesd_files(46);
    agrees(&Rc::new(Cpu::new(Mode::Fast)), &[&encoder, &decoder], &random_picture(24, 40, 47), KL_BOUND);
}
