//! `lantern compress apply` and `bounds`: what they write, print and refuse.

mod common;

use std::path::{Path, PathBuf};

use common::path;
use lantern_testing::{Llama, letters};
use lantern_weights::{GgmlType, Gguf, GgufWriter, MemorySource, SafeDtype, SafetensorsWriter};
use serde_json::Value as Json;

fn json(args: &[&str]) -> Json {
    common::json(args, b"")
}

fn fails(args: &[&str], code: &str, cause: &str) {
    common::fails(args, b"", code, cause);
}

/// A file of its own for each test.
fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = place(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Where it is, and no other test's.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compress-{name}"))
}

/// A Llama of one block and random weights, over a vocabulary of letters.
fn model() -> GgufWriter {
    // A linear congruence, summed to something like a bell.
    let mut state = 12345u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let llama = Llama { tied: true, ..Llama::TINY };
    llama.file(&letters(llama.vocab), |_, shape| {
        let count = shape.iter().product();
        match shape.len() {
            1 => vec![1.0; count],
            _ => (0..count).map(|_| 0.4 * (uniform() + uniform() + uniform())).collect(),
        }
    })
}

#[test]
fn a_compressed_model_is_a_model() {
    let file = write("in.gguf", &model().finish().unwrap());
    let letters: String = (0..600u32).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
    let text = write("text.txt", letters.as_bytes());
    let out = place("out.gguf");
    let base = ["compress", "apply", path(&file), path(&out), "--json", "--context", "64"];
    for (method, bits, stored, charged) in [
        ("rtn", "4", "Q4_0", 4.5),
        ("gptq", "3", "Q4_0", 3.5),
        ("one-opt", "8", "Q8_0", 8.5),
        ("magnitude", "4", "F16", 4.0),
        ("global-magnitude", "4", "F16", 4.0),
        ("magnitude-refit", "4", "F16", 4.0),
        ("sparsegpt", "4", "F16", 4.0),
        ("joint", "6", "Q8_0", 3.5),
    ] {
        let extra = ["--method", method, "--bits", bits, "--calibrate", path(&text)];
        let report = json(&[&base[..], &extra].concat());
        assert_eq!(report["layers"].as_array().unwrap().len(), 7, "{report}");
        for layer in report["layers"].as_array().unwrap() {
            assert_eq!(layer["type"], stored, "{method}");
            assert!(layer["output_snr_db"].as_f64().unwrap() > 0.0, "{method}: {layer}");
            if ["gptq", "one-opt"].contains(&method) {
                assert!(layer["output_snr_db"].as_f64() >= layer["rtn_output_snr_db"].as_f64(), "{method}: {layer}");
            }
        }
        // 0.25 of 1024 weights is a whole number of weights.
        assert!((report["charged_bits_per_weight"].as_f64().unwrap() - charged).abs() < 1e-9, "{method}: {report}");
        let inspected = json(&["inspect", path(&out), "--json"]);
        assert_eq!(inspected["metadata"]["lantern.compress.method"], method);
        let eval = ["eval", "perplexity", "--model", path(&out), "--text", path(&text), "--device", "cpu", "--json"];
        assert!(json(&[&eval[..], &["--context", "32"]].concat())["perplexity"].as_f64().unwrap() > 1.0);
    }
    // Masks are paid out of the same bits; indices are of the groups that are asked for, and none where nothing is dropped.
    for (charge, sparsity, charged) in
        [("bitmap", None, 4.0), ("entropy", None, 4.0), ("bitmap", Some("2:4"), 9.0), ("bitmap", Some("4:4"), 16.0)]
    {
        let args = [&base[..], &["--method", "magnitude", "--charge", charge]].concat();
        let args = [&args[..], &sparsity.map_or(vec![], |s| vec!["--sparsity", s])].concat();
        let bits = json(&args)["charged_bits_per_weight"].as_f64().unwrap();
        assert!((bits - charged).abs() < 0.01, "{charge}, {sparsity:?}: {bits}");
    }
    let said = common::lantern(&["compress", "apply", path(&file), path(&out), "--method", "magnitude"], b"");
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("blk.0.ffn_down.weight") && said.contains("larger than the method charges"), "{said}");
}

