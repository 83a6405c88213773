//! `lantern compress`, as typed.

mod common;

use std::path::Path;
use std::process::Output;

use common::write;
use lantern_weights::{GgmlType, GgufWriter, SafeDtype, SafetensorsWriter};
use serde_json::Value as Json;

fn lantern(args: &[&str]) -> Output {
    common::lantern(&[&["compress"], args].concat(), b"")
}

fn json(args: &[&str]) -> Json {
    common::json(&[&["compress"], args].concat(), b"")
}

fn fails(args: &[&str], code: &str) {
    common::fails(&[&["compress"], args].concat(), b"", code, "");
}

fn near(json: &Json, key: &str, wanted: f64, tolerance: f64) {
    let found = json[key].as_f64().unwrap_or(f64::NAN);
    assert!((found - wanted).abs() <= tolerance, "{key}: {found}, not {wanted}");
}

#[test]
fn theory_prints_the_papers_numbers() {
    let four = json(&["theory", "--dist", "gaussian", "--bits", "4", "--json"]);
    near(&four, "quant_snr_db", 19.26, 0.02);
    near(&four, "prune_snr_db", 5.58, 0.02);
    near(&four, "step", 0.3386, 2e-4);
    near(&four, "clip", 7.0 * 0.3386, 2e-3);
    // The quartile of magnitudes from above.
    near(&four, "threshold", 1.150_35, 1e-4);
    near(&four, "kurtosis", 3.0, 1e-12);
    let odd = json(&["theory", "--dist", "gaussian", "--bits", "4", "--grid", "odd", "--json"]);
    near(&odd, "quant_snr_db", 18.90, 0.02);
    let t = json(&["theory", "--dist", "student-t", "--nu", "2", "--truncate", "29.3", "--bits", "4", "--json"]);
    near(&t, "kurtosis", 28.3, 0.3);
    near(&t, "quant_snr_db", t["prune_snr_db"].as_f64().unwrap(), 0.05);
    let all = json(&["theory", "--dist", "laplace", "--json"]);
    let widths = all["widths"].as_array().unwrap();
    assert_eq!(widths.len(), 7);
    near(&widths[6], "prune_snr_db", 14.78, 0.02);
    let joint = json(&["theory", "--dist", "gaussian", "--bits", "2", "--joint", "--json"]);
    near(&joint["joint"], "snr_db", 9.5, 0.06);
    let text = lantern(&["theory", "--dist", "uniform", "--outliers", "0.01", "--joint"]);
    assert!(text.status.success() && String::from_utf8_lossy(&text.stdout).contains("both at once"));
}

#[test]
fn crossover_prints_truncation_and_kurtosis() {
    let four = json(&["crossover", "--dist", "student-t", "--nu", "2", "--bits", "4", "--json"]);
    near(&four, "truncate", 29.3, 1.4);
    near(&four, "kurtosis", 28.3, 1.4);
    fails(&["crossover", "--dist", "student-t", "--nu", "50", "--bits", "4"], "compress.no_crossover");
    fails(&["crossover", "--dist", "gaussian", "--nu", "2", "--bits", "4"], "compress.distribution");
}

#[test]
fn what_cannot_be_computed_is_refused() {
    fails(&["theory", "--dist", "gaussian", "--bits", "9"], "compress.bits");
    fails(&["theory", "--dist", "gaussian", "--bits", "0"], "compress.bits");
    fails(&["theory", "--dist", "gaussian", "--nu", "2"], "compress.distribution");
    fails(&["theory", "--dist", "student-t"], "compress.distribution");
    fails(&["theory", "--dist", "student-t", "--nu", "2"], "compress.distribution");
    fails(&["theory", "--dist", "student-t", "--nu", "-2", "--truncate", "3"], "compress.distribution");
    fails(&["theory", "--dist", "laplace", "--outliers", "2"], "compress.distribution");
    fails(&["crossover", "--nu", "2", "--bits", "1"], "compress.bits");
    fails(&["layers", "no-such-file.gguf"], "source.open");
    fails(&["layers", path(&write("compress-not-a-model.gguf", b"hello there")), "--json"], "gguf.magic");
    assert_eq!(lantern(&["theory", "--dist", "cauchy"]).status.code(), Some(2));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Quantiles of a distribution in a scrambled order: no luck of draws.
fn scrambled(n: usize, quantile: impl Fn(f64) -> f64) -> Vec<f32> {
    (0..n).map(|i| quantile(((i * 7919 % n) as f64 + 0.5) / n as f64) as f32).collect()
}

#[test]
fn layers_compares_a_file_and_lists_what_it_cannot() {
    // 7919 is prime to both numbers of values.
    let flat = scrambled(64 * 64, |p| 2.0 * p - 1.0);
    // Cauchy's quantiles, to ±1300.
    let heavy = scrambled(64 * 64, |p| (std::f64::consts::PI * (p - 0.5)).tan());
    let mut nan = flat.clone();
    nan[17] = f32::NAN;
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut writer = SafetensorsWriter::new();
    writer.tensor("flat", &[64, 64], &SafeDtype::F32, &bytes(&flat));
    writer.tensor("heavy", &[64, 64], &SafeDtype::F32, &bytes(&heavy));
    writer.tensor("nan", &[64, 64], &SafeDtype::F32, &bytes(&nan));
    writer.tensor("zero", &[64], &SafeDtype::F16, &[0; 128]);
    let file = write("compress-layers.safetensors", &writer.finish());
    let found = json(&["layers", path(&file), "--bits", "4", "--json"]);
    let tensors = found["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 2);
    assert_eq!((tensors[0]["name"].as_str(), tensors[0]["winner"].as_str()), (Some("flat"), Some("quantization")));
    near(&tensors[0], "quant_snr_db", 23.52, 0.02);
    near(&tensors[0], "prune_snr_db", 3.75, 0.02);
    near(&tensors[0], "kurtosis", 1.8, 1e-3);
    assert_eq!(tensors[0]["shape"], serde_json::json!([64, 64]));
    assert_eq!(tensors[1]["winner"], "pruning");
    near(&found, "win_rate", 0.5, 0.0);
    let skipped: Vec<_> = found["skipped"].as_array().unwrap().iter().map(|s| s["code"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["compress.not_a_number", "compress.all_zero"]);
    // A charge makes pruning worse, and all widths come where none is named.
    let charged = json(&["layers", path(&file), "--charge", "bitmap", "--json"]);
    let pruned = |found: &Json| found["tensors"][1]["prune_snr_db"].as_f64().unwrap();
    assert!(pruned(&charged) < pruned(&found) && charged["bits"] == 4);
    assert_eq!(charged["tensors"][0]["widths"].as_array().unwrap().len(), 7);
    fails(&["layers", path(&file), "--bits", "12"], "compress.bits");

    let mut writer = GgufWriter::new(3);
    writer.tensor_f32("w", &[64, 64], GgmlType::Q8_0, &flat).unwrap();
    let file = write("compress-layers.gguf", &writer.finish().unwrap());
    let text = lantern(&["layers", path(&file)]);
    let said = String::from_utf8_lossy(&text.stdout);
    assert!(text.status.success() && said.contains("no evidence: 1 of them") && said.contains("wins 1 of 1"), "{said}");
}
