//! `lantern autoencode`: what it prints and writes, and what it refuses.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::path as text;
use lantern_weights::{MemorySource, SafeDtype, Safetensors, SafetensorsWriter};
use serde_json::Value as Json;

fn lantern(args: &[&str]) -> Output {
    common::lantern(&[&["autoencode"], args].concat(), b"")
}

fn json(args: &[&str]) -> Json {
    common::json(&[&["autoencode"], args, &["--device", "cpu", "--json"]].concat(), b"")
}

fn fails(args: &[&str], code: &str, about: &str) {
    common::fails(&[&["autoencode"], args].concat(), b"", code, about);
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn picture(name: &str) -> String {
    format!("{}/../../tests/cases/pictures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A half of TAESD whose weights are all zero, and its last layer's bias `last`.
fn half(layers: [(usize, [usize; 2]); 2], blocks: [usize; 10], halvings: [usize; 3], last: &[f32]) -> Vec<u8> {
    let mut w = SafetensorsWriter::new();
    let mut put = |name: String, [out, channels]: [usize; 2], bias: Option<&[f32]>| {
        let shape = [out, channels, 3, 3];
        w.tensor_f32(&format!("{name}.weight"), &shape, &SafeDtype::BF16, &vec![0.0; out * channels * 9]).unwrap();
        if let Some(bias) = bias {
            w.tensor_f32(&format!("{name}.bias"), &[out], &SafeDtype::BF16, bias).unwrap();
        }
    };
    let zeros = [0.0; 64];
    put(layers[0].0.to_string(), layers[0].1, Some(&zeros));
    put(layers[1].0.to_string(), layers[1].1, Some(last));
    blocks.iter().for_each(|i| [0, 2, 4].iter().for_each(|j| put(format!("{i}.conv.{j}"), [64, 64], Some(&zeros))));
    halvings.iter().for_each(|i| put(i.to_string(), [64, 64], None));
    w.finish()
}

/// TAESD's two files: whatever goes in, the picture is `colour`.
fn of_one_colour(name: &str, colour: [f32; 3]) -> PathBuf {
    let folder = folder(name);
    let encoder = half([(0, [64, 3]), (14, [4, 64])], [1, 3, 4, 5, 7, 8, 9, 11, 12, 13], [2, 6, 10], &[0.0; 4]);
    let decoder = half([(1, [64, 4]), (19, [3, 64])], [3, 4, 5, 8, 9, 10, 13, 14, 15, 18], [7, 12, 17], &colour);
    std::fs::write(folder.join("taesd_encoder.safetensors"), encoder).unwrap();
    std::fs::write(folder.join("taesd_decoder.safetensors"), decoder).unwrap();
    folder
}

#[test]
fn a_picture_goes_through_and_is_written() {
    let model = of_one_colour("one-colour", [1.0, 0.5, 0.0]);
    let out = model.join("out.png");
    let said = json(&[&picture("rgb.png"), text(&out), "--model", text(&model)]);
    assert_eq!((said["width"].as_u64(), said["height"].as_u64()), (Some(24), Some(16)));
    assert_eq!((said["family"].as_str(), said["device"].as_str()), (Some("taesd"), Some("cpu")));
    for key in ["load_ms", "compile_ms", "encode_ms", "decode_ms", "psnr_db"] {
        assert!(said[key].as_f64().is_some_and(|n| n > 0.0), "{key}: {said}");
    }
    // The weights in f32 alone.
    assert!(said["peak_bytes"].as_u64().is_some_and(|n| n > 2 * 2 * 2_445_000), "{said}");
    assert!(said["weight_bytes"].as_u64() > Some(2 * 2 * 2_445_000) && said["work_bytes"].as_u64() > Some(0), "{said}");
    assert!(said["tier"].is_string() && said["adapter"].is_string() && said["note"].is_null());
    let back = image::open(&out).unwrap();
    assert_eq!(back.color(), image::ColorType::Rgb8);
    let back = back.to_rgb8();
    assert_eq!(back.dimensions(), (24, 16));
    assert!(back.pixels().all(|pixel| pixel.0 == [255, 128, 0]));
}

#[test]
fn pictures_that_are_no_multiple_of_eight_or_move() {
    let model = of_one_colour("sizes", [0.2; 3]);
    let out = model.join("out.png");
    let one = model.join("one.png");
    image::RgbImage::from_pixel(1, 1, image::Rgb([51; 3])).save(&one).unwrap();
    let said = json(&[text(&one), text(&out), "--model", text(&model)]);
    assert_eq!((said["width"].as_u64(), said["height"].as_u64()), (Some(1), Some(1)));
    assert_eq!(image::open(&out).unwrap().to_rgb8().dimensions(), (1, 1));
    // 51 / 255 is 0.2, and BF16 has it to three digits.
    assert!(said["psnr_db"].as_f64().is_none_or(|db| db > 60.0), "{said}");

    let said = json(&[&picture("animated.gif"), text(&out), "--model", text(&model)]);
    assert!(said["note"].as_str().unwrap().contains("first frame"));
}

#[test]
fn a_pictures_colours_are_those_its_profile_means() {
    let model = of_one_colour("profiles", [0.5; 3]);
    let out = model.join("out.png");
    let said = |name: &str| json(&[&picture(name), text(&out), "--model", text(&model)]);
    let decibels = |name: &str| said(name)["psnr_db"].as_f64().unwrap();
    // The same four fields, whatever their numbers: as far from gray, by a step of each number at most.
    let plain = decibels("rgb.png");
    for name in ["wide.png", "wide16.png", "wide.webp", "wide.bmp", "cicp.png", "primaries.png", "pq.png"] {
        let off = (decibels(name) - plain).abs();
        assert!(off < 0.1, "{name}: {off} dB");
    }
    assert!(said("broken-icc.png")["note"].as_str().unwrap().contains("colour profile"));
    assert!(said("wide.png")["note"].is_null());
}

#[test]
fn files_can_be_named_one_by_one_and_planes_scaled() {
    let model = of_one_colour("named", [0.0, 0.0, 1.0]);
    let (encoder, decoder) = (model.join("taesd_encoder.safetensors"), model.join("taesd_decoder.safetensors"));
    let both = format!("{},{}", text(&decoder), text(&encoder));
    let out = model.join("out.png");
    let said = json(&[&picture("rgb.jpg"), text(&out), "--model", &both, "--scale", "-1,0,0.5,2"]);
    assert_eq!(said["family"], "taesd");
    let output = lantern(&[&picture("rgb.jpg"), text(&out), "--model", &both, "--device", "cpu"]);
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.lines().count() == 1 && line.contains("24 × 16") && line.contains(" dB"), "{line}");
}

/// A model of several parts, of which this command wants one: its `vae`, in two shards.
#[test]
fn the_autoencoder_of_a_larger_model_is_found_in_its_folder() {
    let (taesd, model) = (of_one_colour("part", [0.0, 1.0, 0.0]), folder("pipeline"));
    let vae = model.join("vae");
    let _ = std::fs::remove_dir_all(&vae);
    std::fs::create_dir_all(&vae).unwrap();
    let index = |class: &str| {
        format!(
            r#"{{"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "PNDMScheduler"],
                 "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "{class}"]}}"#
        )
    };
    let describe = |text: &str| std::fs::write(model.join("model_index.json"), text).unwrap();
    describe(&index("AutoencoderTiny"));
    let out = taesd.join("out.png");
    let args = [&picture("rgb.png"), text(&out), "--model", text(&model)];
    fails(&args, "autoencode.model", "0 safetensors files");

    // The two halves are told apart by their tensors' names, so they are shards of one file as they stand.
    let (mut map, mut shards) = (Vec::new(), Vec::new());
    for (half, number) in [("encoder", 1), ("decoder", 2)] {
        let name = format!("diffusion_pytorch_model-0000{number}-of-00002.safetensors");
        let bytes = std::fs::read(taesd.join(format!("taesd_{half}.safetensors"))).unwrap();
        let (bytes, names) = renamed(&bytes, &format!("{half}."));
        map.extend(names.iter().map(|tensor| format!("{tensor:?}: {name:?}")));
        shards.push((name, bytes));
    }
    let list = format!(r#"{{"metadata": {{"total_size": 1}}, "weight_map": {{{}}}}}"#, map.join(", "));
    std::fs::write(vae.join("diffusion_pytorch_model.safetensors.index.json"), list).unwrap();
    std::fs::write(vae.join(&shards[0].0), &shards[0].1).unwrap();
    fails(&args, "safetensors.split", &shards[1].0);
    std::fs::write(vae.join(&shards[1].0), &shards[1].1).unwrap();
    let said = json(&args);
    assert_eq!(said["family"], "taesd");
    assert!(image::open(&out).unwrap().to_rgb8().pixels().all(|pixel| pixel.0 == [0, 255, 0]));

    let found = common::json(&["inspect", text(&model), "--json"], b"");
    assert_eq!((&found["format"], &found["class"]), (&"model".into(), &"StableDiffusionPipeline".into()));
    let [unet, vae] = &found["parts"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!((&unet["role"], &unet["error"]["code"]), (&"unet".into(), &"source.open".into()));
    assert_eq!((&vae["class"], vae["files"].as_array().map(Vec::len)), (&"AutoencoderTiny".into(), Some(3)));
    assert_eq!(vae["totals"], found["totals"]);
    let shown = String::from_utf8(common::lantern(&["inspect", text(&model)], b"").stdout).unwrap();
    assert!(shown.contains("a model of 2 parts") && shown.contains("vae: AutoencoderTiny"), "{shown}");

    describe(&index("AutoencoderKLWan"));
    fails(&args, "autoencode.model", "AutoencoderKLWan");
    describe(r#"{"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"]}"#);
    fails(&args, "model.part", "it has unet");
    describe("{");
    fails(&args, "model.index", "model_index.json");
}

/// A file's tensors behind a prefix, and their names.
fn renamed(bytes: &[u8], prefix: &str) -> (Vec<u8>, Vec<String>) {
    let file = pollster::block_on(Safetensors::read(&MemorySource::new(bytes))).unwrap();
    let (mut w, mut names) = (SafetensorsWriter::new(), Vec::new());
    for tensor in &file.tensors {
        let name = format!("{prefix}{}", tensor.name);
        w.tensor(&name, &tensor.shape, &tensor.dtype, &bytes[tensor.offset as usize..][..tensor.bytes as usize]);
        names.push(name);
    }
    (w.finish(), names)
}

#[test]
fn what_is_wrong_is_said_before_work_begins() {
    let model = of_one_colour("refusals", [0.0; 3]);
    let (rgb, out) = (picture("rgb.png"), text(&model.join("out.png")).to_owned());
    let encoder = model.join("taesd_encoder.safetensors");
    let with = |more: &[&'static str]| -> Vec<String> {
        let mut args = vec![rgb.clone(), out.clone(), "--model".into(), text(&model).into()];
        args.extend(more.iter().map(|s| s.to_string()));
        args
    };
    let check = |args: Vec<String>, code: &str, about: &str| {
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, about);
    };
    check(vec![rgb.clone(), out.clone()], "autoencode.model", "taesd_encoder.safetensors");
    check(with(&["--scale", "1,2,3"]), "autoencode.scale", "--scale 1,0,1,1");
    check(with(&["--scale", "1,2,3,nan"]), "autoencode.scale", "NaN");
    check(with(&["--memory-mib", "0", "--device", "cpu"]), "autoencoder.too_large", "24 × 16");
    check(vec![rgb.clone(), "out.jpg".into(), "--model".into(), text(&model).into()], "picture.output", "PNG");
    check(vec!["nothing.png".into(), out.clone(), "--model".into(), text(&model).into()], "source.open", "nothing.png");
    check(vec![rgb.clone(), out.clone(), "--model".into(), rgb.clone()], "safetensors.header", "");
    check(vec![rgb.clone(), out.clone(), "--model".into(), "no.safetensors".into()], "source.open", "no.safetensors");
    let empty = folder("empty");
    check(vec![rgb.clone(), out.clone(), "--model".into(), text(&empty).into()], "autoencode.model", "0 safetensors");
    check(
        vec![rgb, out, "--model".into(), text(&encoder).into(), "--device".into(), "cpu".into()],
        "autoencoder.half",
        "taesd_decoder.safetensors",
    );
}
