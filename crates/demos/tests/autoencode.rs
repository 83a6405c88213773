//! What the demo promises: files recognised or refused with reasons, sizes of all kinds, memory known beforehand, true
//! progress, an end on request.

mod common;

use std::rc::Rc;

use common::autoencoders::{
    file, kl_file, kl_halves, load, narrow, open, options, random_picture, taesd_files, taesd_in_one, through,
};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::autoencode::{Autoencoder, Family, Latents, LoadOptions};
use lantern_demos::{Picture, Progress, Stage};
use lantern_graph::{Cancel, Error, Executor, Frames};
use lantern_models::{Parameters, taesd};
use lantern_weights::{MemorySource, SafeDtype};
use pollster::block_on;

fn cpu() -> Rc<Cpu> {
    Rc::new(Cpu::new(Mode::Fast))
}

fn refused(files: &[&[u8]]) -> Error {
    load(&cpu(), files, &options()).err().unwrap()
}

#[test]
fn taesd_is_recognised_in_either_order_and_in_one_file() {
    let [encoder, decoder] = taesd_files(1);
    let picture = random_picture(16, 8, 2);
    let whole = through(&mut open(&cpu(), &[&encoder, &decoder]), &picture);
    assert_eq!(through(&mut open(&cpu(), &[&decoder, &encoder]), &picture), whole);
    let one = load(&cpu(), &[&taesd_in_one(3)], &options()).unwrap();
    assert_eq!((one.family(), one.has_encoder(), one.has_decoder()), (Family::Taesd, true, true));
    through(&mut one.session(), &picture);
}