/// Nothing is zeroed, so the file says what it said: but for halves, which are off by 2⁻¹² of a weight.
#[test]
fn a_rewritten_model_says_what_it_said() {
    let file = write("rewrite.gguf", &model().finish().unwrap());
    let letters: String = (0..300u32).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
    let text = write("rewrite.txt", letters.as_bytes());
    let out = place("rewritten.gguf");
    let perplexity = |model: &Path| {
        let args = ["eval", "perplexity", "--model", path(model), "--text", path(&text), "--context", "32"];
        json(&[&args[..], &["--device", "cpu", "--tier", "exact", "--json"]].concat())["perplexity"].as_f64().unwrap()
    };
    let before = perplexity(&file);
    let base = ["compress", "apply", path(&file), path(&out), "--json", "--calibrate", path(&text), "--sparsity", "0"];
    for extra in [&["--rotate", "5"][..], &["--equalize"], &["--equalize", "--rotate", "6"]] {
        for method in ["magnitude", "sparsegpt"] {
            let report = json(&[&base[..], &["--method", method], extra].concat());
            assert_eq!(report["charged_bits_per_weight"], 16.0);
            let after = perplexity(&out);
            assert!((after / before - 1.0).abs() < 1e-3, "{extra:?}: {before} {after}");
            let tensors = json(&["inspect", path(&out), "--json"])["tensors"].to_string();
            assert_eq!(tensors.contains("\"output.weight\""), extra.contains(&"--rotate"), "a turned table is untied");
        }
    }
}

