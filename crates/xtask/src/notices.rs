//! The list of other people's crates in what a visitor downloads, kept in THIRD-PARTY.md between two marks.

use crate::process::{command, output};
use crate::root;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;

const BEGIN: &str = "<!-- crates: written by `cargo xtask notices` -->\n";
const END: &str = "<!-- end of crates -->\n";

pub fn write() -> Result<()> {
    let (path, old) = read()?;
    std::fs::write(path, renewed(&old, &table()?)?)?;
    Ok(())
}

pub fn check() -> Result<()> {
    let (_, old) = read()?;
    if renewed(&old, &table()?)? != old {
        bail!("THIRD-PARTY.md does not list the crates of the engine as they are now: run `cargo xtask notices`");
    }
    Ok(())
}

fn read() -> Result<(PathBuf, String)> {
    let path = root().join("THIRD-PARTY.md");
    let text = std::fs::read_to_string(&path).context("THIRD-PARTY.md")?;
    Ok((path, text))
}

fn renewed(old: &str, table: &str) -> Result<String> {
    let (head, rest) = old.split_once(BEGIN).context("THIRD-PARTY.md has lost its first mark")?;
    let (_, tail) = rest.split_once(END).context("THIRD-PARTY.md has lost its second mark")?;
    Ok(format!("{head}{BEGIN}{table}{END}{tail}"))
}

/// Without versions: the list changes when a crate comes or goes, not with every update.
fn table() -> Result<String> {
    let mut tree = command("cargo");
    tree.args([
        "tree",
        "--package",
        "lantern-web",
        "--target",
        "wasm32-unknown-unknown",
        "--edges",
        "normal,no-proc-macro",
    ]);
    tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}|{r}"]);
    let lines = String::from_utf8(output(&mut tree)?)?;
    let mut crates = BTreeMap::new();
    for line in lines.lines() {
        let [package, licence, link] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        let name = package.split(' ').next().unwrap_or_default();
        if !name.starts_with("lantern-") {
            crates.insert(name.to_owned(), (licence.replace('/', " OR "), link.trim_end_matches(" (*)").to_owned()));
        }
    }
    let rows = crates.iter().map(|(name, (licence, link))| format!("| [{name}]({link}) | {licence} |\n"));
    Ok(format!("| crate | licence |\n| --- | --- |\n{}", rows.collect::<String>()))
}
