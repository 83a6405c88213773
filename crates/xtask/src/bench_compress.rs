//! `cargo xtask bench compress`: the compression library's speed, natively and as WebAssembly, in one run.
//!
//! The raw record goes to `benches/record/<machine>/<date>-compress.json`.

use crate::process::{command, output, run};
use crate::{bench, root, setup, target_dir};
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::path::Path;
use std::process::Command;

/// Milliseconds of WebAssembly on one core that the work is meant to stay below, by how its name begins.
const AIMS: [(&str, f64); 2] = [("curves of", 10.0), ("layers of", 1000.0)];

pub fn compress() -> Result<()> {
    setup::wasm_target()?;
    const TARGET: &str = "wasm32-unknown-unknown";
    let example = ["build", "--package", "lantern-compress", "--example", "wasm_bench", "--profile", "wasm"];
    run(command("cargo").args(example).args(["--target", TARGET]))?;
    run(command("cargo").args(["bench", "--package", "lantern-compress", "--bench", "compress"]))?;
    let mut node = Command::new("node");
    node.arg("browser/bench-compress.mjs").current_dir(root().join("tests"));
    let module = target_dir().join(TARGET).join("wasm").join("examples").join("wasm_bench.wasm");
    node.env("LANTERN_WASM", module);
    let mut record: Value = serde_json::from_slice(&output(&mut node)?).context("the measurements in WebAssembly")?;
    let native = native(&target_dir().join("criterion").join("compress"))?;
    println!("\n{:<44} {:>10} {:>10} {:>6} {:>8}", "milliseconds, one core", "native", "wasm", "times", "aim");
    for (name, times) in record["ms"].as_object_mut().into_iter().flatten() {
        let wasm = times["wasm"].as_f64().unwrap_or(f64::NAN);
        let native = native.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        times["native"] = native.into();
        times["times_slower"] = (wasm / native).into();
        let aim = AIMS.iter().find(|(what, _)| name.starts_with(what)).map(|(_, ms)| *ms);
        times["aim"] = aim.into();
        let aim = aim.map_or("-".into(), |ms| ms.to_string());
        println!("{name:<44} {native:>10.3} {wasm:>10.3} {:>6.2} {aim:>8}", wasm / native);
    }
    record["by"] =
        "native: criterion's medians of the release profile; wasm: medians under Node, the engine's own profile".into();
    bench::keep(&record, "compress")
}

/// Criterion's medians in milliseconds, by the names of the work: a folder each, which says the name in full.
fn native(folder: &Path) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let new = entry?.path().join("new");
        let read = |file: &str| -> Option<Value> { serde_json::from_slice(&std::fs::read(new.join(file)).ok()?).ok() };
        let (Some(about), Some(estimates)) = (read("benchmark.json"), read("estimates.json")) else { continue };
        let name = about["function_id"].as_str().unwrap_or_default().to_owned();
        let nanoseconds = estimates["median"]["point_estimate"].as_f64().unwrap_or(f64::NAN);
        found.insert(name, (nanoseconds / 1e6).into());
    }
    Ok(found)
}
