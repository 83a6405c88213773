//! What is too large for the tests: ten minutes of work, gigabytes of memory. By hand, not in CI.

use crate::bench::keep;
use crate::native::cargo_test;
use crate::process::{output, run_lines};
use crate::{model, root};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// An ignored test. Its last line that starts with `record: ` is JSON.
struct Check {
    file: &'static str,
    name: &'static str,
    /// The model it needs, as `cargo xtask model` calls it.
    model: Option<&'static str>,
}

const FULL: [Check; 3] = [
    Check { file: "autoencoder_kl", name: "stable_diffusions_shapes_at_512", model: None },
    Check {
        file: "smollm2",
        name: "a_published_models_perplexity_is_the_float64_reference_s",
        model: Some("smollm2-135m"),
    },
    Check {
        file: "smollm2",
        name: "a_published_model_answers_as_the_float64_reference_does",
        model: Some("smollm2-135m"),
    },
];

/// Runs them all and keeps what they measured. What lacks its model is not run, and says so.
pub fn full() -> Result<()> {
    let mut node = Command::new("node");
    node.args(["-e", "import('./browser/machine.mjs').then(({ machine }) => console.log(JSON.stringify(machine())))"]);
    let measured_on = output(node.current_dir(root().join("tests")))?;
    let mut record: serde_json::Value = serde_json::from_slice(&measured_on).context("the machine's description")?;
    let mut not_run = Vec::new();
    for Check { file, name, model } in FULL {
        if let Some(model) = model
            && !model::is_here(model)?
        {
            let how = format!("not run: `cargo xtask model {model}` fetches the model it needs");
            println!("{name}: {how}");
            record[name] = how.as_str().into();
            not_run.push(format!("{name}: {how}"));
            continue;
        }
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
    keep(&record, "verify")?;
    // Again at the end, where it is read.
    for line in not_run {
        println!("{line}");
    }
    Ok(())
}
