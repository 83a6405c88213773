//! `cargo xtask bench conv`: our engine and onnxruntime-web on equal stacks of convolutions, in one browser, in turns.
//!
//! The raw record goes to `benches/record/<machine>/<date>-conv.json`. A stack whose results part fails the benchmark:
//! times of unequal work are not compared.

use crate::process::{output, run};
use crate::serve::Site;
use crate::stack::Stack;
use crate::{bench, onnx, root, setup, target_dir, web};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What we are compared with.
const ONNXRUNTIME_WEB: &str = "1.30.0";

/// Largest difference between two engines' results, over the largest value. Sums of up to 5760 products in f32, in another
/// order, through up to six layers: 1e-5 is usual.
const LARGEST_DIFFERENCE: f64 = 1e-3;

/// `only`: names of stacks; empty for all.
pub fn conv(only: &[&str]) -> Result<()> {
    let stacks = stacks(only)?;
    let chromium = setup::chromium()?;
    setup::npm_packages()?;
    let peer = onnxruntime_web()?;
    let files = target_dir().join("peers").join("stacks");
    std::fs::create_dir_all(&files)?;
    for stack in &stacks {
        std::fs::write(files.join(format!("{}.onnx", stack.name)), onnx::model(stack)?)?;
        let picture: Vec<u8> = stack.picture().iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(files.join(format!("{}.f32", stack.name)), picture)?;
    }
    std::fs::write(files.join("stacks.json"), serde_json::to_vec(&stacks)?)?;
    let engine = target_dir().join("peers").join("engine");
    let sizes = web::build_with_benchmarks(&engine)?;
    let site = Site::with(0, &[("/bench/engine", &engine), ("/bench/onnxruntime", &peer), ("/bench/stacks", &files)])?;
    let mut node = Command::new("node");
    node.arg("browser/bench-conv.mjs").current_dir(root().join("tests"));
    node.env("LANTERN_URL", &site.url).env("CHROMIUM", chromium);
    let mut record: Value = serde_json::from_slice(&output(&mut node)?).context("the browser's measurements")?;
    record["onnxruntime_web"] = ONNXRUNTIME_WEB.into();
    record["wasm_gz_bytes"] = sizes.wasm_gz_bytes.into();
    complete(&mut record, &stacks)?;
    print(&record);
    let differing = differing(&record);
    if !differing.is_empty() {
        bail!("the engines' results part by more than {LARGEST_DIFFERENCE}: {}", differing.join(", "));
    }
    // Some of the stacks are no record.
    if only.is_empty() { bench::keep(&record, "conv") } else { Ok(()) }
}

fn stacks(only: &[&str]) -> Result<Vec<Stack>> {
    let path = root().join("benches").join("stacks.json");
    let stacks: Vec<Stack> = serde_json::from_slice(&std::fs::read(path)?).context("benches/stacks.json")?;
    if let Some(name) = only.iter().find(|name| stacks.iter().all(|stack| stack.name != **name)) {
        let names: Vec<&str> = stacks.iter().map(|stack| &*stack.name).collect();
        bail!("benches/stacks.json has no stack {name}; it has {}", names.join(", "));
    }
    Ok(stacks.into_iter().filter(|stack| only.is_empty() || only.contains(&&*stack.name)).collect())
}

/// The folder of its files, fetched once. Neither in the repository nor among the tests' packages.
fn onnxruntime_web() -> Result<PathBuf> {
    let peers = target_dir().join("peers");
    let package = peers.join("node_modules").join("onnxruntime-web");
    let manifest = || std::fs::read(package.join("package.json")).ok();
    let installed =
        |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).is_ok_and(|m| m["version"] == ONNXRUNTIME_WEB);
    if !manifest().is_some_and(installed) {
        std::fs::create_dir_all(&peers)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]).arg(&peers);
        run(npm.arg(format!("onnxruntime-web@{ONNXRUNTIME_WEB}")))?;
    }
    Ok(package.join("dist"))
}