#[test]
fn what_cannot_be_compressed_is_one_clear_line() {
    let file = write("errors.gguf", &model().finish().unwrap());
    let out = place("errors-out.gguf");
    let text = write("short.txt", b"too short");
    let base = ["compress", "apply", path(&file), path(&out)];
    let with = |extra: &[&'static str]| -> Vec<&str> { base.iter().copied().chain(extra.iter().copied()).collect() };
    fails(&with(&["--method", "gptq"]), "compress.calibration", "gptq needs to see");
    fails(&with(&["--method", "rtn", "--bits", "9"]), "compress.bits", "9 bits");
    fails(&with(&["--method", "rtn", "--group", "0"]), "compress.group", "0");
    fails(&with(&["--method", "magnitude", "--sparsity", "1.5"]), "compress.sparsity", "1.5");
    fails(&with(&["--method", "magnitude", "--sparsity", "half"]), "usage", "half");
    fails(&with(&["--method", "magnitude", "--sparsity", "1:18446744073709551615"]), "compress.sparsity", "rows of 32");
    fails(&with(&["--method", "global-magnitude", "--sparsity", "2:4"]), "compress.sparsity", "neighbours");
    fails(&with(&["--method", "rtn", "--damping", "-1"]), "compress.damping", "-1");
    fails(&with(&["--method", "rtn", "--context", "0"]), "usage", "0");
    let short = [&base[..], &["--method", "gptq", "--calibrate", path(&text)]].concat();
    fails(&short, "compress.calibration", "has 10 tokens, and the widest layer 64 inputs");
    let nowhere = [&base[..], &["--method", "gptq", "--calibrate", "/nowhere/a.txt"]].concat();
    fails(&nowhere, "compress.calibration", "/nowhere/a.txt");
    fails(&["compress", "apply", path(&file), path(&file), "--method", "rtn"], "quantize.output", "the input too");
    assert!(!out.exists(), "nothing is left of what failed");

    let mut w = model();
    w.tensor("odd.weight", &[32], GgmlType::F32, vec![0; 128]);
    let odd = write("odd.gguf", &w.finish().unwrap());
    fails(&["compress", "apply", path(&odd), path(&out), "--method", "rtn"], "llama.unsupported", "odd.weight");
}

/// The model with the first weights of one matrix replaced.
fn spoilt(tensor: &str, count: usize, value: f32) -> Vec<u8> {
    let mut bytes = model().finish().unwrap();
    let gguf = pollster::block_on(Gguf::read(&MemorySource::new(bytes.clone()))).unwrap();
    let start = gguf.tensor(tensor).unwrap().offset as usize;
    let values: Vec<u8> = value.to_le_bytes().repeat(count);
    bytes[start..start + values.len()].copy_from_slice(&values);
    bytes
}

#[test]
fn damaged_and_empty_matrices_are_refused_or_stay_what_they_are() {
    const UP: &str = "blk.0.ffn_up.weight";
    let text = write("damaged.txt", "a fox".repeat(40).as_bytes());
    let out = place("damaged-out.gguf");
    // Of an earlier run.
    let _ = std::fs::remove_file(&out);
    for value in [f32::NAN, f32::INFINITY] {
        let file = write("damaged.gguf", &spoilt(UP, 1, value));
        fails(&["compress", "apply", path(&file), path(&out), "--method", "rtn"], "compress.not_a_number", UP);
        let bounds = ["compress", "bounds", path(&file), "--tensor", UP];
        fails(&bounds, "compress.not_a_number", UP);
        // What is copied is looked at too.
        let file = write("damaged.gguf", &spoilt("token_embd.weight", 1, value));
        let apply = ["compress", "apply", path(&file), path(&out), "--method", "rtn"];
        fails(&apply, "weights.not_a_number", "token_embd.weight");
        assert!(!out.exists());
    }
    let file = write("zeros.gguf", &spoilt(UP, 64 * 32, 0.0));
    for method in ["rtn", "gptq", "one-opt", "magnitude", "magnitude-refit", "sparsegpt", "joint"] {
        let args = ["compress", "apply", path(&file), path(&out), "--method", method, "--calibrate", path(&text)];
        let report = json(&[&args[..], &["--json"]].concat());
        let up = report["layers"].as_array().unwrap().iter().find(|layer| layer["name"] == UP).unwrap();
        assert_eq!((&up["zeros"], &up["weight_snr_db"]), (&1.0.into(), &Json::Null), "{method}");
        let said = String::from_utf8(common::lantern(&args, b"").stdout).unwrap();
        assert!(!said.contains("NaN"), "{said}");
        // The layer behind it sees nothing but zeros: its weights count alike.
        let down = report["layers"].as_array().unwrap().iter().find(|layer| layer["name"] == "blk.0.ffn_down.weight");
        assert!(down.unwrap()["output_snr_db"].is_null() && down.unwrap()["weight_snr_db"].as_f64().unwrap() > 2.0);
    }
    let found = json(&["compress", "bounds", path(&file), "--tensor", UP, "--json"]);
    assert_eq!(found["undecided"], found["pieces"].as_array().unwrap().len(), "nothing is lost by either");
}

#[test]
fn bounds_of_a_tensor_hold_and_say_who_wins() {
    let file = write("bounds.gguf", &model().finish().unwrap());
    let base = ["compress", "bounds", path(&file), "--tensor", "blk.0.ffn_down.weight", "--json"];
    let found = json(&[&base[..], &["--rows", "0,5,8-9", "--n", "16", "--pieces", "2", "--seed", "3"]].concat());
    assert_eq!(found["pieces"].as_array().unwrap().len(), 8, "{found}");
    for piece in found["pieces"].as_array().unwrap() {
        let of = |what: &str, name: &str| piece[what][name].as_f64().unwrap();
        let q = |name: &str| of("quantization_snr_db", name);
        let p = |name: &str| of("pruning_snr_db", name);
        assert!(q("rtn") <= q("exact") + 1e-6 && q("gptq") <= q("exact") + 1e-6 && q("exact") <= q("dual") + 1e-6);
        assert!(p("magnitude") <= p("exact") + 1e-6 && p("obs") <= p("exact") + 1e-6);
        assert_eq!(piece["winner"], "quantization", "weights are nearly Gaussian");
    }
    assert_eq!(found["quantization_wins"], 8);
    // The same seed, the same numbers.
    let again = json(&[&base[..], &["--rows", "5", "--n", "16", "--seed", "3"]].concat());
    assert_eq!(again["pieces"][0]["energy"], found["pieces"][2]["energy"]);
    // Real inputs.
    let text = write("bounds.txt", "the quick brown fox jumps over the lazy dog".repeat(8).as_bytes());
    let real = json(&[&base[..], &["--rows", "1", "--calibrate", path(&text)]].concat());
    assert_eq!((&real["inputs"], real["pieces"].as_array().unwrap().len()), (&"text".into(), 1));
    let mut w = SafetensorsWriter::new();
    let values: Vec<f32> = (0..128).map(|i| (i as f32 * 0.37).sin() + (i as f32 * 0.11).cos()).collect();
    w.tensor_f32("w", &[4, 32], &SafeDtype::F32, &values).unwrap();
    let safe = write("bounds.safetensors", &w.finish());
    let found = json(&["compress", "bounds", path(&safe), "--tensor", "w", "--n", "24", "--bits", "3", "--json"]);
    assert_eq!((&found["n"], found["pieces"].as_array().unwrap().len()), (&24.into(), 4));
    let plain = common::lantern(&base[..5], b"");
    assert!(String::from_utf8(plain.stdout).unwrap().contains("quantization provably wins"));

    // No time to search: what is proven all the same, and how far it is from what was found.
    let cut = common::lantern(&[&base[..5], &["--n", "32", "--max-seconds", "0"]].concat(), b"");
    let cut = String::from_utf8(cut.stdout).unwrap();
    assert!(cut.contains("8 of 8 searches for the best quantization met their limit"), "{cut}");
    let cut = json(&[&base[..], &["--rows", "1", "--n", "32", "--max-seconds", "0"]].concat());
    let q = &cut["pieces"][0]["quantization_snr_db"];
    let gap = q["proven"].as_f64().unwrap() - q["exact"].as_f64().unwrap();
    assert!(q["complete"] == false && gap > 0.0 && (q["gap_db"].as_f64().unwrap() - gap).abs() < 1e-6, "{q}");

    // A convolution's rows are its filters, in the file's order; and a refit that is not allowed wins nothing.
    let mut w = SafetensorsWriter::new();
    w.tensor_f32("conv", &[4, 8, 2, 2], &SafeDtype::F32, &values).unwrap();
    let conv = write("bounds-conv.safetensors", &w.finish());
    for refit in ["none", "free", "box"] {
        let args = ["compress", "bounds", path(&conv), "--tensor", "conv", "--bits", "2", "--refit", refit, "--json"];
        let found = json(&args);
        assert_eq!(found["pieces"].as_array().unwrap().len(), 4);
        for piece in found["pieces"].as_array().unwrap().iter().filter(|p| p["winner"] == "quantization") {
            let (q, p) = (&piece["quantization_snr_db"], &piece["pruning_snr_db"]);
            let best = ["rtn", "gptq", "one_opt", "sampled", "scale_search"].map(|name| q[name].as_f64().unwrap());
            let best = best.into_iter().fold(0.0, f64::max);
            assert!(best > p["proven"].as_f64().unwrap() && best > p["magnitude"].as_f64().unwrap(), "{piece}");
        }
    }

    let other = |extra: &[&'static str]| -> Vec<&str> { base.iter().copied().chain(extra.iter().copied()).collect() };
    fails(&other(&["--rows", "32"]), "compress.size", "row 32");
    fails(&other(&["--rows", "a-b"]), "usage", "a-b");
    fails(&other(&["--max-seconds", "soon"]), "usage", "soon");
    fails(&other(&["--n", "0"]), "compress.size", "0 inputs");
    fails(&other(&["--n", "65"]), "compress.size", "65 inputs");
    fails(&other(&["--bits", "1"]), "compress.bits", "1 bits");
    fails(&["compress", "bounds", path(&file), "--tensor", "nothing"], "compress.tensor", "nothing");
    fails(&["compress", "bounds", path(&file), "--tensor", "output_norm.weight"], "compress.tensor", "no matrix");
}
