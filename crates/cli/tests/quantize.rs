//! `lantern quantize`: what it writes and prints, and that nothing is lost when it fails.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::path as text;
use lantern_weights::{GgmlType, Gguf, GgufWriter, MemorySource, Value};
use serde_json::{Value as Json, json};

fn lantern(args: &[&str]) -> Output {
    common::lantern(&[&["quantize"], args].concat(), b"")
}

fn fails(args: &[&str], code: &str, about: &str) {
    common::fails(&[&["quantize"], args].concat(), b"", code, about);
}

/// A folder of its own for each test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn model(values: &[f32]) -> Vec<u8> {
    let mut w = GgufWriter::default();
    w.tensor_f32("token_embd.weight", &[values.len() / 256, 256], GgmlType::F32, values).unwrap();
    w.tensor_f32("output_norm.weight", &[256], GgmlType::F32, &[1.0; 256]).unwrap();
    w.tensor_f32("blk.0.attn_q.weight", &[2, 96], GgmlType::F32, &[0.25; 192]).unwrap();
    w.tensor_f32("output.weight", &[values.len() / 256, 256], GgmlType::F32, values).unwrap();
    w.finish().unwrap()
}

#[test]
fn a_file_is_written_and_told_type_by_type() {
    let folder = folder("quantize_writes");
    let (input, output) = (folder.join("in.gguf"), folder.join("out.gguf"));
    let values: Vec<f32> = (0..1024).map(|i| (i as f32 * 0.7).sin()).collect();
    std::fs::write(&input, model(&values)).unwrap();
    // What was there is replaced.
    std::fs::write(&output, "an older file").unwrap();
    for name in ["q4_k", "Q4_K"] {
        let found = lantern(&[text(&input), text(&output), "--type", name, "--json"]);
        assert!(found.status.success() && found.stderr.is_empty(), "{}", String::from_utf8_lossy(&found.stderr));
        let found: Json = serde_json::from_slice(&found.stdout).unwrap();
        let types = json!([
            {"type": "F32", "tensors": 1, "bytes": 1024},
            {"type": "Q4_K", "tensors": 1, "bytes": 4 * 144},
            {"type": "Q5_0", "tensors": 1, "bytes": 6 * 22},
            {"type": "Q6_K", "tensors": 1, "bytes": 4 * 210},
        ]);
        assert_eq!((&found["type"], &found["types"]), (&json!("Q4_K"), &types));
        assert_eq!((&found["tensors"], &found["bytes"]), (&json!(4), &json!(1024 + 576 + 132 + 840)));
        assert_eq!(found["bytes_before"], 2 * 4096 + 1024 + 768);
        assert_eq!(found["notes"].as_array().unwrap().len(), 2, "{found}");
        assert_eq!(files(&folder), ["in.gguf", "out.gguf"]);
        let new = MemorySource::new(std::fs::read(&output).unwrap());
        let new = pollster::block_on(Gguf::read(&new)).unwrap();
        assert_eq!(new.metadata.u32("general.file_type").unwrap(), 14);
        let kinds: Vec<_> = new.tensors.iter().map(|t| t.ggml_type).collect();
        assert_eq!(kinds, [GgmlType::Q4K, GgmlType::F32, GgmlType::Q5_0, GgmlType::Q6K]);
    }
    let said = lantern(&[text(&input), text(&output), "--type", "q4_k", "--pure"]);
    assert!(said.stderr.is_empty(), "no progress where nobody watches");
    let said = String::from_utf8(said.stdout).unwrap();
    for part in ["Q4_K      2 tensors", "1152 bytes", "blk.0.attn_q.weight is stored as Q5_0: rows of 96", "from 9984,"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Q6_K"), "{said}");
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let folder = folder("quantize_fails");
    let (input, output) = (folder.join("in.gguf"), folder.join("out.gguf"));
    let mut values: Vec<f32> = (0..1024).map(|i| i as f32 * 0.01).collect();
    let good = model(&values);
    std::fs::write(&input, &good).unwrap();
    std::fs::write(&output, "precious").unwrap();
    let (i, o) = (text(&input), text(&output));
    let there = || {
        assert_eq!(std::fs::read(&output).unwrap(), b"precious");
        assert_eq!(files(&folder).len(), 2, "{:?}", files(&folder));
    };
    fails(&[i, i, "--type", "q8_0"], "quantize.output", "is the input too");
    let roundabout = format!("{}/../quantize_fails/in.gguf", text(&folder));
    fails(&[i, &roundabout, "--type", "q8_0"], "quantize.output", "is the input too");
    assert!(std::fs::read(&input).unwrap() == good);
    fails(&[i, text(&folder), "--type", "q8_0"], "quantize.output", "it is a folder");
    #[cfg(unix)]
    {
        fails(&[i, "/dev/null", "--type", "q8_0"], "quantize.output", "no plain file");
        // A link to a file stays one, and the file is the new one.
        let (link, target) = (folder.join("link.gguf"), folder.join("target.gguf"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(lantern(&[i, text(&link), "--type", "q8_0"]).status.success());
        assert!(link.is_symlink() && std::fs::read(&target).unwrap().starts_with(b"GGUF"));
        [link, target].iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
    fails(&[i, "/nowhere/out.gguf", "--type", "q8_0"], "quantize.output", "no such folder");
    fails(&["/nowhere/in.gguf", o, "--type", "q8_0"], "source.open", "/nowhere/in.gguf");
    fails(&[i, o, "--type", "q9_0"], "usage", "q9_0");
    fails(&[i, o], "usage", "required");
    there();

    // Found out only when the tensor is read: a part of the output has been written by then.
    values[1000] = 3.0;
    let mut bad = model(&values);
    let at = bad.windows(4).rposition(|w| w == 3f32.to_le_bytes()).unwrap();
    bad[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&input, &bad).unwrap();
    fails(&[i, o, "--type", "q4_k"], "weights.not_a_number", "output.weight");
    there();
    std::fs::write(&input, &good[..good.len() - 9]).unwrap();
    fails(&[i, o, "--type", "q4_k"], "gguf.tensor", "output.weight");
    let small = folder.join("small.gguf");
    std::fs::write(&input, &good).unwrap();
    assert!(lantern(&[i, text(&small), "--type", "q8_0"]).status.success());
    std::fs::rename(&small, &input).unwrap();
    fails(&[i, o, "--type", "q4_0"], "quantize.requantize", "--allow-requantize");
    there();
    assert!(lantern(&[i, o, "--type", "q4_0", "--allow-requantize"]).status.success());
    assert_ne!(std::fs::read(&output).unwrap(), b"precious");
}

/// The page's own model. Widening loses nothing, so its answers stay the same, token for token; a coarser one still answers.
#[test]
fn a_quantized_model_answers() {
    let folder = folder("quantize_answers");
    let model = format!("{}/../../www/models/lantern-chat.q8_0.gguf", env!("CARGO_MANIFEST_DIR"));
    let tokens = |file: &str| -> Json {
        let args =
            ["--prompt", "Once upon a time", "--max-tokens", "8", "--device", "cpu", "--tier", "exact", "--json"];
        common::json(&[&["chat", "--model", file], &args[..]].concat(), b"")["tokens"].clone()
    };
    let before = tokens(&model);
    for (name, same) in [("f32", true), ("q6_k", false), ("q4_k", false)] {
        let made = folder.join(format!("{name}.gguf"));
        let found = lantern(&[&model, text(&made), "--type", name, "--allow-requantize"]);
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let after = tokens(text(&made));
        assert_eq!(after.as_array().unwrap().len(), 8, "{name}: {after}");
        assert!(!same || after == before, "{name}: {after}, and {before} before");
    }
}

/// An interrupt while a large file is written: what was there stays, and nothing half-written beside it.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_unfinished() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let folder = folder("interrupt");
    let (input, output) = (folder.join("in.gguf"), folder.join("out.gguf"));
    // 2 GiB of zeros that take no room on most disks: seconds of work.
    let mut writer = GgufWriter::new(3);
    writer.metadata("general.architecture", Value::String("llama".into())).unwrap();
    let rows = 1 << 19;
    writer.tensor("blk.0.ffn_up.weight", &[rows, 1024], GgmlType::F32, Vec::new());
    let header = writer.finish().unwrap();
    std::fs::write(&input, &header).unwrap();
    let file = std::fs::File::options().write(true).open(&input).unwrap();
    file.set_len(header.len() as u64 + rows as u64 * 4096).unwrap();
    std::fs::write(&output, "what was there").unwrap();
    let args = ["quantize", text(&input), text(&output), "--type", "q4_k"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_lantern")).args(args).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while files(&folder).len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "no work was seen");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Not SIGINT: where these tests run in the background of a script, that is ignored, by this program too.
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "what was there");
    assert_eq!(files(&folder), ["in.gguf", "out.gguf"], "the unfinished file is gone");

    // Where signals are ignored, as under `nohup`, the work goes on.
    let mut shell = Command::new("sh");
    let script = format!("trap '' INT; exec {} quantize \"$0\" \"$1\" --type q4_k", env!("CARGO_BIN_EXE_lantern"));
    let mut child = shell.args(["-c", &script, text(&input), text(&output)]).stdout(Stdio::null()).spawn().unwrap();
    while files(&folder).len() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "no work was seen");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "it was told not to hear this");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(files(&folder), ["in.gguf", "out.gguf"]);
    std::fs::remove_dir_all(&folder).unwrap();
}