/// Cut between its tensors, every third in another file.
#[test]
fn a_network_in_shards_is_the_network_in_one_file() {
    let names: Vec<String> = kl_halves().iter().flat_map(|g| &g.weights).map(|spec| spec.name.clone()).collect();
    let shard_of = |name: &str| names.iter().position(|other| other == name).unwrap() % 3;
    let shards: [Vec<u8>; 3] = [0, 1, 2].map(|shard| {
        file(&kl_halves(), &SafeDtype::F16, |name| (shard_of(name) == shard).then(|| name.to_owned()), 23)
    });
    let called = |shard: usize| format!("vae-{:05}-of-00003.safetensors", shard + 1);
    let map: Vec<String> = names.iter().map(|name| format!("{name:?}: {:?}", called(shard_of(name)))).collect();
    let list = format!(r#"{{"weight_map": {{{}}}}}"#, map.join(", "));
    let mut sources = vec![MemorySource::new(list.into_bytes()).named("vae.safetensors.index.json")];
    sources.extend(shards.iter().enumerate().map(|(i, bytes)| MemorySource::new(bytes.as_slice()).named(&called(i))));

    let (picture, whole) = (random_picture(16, 8, 24), kl_file(&SafeDtype::F16, 23));
    let expected = through(&mut open(&cpu(), &[&whole]), &picture);
    for sources in [&sources[..], &sources[1..]] {
        let mut told = Vec::new();
        let (cpu, options, cancel) = (cpu(), options(), Cancel::new());
        let mut tell = |p| told.push(p);
        let load = Autoencoder::load(&cpu, sources, &options, &mut tell, &cancel);
        let model = Rc::new(block_on(load).unwrap());
        assert_eq!(through(&mut model.session(), &picture), expected);
        // One progress, over all files.
        let bytes: Vec<u64> = told.iter().filter(|p| p.stage == Stage::Weights).map(|p| p.done).collect();
        assert!(bytes.is_sorted() && bytes.last() == told.last().map(|p| &p.total), "{bytes:?}");
    }
    let some = block_on(Autoencoder::load(&cpu(), &sources[..3], &options(), &mut |_| {}, &Cancel::new()));
    let error = some.err().unwrap();
    assert!(error.code == "safetensors.split" && error.cause.contains("vae-00003-of-00003"), "{error}");
}

#[test]
fn half_a_network_does_its_half() {
    let [encoder, decoder] = taesd_files(4);
    let (picture, cancel) = (random_picture(8, 8, 5), Cancel::new());
    let mut session = open(&cpu(), &[&encoder]);
    let latents = block_on(session.encode(&picture, &mut |_| {}, &cancel)).unwrap();
    let error = block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap_err();
    assert_eq!(error.code, "autoencoder.half");
    assert!(error.cause.contains("decoder") && error.remedy.contains("taesd_decoder.safetensors"), "{error}");

    let mut session = open(&cpu(), &[&decoder]);
    block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap();
    let error = block_on(session.encode(&picture, &mut |_| {}, &cancel)).unwrap_err();
    assert!(error.code == "autoencoder.half" && error.remedy.contains("taesd_encoder.safetensors"), "{error}");

    let kl = file(&kl_halves()[1..], &SafeDtype::F32, |name| Some(name.to_owned()), 6);
    let mut session = open(&cpu(), &[&kl]);
    block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap();
    assert_eq!(block_on(session.encode(&picture, &mut |_| {}, &cancel)).unwrap_err().code, "autoencoder.half");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let [encoder, decoder] = taesd_files(7);
    let kl = kl_file(&SafeDtype::F32, 8);
    for (files, cause) in [
        (vec![], "no file"),
        (vec![&encoder, &encoder], "two files hold the encoder of TAESD"),
        (vec![&kl, &kl], "two files hold the encoder of AutoencoderKL"),
        (vec![&decoder, &kl], "one file is of TAESD, another of AutoencoderKL"),
    ] {
        let files: Vec<&[u8]> = files.into_iter().map(Vec::as_slice).collect();
        let error = refused(&files);
        assert!(error.code == "autoencoder.files" && error.cause.contains(cause), "{error}");
    }
}

#[test]
fn a_file_that_comes_close_says_what_it_lacks() {
    // A damaged one: two tensors are gone from one half.
    let gone = ["decoder.conv_in.bias", "decoder.mid_block.attentions.0.to_k.weight"];
    let damaged = file(&kl_halves(), &SafeDtype::F32, |n| (!gone.contains(&n)).then(|| n.to_owned()), 9);
    let error = refused(&[&damaged]);
    assert_eq!(error.code, "safetensors.missing");
    assert!(gone.iter().all(|name| error.cause.contains(name)) && error.cause.contains("2 of"), "{error}");

    // TAESD for Stable Diffusion 3: 16 latents.
    let config = taesd::Config { latent_channels: 16, ..taesd::Config::default() };
    let graph = taesd::encoder(&config, &Parameters::weights(&|_| lantern_graph::DType::F32), [8, 8]).unwrap();
    let other = file(&[graph], &SafeDtype::BF16, |name| name.split_once('.').map(|(_, rest)| rest.to_owned()), 10);
    let error = refused(&[&other]);
    assert_eq!(error.code, "safetensors.shape");
    assert!(error.cause.contains("[16, 64, 3, 3]") && error.cause.contains("[4, 64, 3, 3]"), "{error}");

    // Stable Diffusion's own sizes are asked for where no others are.
    let kl = kl_file(&SafeDtype::F32, 11);
    let error = load(&cpu(), &[&kl], &LoadOptions::default()).err().unwrap();
    assert!(error.code == "safetensors.missing" || error.code == "safetensors.shape", "{error}");

    assert_eq!(refused(&[b"GGUF and so on, some bytes of it"]).code, "safetensors.header");
    assert_eq!(refused(&[b""]).code, "safetensors.truncated");
}

#[test]
fn every_size_comes_back_as_it_was() {
    let [encoder, decoder] = taesd_files(12);
    let mut session = open(&cpu(), &[&encoder, &decoder]);
    for (width, height) in [(1, 1), (8, 8), (9, 7), (23, 16), (200, 1), (8, 8)] {
        let picture = random_picture(width, height, 13);
        let cancel = Cancel::new();
        let latents = block_on(session.encode(&picture, &mut |_| {}, &cancel)).unwrap();
        assert_eq!([latents.width, latents.height], [width.div_ceil(8), height.div_ceil(8)]);
        assert_eq!((latents.picture, latents.values.len()), ([width, height], 4 * latents.width * latents.height));
        let back = block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap();
        assert_eq!((back.width, back.height), (width, height));
        assert!(back.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
        // Plans for the size before leave nothing behind.
        assert_eq!(through(&mut open(&cpu(), &[&encoder, &decoder]), &picture), (latents.values, back));
    }
    let none = Picture { width: 0, height: 5, rgb: Vec::new() };
    assert_eq!(block_on(session.encode(&none, &mut |_| {}, &Cancel::new())).unwrap_err().code, "picture.empty");
}

/// Bytes go in and out where the executor has them, and nothing of them is another than by way of the host.
#[test]
fn a_frame_goes_through_as_its_picture_does() {
    let [encoder, decoder] = taesd_files(27);
    let executor = cpu();
    let mut session = open(&executor, &[&encoder, &decoder]);
    for (width, height) in [(9, 7), (16, 8), (23, 17)] {
        // What is transparent lies over white.
        let mut rgba = random_picture(width, height, 28).to_rgba8();
        rgba[3] = 51;
        let picture = Picture::from_rgba8(width, height, &rgba).unwrap();
        let (values, back) = through(&mut session, &picture);
        let (frame, cancel) = (executor.frame([height, width], &rgba).unwrap(), Cancel::new());
        let latents = block_on(session.encode_frame(&frame, &mut |_| {}, &cancel)).unwrap();
        assert_eq!((&latents.values, latents.picture), (&values, [width, height]));
        let opaque = executor.frame([height, width], &picture.to_rgba8()).unwrap();
        let mut surface = executor.surface();
        let psnr_db = block_on(session.decode_onto(&latents, &mut surface, &opaque, &mut |_| {}, &cancel)).unwrap();
        let (size, seen) = block_on(executor.read_surface(&surface)).unwrap();
        assert_eq!((size, &seen), ([height, width], &back.to_rgba8()));
        let seen = Picture::from_rgba8(width, height, &seen).unwrap();
        let opaque = Picture::from_rgba8(width, height, &picture.to_rgba8()).unwrap();
        assert!((seen.psnr_db(&opaque).unwrap() - psnr_db).abs() < 1e-4, "{psnr_db}");
        assert!(session.times().decode_ms > 0.0);
    }
}

#[test]
fn a_picture_that_does_not_fit_is_told_which_size_does() {
    let [encoder, decoder] = taesd_files(14);
    let executor = cpu();
    let limited = LoadOptions { max_bytes: 4 << 20, ..options() };
    let mut session = load(&executor, &[&encoder, &decoder], &limited).unwrap().session();
    let (held, cancel) = (executor.memory_bytes(), Cancel::new());
    for (width, height) in [(20_000, 20_000), (160, 320), (320, 160)] {
        let error = block_on(session.peak_bytes(width, height, &cancel)).unwrap_err();
        assert_eq!((error.code, executor.memory_bytes()), ("autoencoder.too_large", held), "{error}");
        assert!(error.cause.contains(&format!("{width} × {height}")), "{error}");
        // The size that it names does fit, and eight pixels more do not.
        let numbers: Vec<usize> = error.remedy.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [fits_width, fits_height] = numbers[..] else { panic!("{error}") };
        assert!(fits_width.abs_diff(fits_height * width / height) < 16, "{error}");
        block_on(session.peak_bytes(fits_width, fits_height, &cancel)).unwrap();
        let more = (fits_width + 16, fits_height + 16);
        block_on(session.peak_bytes(more.0, more.1, &cancel)).unwrap_err();
    }
    let picture = random_picture(320, 160, 15);
    let error = block_on(session.encode(&picture, &mut |_| {}, &cancel)).unwrap_err();
    assert_eq!((error.code, executor.memory_bytes()), ("autoencoder.too_large", held));

    // Within any limit on memory, elements are counted in 32 bits.
    let unlimited = LoadOptions { max_bytes: u64::MAX, ..options() };
    let mut session = load(&executor, &[&encoder, &decoder], &unlimited).unwrap().session();
    let error = block_on(session.peak_bytes(20_000, 20_000, &cancel)).unwrap_err();
    assert!(error.code == "autoencoder.too_large" && error.cause.contains("4 GiB"), "{error}");
}

#[test]
fn the_peak_told_beforehand_is_kept() {
    for files in [taesd_files(16).to_vec(), vec![kl_file(&SafeDtype::F32, 17)]] {
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let executor = cpu();
        let model = load(&executor, &files, &options()).unwrap();
        assert_eq!(executor.memory_bytes(), model.weight_bytes());
        let mut session = model.session();
        let told = block_on(session.peak_bytes(56, 40, &Cancel::new())).unwrap();
        assert_eq!(executor.memory_bytes(), model.weight_bytes(), "asking allocates nothing");
        through(&mut session, &random_picture(56, 40, 18));
        assert_eq!(block_on(session.peak_bytes(56, 40, &Cancel::new())).unwrap(), told, "with its plans there too");
        // And with the picture on the device.
        let (frame, cancel) =
            (executor.frame([40, 56], &random_picture(56, 40, 18).to_rgba8()).unwrap(), Cancel::new());
        let mut surface = executor.surface();
        block_on(async {
            let latents = session.encode_frame(&frame, &mut |_| {}, &cancel).await.unwrap();
            session.decode_onto(&latents, &mut surface, &frame, &mut |_| {}, &cancel).await.unwrap();
        });
        let held = executor.memory_bytes();
        assert!(held <= told && told - model.weight_bytes() > 40 * 56 * 16 * 4, "held {held}, told {told}");
        drop((session, model, frame, surface));
        assert_eq!(executor.memory_bytes(), 0);
    }
}

#[test]
fn progress_is_told_stage_by_stage() {
    let [encoder, decoder] = taesd_files(19);
    let sources = [&encoder, &decoder].map(|file| MemorySource::new(file.as_slice()));
    let (mut heard, cancel) = (Vec::<Progress>::new(), Cancel::new());
    let model = block_on(Autoencoder::load(&cpu(), &sources, &options(), &mut |p| heard.push(p), &cancel)).unwrap();
    let weights: Vec<_> = heard.iter().filter(|p| p.stage == Stage::Weights).collect();
    assert!(weights.windows(2).all(|pair| pair[0].done < pair[1].done && pair[0].total == pair[1].total));
    // Of BF16.
    assert_eq!((weights.last().unwrap().done, weights[0].total), (weights[0].total, 2_445_064 + 2_445_062));
    assert_eq!(heard.last().unwrap().stage, Stage::Upload);

    heard.clear();
    let mut session = Rc::new(model).session();
    // Large enough for a run in slices.
    let picture = random_picture(160, 128, 20);
    let latents = block_on(session.encode(&picture, &mut |p| heard.push(p), &cancel)).unwrap();
    assert!(heard.windows(2).all(|pair| pair[0].stage <= pair[1].stage), "{heard:?}");
    let runs: Vec<_> = heard.iter().filter(|p| p.stage == Stage::Run).collect();
    assert!(runs.windows(2).all(|pair| pair[0].done <= pair[1].done && pair[0].total == pair[1].total));
    let last = runs.last().unwrap();
    assert!(runs.len() > 2 && last.done == last.total && last.total > 0, "{runs:?}");
    assert!(session.times().encode_ms > 0.0 && session.times().compile_ms > 0.0 && session.times().decode_ms == 0.0);

    heard.clear();
    block_on(session.encode(&picture, &mut |p| heard.push(p), &cancel)).unwrap();
    assert!(heard.iter().all(|p| p.stage == Stage::Run), "plans of this size are there: {heard:?}");
    block_on(session.decode(&latents, &mut |_| {}, &cancel)).unwrap();
    assert!(session.times().decode_ms > 0.0);
}

#[test]
fn a_stop_is_heard_and_leaves_a_session_that_works() {
    let [encoder, decoder] = taesd_files(21);
    let executor = cpu();
    let sources = [&encoder, &decoder].map(|file| MemorySource::new(file.as_slice()));
    let stop = Cancel::new();
    let stopped = block_on(Autoencoder::load(&executor, &sources, &options(), &mut |_| stop.cancel(), &stop));
    assert!(stopped.err().unwrap().is_cancelled());
    assert_eq!(executor.memory_bytes(), 0);

    let picture = random_picture(160, 128, 22);
    let mut session = open(&executor, &[&encoder, &decoder]);
    let whole = through(&mut session, &picture);
    for at in [Stage::Compile, Stage::Run] {
        let (mut session, stop) = (open(&executor, &[&encoder, &decoder]), Cancel::new());
        let mut listen = |p: Progress| {
            if p.stage == at {
                stop.cancel();
            }
        };
        let stopped = block_on(session.encode(&picture, &mut listen, &stop));
        assert!(stopped.is_err_and(|error| error.is_cancelled()), "{at:?}");
        assert_eq!(through(&mut session, &picture), whole);
    }
}

#[test]
fn planes_can_be_taken_and_scaled() {
    let latents =
        Latents { width: 2, height: 1, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], picture: [9, 8] };
    assert_eq!((latents.plane(1), latents.plane(3), latents.plane(4)), (vec![2.0, 6.0], vec![4.0, 8.0], vec![]));
    assert_eq!(latents.scaled(&[1.0, 0.0, -1.0, 0.5]).values, [1.0, 0.0, -3.0, 2.0, 5.0, 0.0, -7.0, 4.0]);

    let [encoder, decoder] = taesd_files(23);
    let mut session = open(&cpu(), &[&encoder, &decoder]);
    let mut decode = |latents: &Latents| block_on(session.decode(latents, &mut |_| {}, &Cancel::new()));
    let as_it_is = decode(&latents).unwrap();
    assert_ne!(decode(&latents.scaled(&[1.0, 1.0, 0.0, 1.0])).unwrap(), as_it_is);
    for wrong in [
        latents.scaled(&[1.0, f32::NAN, 1.0, 1.0]),
        Latents { width: 3, ..latents.clone() },
        Latents { picture: [17, 8], ..latents.clone() },
        Latents { width: 0, values: Vec::new(), ..latents },
    ] {
        assert_eq!(decode(&wrong).unwrap_err().code, "autoencoder.latents");
    }
}

#[test]
fn latents_are_in_a_unets_units() {
    let kl = kl_file(&SafeDtype::F32, 24);
    let picture = random_picture(16, 16, 25);
    let with_factor = |factor: f32| {
        let mut options = options();
        options.autoencoder_kl.scaling_factor = factor;
        through(&mut load(&cpu(), &[&kl], &options).unwrap().session(), &picture)
    };
    let ((sd, sd_back), (xl, xl_back)) = (with_factor(0.18215), with_factor(0.13025));
    assert_eq!(narrow().scaling_factor, 0.18215);
    assert!(sd.iter().zip(&xl).all(|(sd, xl)| (sd / 0.18215 - xl / 0.13025).abs() < 1e-4));
    assert!(sd_back.psnr_db(&xl_back).unwrap() > 80.0);
}

#[test]
fn a_file_of_f16_is_kept_in_f16() {
    let held = |dtype| load(&cpu(), &[&kl_file(&dtype, 26)], &options()).unwrap().weight_bytes();
    let (whole, halved) = (held(SafeDtype::F32), held(SafeDtype::F16));
    // Norms and biases stay f32.
    assert!(halved > whole / 2 && halved < whole * 6 / 10, "{halved} of {whole}");
    assert_eq!(held(SafeDtype::BF16), whole);
}
