//! The benchmark of the page, and where the raw records of benchmarks are kept.

use crate::process::output;
use crate::serve::Site;
use crate::{root, setup, web};
use anyhow::{Context, Result};
use std::process::Command;

/// The time from navigation to the first token on the page, cold cache, from localhost; and the engine's size.
pub fn page() -> Result<()> {
    setup::chromium()?;
    setup::npm_packages()?;
    let sizes = web::build()?;
    let site = Site::start(0)?;
    let mut node = Command::new("node");
    node.arg("browser/bench.mjs").current_dir(root().join("tests"));
    node.env("LANTERN_URL", &site.url).env("CHROMIUM", setup::chromium()?);
    let measured = output(&mut node)?;
    let mut record: serde_json::Value = serde_json::from_slice(&measured).context("the browser's measurements")?;
    record["wasm_bytes"] = sizes.wasm_bytes.into();
    record["wasm_gz_bytes"] = sizes.wasm_gz_bytes.into();
    record["js_gz_bytes"] = sizes.js_gz_bytes.into();
    sizes.print();
    println!("{}", serde_json::to_string_pretty(&record)?);
    keep(&record, "page")
}

/// Writes a record that names its machine and date to `benches/record/<machine>/<date>-<what>.json`.
pub fn keep(record: &serde_json::Value, what: &str) -> Result<()> {
    let machine = record["machine"].as_str().unwrap_or("unknown");
    let date = record["date"].as_str().unwrap_or("undated");
    let folder = root().join("benches").join("record").join(machine);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{date}-{what}.json"));
    std::fs::write(&path, serde_json::to_string_pretty(record)? + "\n")?;
    println!("written to {}", path.strip_prefix(root()).unwrap_or(&path).display());
    Ok(())
}
