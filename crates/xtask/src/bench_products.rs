//! `cargo xtask bench products`: products with weights of every type, natively and as WebAssembly, in turns with how they were made
//! before, in one run.
//!
//! The raw record goes to `benches/record/<machine>/<date>-products.json`.

use crate::process::{command, output, run};
use crate::{bench, root, setup, target_dir};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Command;

pub fn products() -> Result<()> {
    setup::wasm_target()?;
    const TARGET: &str = "wasm32-unknown-unknown";
    let example = ["build", "--package", "lantern-cpu", "--example", "wasm_products", "--profile", "wasm"];
    run(command("cargo").args(example).args(["--target", TARGET]))?;
    // In the page there is one thread: so here.
    let mut bench = command("cargo");
    bench.args(["bench", "--package", "lantern-cpu", "--bench", "products"]).env("RAYON_NUM_THREADS", "1");
    let mut native: Value = serde_json::from_slice(&output(&mut bench)?).context("the measurements, natively")?;
    let mut node = Command::new("node");
    node.arg("browser/bench-products.mjs").current_dir(root().join("tests"));
    let module = target_dir().join(TARGET).join("wasm").join("examples").join("wasm_products.wasm");
    node.env("LANTERN_WASM", module);
    let mut record: Value = serde_json::from_slice(&output(&mut node)?).context("the measurements in WebAssembly")?;
    println!("\n{:<16} {:>26} {:>26}", "milliseconds", "native: before, now", "wasm: before, now");
    for (name, wasm) in record["ms"].as_object_mut().into_iter().flatten() {
        let mut sides = serde_json::Map::new();
        let mut line = format!("{name:<16}");
        for (side, mut times) in [("native", native[name.as_str()].take()), ("wasm", wasm.take())] {
            let ms = |when: &str| times[when].as_f64().unwrap_or(f64::NAN);
            let (before, now) = (ms("before"), ms("now"));
            line += &format!(" {before:>9.3} {now:>9.3} {:>5.2}×", before / now);
            times["times_faster"] = (before / now).into();
            sides.insert(side.into(), times);
        }
        *wasm = sides.into();
        println!("{line}");
    }
    record["by"] = "weights [2048, 1536]; least of the runs, in turns, one thread; native: the release profile; wasm: under Node, \
                    the engine's own profile"
        .into();
    bench::keep(&record, "products")
}
