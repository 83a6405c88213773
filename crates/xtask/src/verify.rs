//! What is too large for the tests: ten minutes of work, gigabytes of memory. By hand, not in CI.

use crate::bench::keep;
use crate::process::{output, run_lines};
use crate::root;
use crate::test::cargo_test;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Ignored tests by file and name. The last line of each that starts with `record: ` is JSON.
const FULL: [[&str; 2]; 1] = [["autoencoder_kl", "stable_diffusions_shapes_at_512"]];

/// Runs them all and keeps what they measured.
pub fn full() -> Result<()> {
    let mut node = Command::new("node");
    node.args(["-e", "import('./browser/machine.mjs').then(({ machine }) => console.log(JSON.stringify(machine())))"]);
    let measured_on = output(node.current_dir(root().join("tests")))?;
    let mut record: serde_json::Value = serde_json::from_slice(&measured_on).context("the machine's description")?;
    for [file, name] in FULL {
        let mut test = cargo_test();
        test.args(["--test", file, "--", name]);
        test.args(["--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        let mut said = None;
        let held = run_lines(&mut test, |line| {
            if let Some((_, json)) = line.split_once("record: ") {
                said = Some(json.to_owned());
            }
        })?;
        let said = said.with_context(|| format!("{name} wrote no record"))?;
        record[name] = serde_json::from_str(&said).with_context(|| format!("the record of {name}"))?;
        if !held {
            bail!("{name} does not hold: {said}");
        }
    }
    keep(&record, "verify")
}
