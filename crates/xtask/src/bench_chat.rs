//! `cargo xtask bench chat`: our engine and llama.cpp's WebAssembly (wllama) on equal Llamas of random weights, in one browser,
//! in turns.
//!
//! The raw record goes to `benches/record/<machine>/<date>-chat.json`. Of random weights no answer is right: the engines' texts
//! are in the record, and that each is as long as was asked is checked.

use crate::process::{command, output, run};
use crate::serve::Site;
use crate::{bench, root, setup, target_dir, web};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::process::Command;

/// Shape, as `lantern bench chat` takes it, and types. Their rows are whole blocks of 256, which K types have. The graphics
/// adapter gets the first type alone: in software it takes minutes.
const MODELS: [(&str, &[&str]); 1] = [("256/768/6/8:4/32000", &["q4_0", "q8_0", "q4_1", "q4_k", "f16"])];

const PROMPT_TOKENS: usize = 32;
const TOKENS: usize = 16;
const RUNS: usize = 3;

/// `only`: types; empty for all.
pub fn chat(only: &[&str]) -> Result<()> {
    let known: Vec<&str> = MODELS.iter().flat_map(|(_, types)| types.iter().copied()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(*name)) {
        bail!("bench chat has no type {unknown}; it has {}", known.join(", "));
    }
    let chromium = setup::chromium()?;
    setup::npm_packages()?;
    let files = target_dir().join("peers").join("models");
    std::fs::create_dir_all(&files)?;
    let mut models = Vec::new();
    for (shape, types) in MODELS {
        let vocab: usize = shape.rsplit('/').next().unwrap_or_default().parse().context("a shape's vocabulary")?;
        for name in types.iter().filter(|name| only.is_empty() || only.contains(*name)) {
            let file = format!("{}-{name}.gguf", shape.replace(['/', ':'], "-"));
            let mut lantern = command("cargo");
            lantern
                .args(["run", "--quiet", "--bin", "lantern", "--", "bench", "chat", "--shape", shape, "--type", name]);
            run(lantern.arg("--save").arg(files.join(&file)))?;
            let bytes = std::fs::metadata(files.join(&file))?.len();
            models.push(json!({"name": shape, "type": name, "file": file, "bytes": bytes, "vocab": vocab, "on_gpu": *name == types[0]}));
        }
    }
    let sizes = web::build()?;
    let wllama = root().join("tests/node_modules/@wllama/wllama");
    let manifest: Value = serde_json::from_slice(&std::fs::read(wllama.join("package.json"))?)?;
    let site = Site::with(0, &[("/bench/models", &files), ("/bench/wllama", &wllama.join("esm"))])?;
    let asked = json!({"models": models, "prompt_tokens": PROMPT_TOKENS, "tokens": TOKENS, "runs": RUNS});
    let mut node = Command::new("node");
    node.arg("browser/bench-chat.mjs").current_dir(root().join("tests"));
    node.env("LANTERN_URL", &site.url).env("CHROMIUM", chromium).env("BENCH_CHAT", asked.to_string());
    let mut record: Value = serde_json::from_slice(&output(&mut node)?).context("the browser's measurements")?;
    record["wllama"] = manifest["version"].clone();
    record["wasm_gz_bytes"] = sizes.wasm_gz_bytes.into();
    complete(&mut record);
    print(&record);
    let unequal = unequal(&record);
    if !unequal.is_empty() {
        bail!("what was done is not the same: {}", unequal.join(", "));
    }
    // Some of the types are no record.
    if only.is_empty() { bench::keep(&record, "chat") } else { Ok(()) }
}

const COMPARED: [(&str, &str); 4] = [
    ("lantern cpu 1", "wllama 1"),
    ("lantern cpu 2", "wllama 2"),
    ("lantern gpu software", "wllama 1"),
    ("lantern gpu core", "wllama 1"),
];

/// Adds how many times as fast ours are.
fn complete(record: &mut Value) {
    for entry in record["models"].as_array_mut().into_iter().flatten() {
        for phase in ["prefill", "decode"] {
            let ms = |name: &str| entry["peers"][name][format!("{phase}_ms")].as_f64();
            let mut ratios = serde_json::Map::new();
            for (ours, theirs) in COMPARED {
                if let (Some(ours_ms), Some(theirs_ms)) = (ms(ours), ms(theirs)) {
                    ratios.insert(format!("{ours} over {theirs}"), (theirs_ms / ours_ms).into());
                }
            }
            entry[format!("{phase}_times_faster")] = ratios.into();
        }
    }
}

/// Engines that did not read the same prompt, or did not answer to the last token.
fn unequal(record: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for entry in record["models"].as_array().into_iter().flatten() {
        for (name, peer) in entry["peers"].as_object().into_iter().flatten() {
            let at = format!("{name} on {}", entry["type"].as_str().unwrap_or_default());
            if let Some(failure) = peer["failed"].as_str() {
                found.push(format!("{at} failed: {failure}"));
            } else if peer["whole"] != true {
                found.push(format!("{at} gave {} tokens", peer["tokens"]));
            }
        }
    }
    found
}

fn print(record: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!("\n{}, wllama {}", text(&record["browser"]), text(&record["wllama"]));
    for entry in record["models"].as_array().into_iter().flatten() {
        let megabytes = entry["bytes"].as_f64().unwrap_or(f64::NAN) / 1e6;
        println!("\n{} {}, {megabytes:.1} MB", text(&entry["name"]), text(&entry["type"]));
        println!("  {:<24} {:>12} {:>12} {:>12} {:>11}", "", "prefill ms", "ms a token", "tokens/s", "dispatches");
        for (name, peer) in entry["peers"].as_object().into_iter().flatten() {
            let number = |field: &str| peer[field].as_f64().unwrap_or(f64::NAN);
            println!(
                "  {name:<24} {:>12.1} {:>12.2} {:>12.1} {:>11}",
                number("prefill_ms"),
                number("decode_ms"),
                number("tokens_per_s"),
                peer["dispatches"].as_u64().map_or(String::new(), |n| n.to_string()),
            );
        }
        for phase in ["prefill", "decode"] {
            for (name, ratio) in entry[format!("{phase}_times_faster")].as_object().into_iter().flatten() {
                println!("  {phase}: {name}: {:.2} times as fast", ratio.as_f64().unwrap_or(f64::NAN));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{complete, unequal};
    use serde_json::json;

    #[test]
    fn ratios_are_theirs_over_ours_and_an_answer_that_is_short_or_missing_is_named() {
        let peers = json!({
            "lantern cpu 1": {"prefill_ms": 10.0, "decode_ms": 2.0, "whole": true},
            "wllama 1": {"prefill_ms": 5.0, "decode_ms": 3.0, "whole": false, "tokens": 3},
            "wllama 2": {"failed": "no threads"},
        });
        let mut record = json!({"models": [{"type": "q4_0", "peers": peers}]});
        complete(&mut record);
        assert_eq!(record["models"][0]["decode_times_faster"], json!({"lantern cpu 1 over wllama 1": 1.5}));
        assert_eq!(record["models"][0]["prefill_times_faster"], json!({"lantern cpu 1 over wllama 1": 0.5}));
        assert_eq!(unequal(&record), ["wllama 1 on q4_0 gave 3 tokens", "wllama 2 on q4_0 failed: no threads"]);
    }
}