/// Adds what follows from the stacks: work, working sets, rates, shares, ratios.
fn complete(record: &mut Value, stacks: &[Stack]) -> Result<()> {
    for (entry, stack) in record["stacks"].as_array_mut().into_iter().flatten().zip(stacks) {
        let wrong = |cause: String| anyhow!(cause);
        let flops = stack.flops().map_err(wrong)?;
        let shapes = stack.shapes().map_err(wrong)?;
        entry["about"] = stack.about.clone().into();
        entry["layers"] = serde_json::to_value(&stack.layers)?;
        entry["shapes"] = json!(shapes);
        entry["mflop"] = (flops as f64 / 1e6).into();
        entry["working_set_bytes"] = stack.working_set_bytes().map_err(wrong)?.into();
        let fma_gflop_per_s = entry["fma_gflop_per_s"].as_f64();
        let Some(peers) = entry["peers"].as_object_mut() else { continue };
        for (name, peer) in peers.iter_mut() {
            let rate = flops as f64 / peer["median_ms"].as_f64().unwrap_or(f64::NAN) / 1e6;
            peer["gflop_per_s"] = rate.into();
            // The limit was measured on the graphics adapter.
            if let (Some(limit), true) = (fma_gflop_per_s, name.contains("gpu")) {
                peer["of_fma"] = (rate / limit).into();
            }
        }
        let ms = |name: &str| peers.get(name).and_then(|peer| peer["median_ms"].as_f64());
        let mut ratios = serde_json::Map::new();
        for (ours, theirs) in COMPARED {
            if let (Some(ours_ms), Some(theirs_ms)) = (ms(ours), ms(theirs)) {
                ratios.insert(format!("{ours} over {theirs}"), (theirs_ms / ours_ms).into());
            }
        }
        entry["times_faster"] = ratios.into();
    }
    Ok(())
}

const COMPARED: [(&str, &str); 3] = [
    ("lantern gpu software", "onnxruntime webgpu"),
    ("lantern gpu core", "onnxruntime webgpu"),
    ("lantern cpu fast", "onnxruntime wasm"),
];

fn differing(record: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for entry in record["stacks"].as_array().into_iter().flatten() {
        for (name, peer) in entry["peers"].as_object().into_iter().flatten() {
            let difference = peer["difference"].as_f64();
            // What is missing differs too.
            if difference.is_none_or(|d| d.is_nan() || d >= LARGEST_DIFFERENCE) {
                let stack = entry["name"].as_str().unwrap_or_default();
                found.push(format!("{name} on {stack} by {}", difference.unwrap_or(f64::NAN)));
            }
        }
    }
    found
}

fn print(record: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!("\n{}, {}", text(&record["adapter"]), text(&record["browser"]));
    println!("device=auto takes {}", text(&record["auto"]));
    for entry in record["stacks"].as_array().into_iter().flatten() {
        let number = |field: &str| entry[field].as_f64().unwrap_or(f64::NAN);
        println!("\n{}: {}", text(&entry["name"]), text(&entry["about"]));
        println!(
            "  {:.1} MFLOP, working set {:.2} MB; multiplies and adds in registers {:.2} GFLOP/s",
            number("mflop"),
            number("working_set_bytes") / 1e6,
            number("fma_gflop_per_s"),
        );
        println!(
            "  {:<24} {:>9} {:>9} {:>6} {:>11} {:>9} {:>10}",
            "", "ms", "GFLOP/s", "share", "dispatches", "MB bound", "difference"
        );
        for (name, peer) in entry["peers"].as_object().into_iter().flatten() {
            let number = |field: &str| peer[field].as_f64();
            let share = number("of_fma").map_or(String::new(), |s| format!("{:.0}%", s * 100.0));
            let counted = |field: &str| peer["counts"][field].as_f64();
            println!(
                "  {name:<24} {:>9.1} {:>9.3} {share:>6} {:>11} {:>9} {:>10.1e}",
                number("median_ms").unwrap_or(f64::NAN),
                number("gflop_per_s").unwrap_or(f64::NAN),
                counted("dispatches").map_or(String::new(), |n| format!("{n}")),
                counted("bound_bytes").map_or(String::new(), |n| format!("{:.1}", n / 1e6)),
                number("difference").unwrap_or(f64::NAN),
            );
        }
        for (name, ratio) in entry["times_faster"].as_object().into_iter().flatten() {
            println!("  {name}: {:.2} times as fast", ratio.as_f64().unwrap_or(f64::NAN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{differing, stacks};
    use crate::onnx;
    use serde_json::json;

    #[test]
    fn every_stack_fits_together_and_takes_what_a_software_adapter_can_do_in_seconds() {
        for stack in stacks(&[]).expect("benches/stacks.json") {
            let mflop = stack.flops().expect("it fits together") / 1_000_000;
            assert!((10..=150).contains(&mflop), "{} is {mflop} MFLOP", stack.name);
            let file = onnx::model(&stack).expect("it fits together");
            let parameters = stack.parameters().expect("it fits together");
            let bytes: usize = parameters.iter().map(|p| p.shape.iter().product::<usize>() * 4).sum();
            assert!(file.len() > bytes, "{}: {} bytes for {bytes} of weights", stack.name, file.len());
        }
    }

    #[test]
    fn a_result_that_parts_or_is_missing_is_named() {
        let peers = json!({"a": {"difference": 1e-5}, "b": {"difference": 0.5}, "c": {}, "d": {"difference": null}});
        let named = differing(&json!({"stacks": [{"name": "s", "peers": peers}]}));
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named[0].starts_with("b on s by 0.5"), "{named:?}");
    }
}
