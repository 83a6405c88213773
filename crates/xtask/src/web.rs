//! The page's engine: `lantern-web` compiled to WebAssembly, and the JavaScript glue wasm-bindgen makes for it.

use crate::process::{command, run};
use crate::{model, pages, root, setup, target_dir};
use anyhow::{Context, Result, anyhow, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;
use wasm_bindgen_cli_support::Bindgen;

/// Wasm and glue together, gzipped: what a visitor downloads before the first token.
pub const LIMIT_GZ_BYTES: u64 = 1_500_000;

pub struct Sizes {
    pub wasm_bytes: u64,
    pub wasm_gz_bytes: u64,
    pub js_bytes: u64,
    pub js_gz_bytes: u64,
}

impl Sizes {
    pub fn total_gz_bytes(&self) -> u64 {
        self.wasm_gz_bytes + self.js_gz_bytes
    }

    pub fn print(&self) {
        println!("www/wasm/lantern_web_bg.wasm  {:>10} bytes  {:>10} gz", self.wasm_bytes, self.wasm_gz_bytes);
        println!("www/wasm/lantern_web.js       {:>10} bytes  {:>10} gz", self.js_bytes, self.js_gz_bytes);
        println!("together {} bytes gz, limit {LIMIT_GZ_BYTES}", self.total_gz_bytes());
    }
}

/// The engine that visitors download.
pub fn build() -> Result<Sizes> {
    let sizes = build_into(&root().join("www").join("wasm"), &[])?;
    model::list()?;
    pages::write()?;
    Ok(sizes)
}

/// The engine with what `bench conv` measures, in a folder of its own.
pub fn build_with_benchmarks(out: &Path) -> Result<Sizes> {
    build_into(out, &["--features", "bench"])
}

fn build_into(out: &Path, features: &[&str]) -> Result<Sizes> {
    setup::wasm_target()?;
    check_bindgen_versions()?;
    const TARGET: &str = "wasm32-unknown-unknown";
    let build = ["build", "--package", "lantern-web", "--profile", "wasm", "--target", TARGET];
    run(command("cargo").args(build).args(features))?;
    let input = target_dir().join(TARGET).join("wasm").join("lantern_web.wasm");
    Bindgen::new()
        .input_path(&input)
        .out_name("lantern_web")
        .web(true)
        .and_then(|bindgen| {
            bindgen.typescript(true).remove_name_section(true).remove_producers_section(true).generate(out)
        })
        .map_err(|error| anyhow!("wasm-bindgen on {}: {error:#}", input.display()))?;
    sizes(out)
}

fn sizes(out: &Path) -> Result<Sizes> {
    let measure = |name: &str| -> Result<(u64, u64)> {
        let path = out.join(name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        Ok((bytes.len() as u64, encoder.finish()?.len() as u64))
    };
    let (wasm_bytes, wasm_gz_bytes) = measure("lantern_web_bg.wasm")?;
    let (js_bytes, js_gz_bytes) = measure("lantern_web.js")?;
    Ok(Sizes { wasm_bytes, wasm_gz_bytes, js_bytes, js_gz_bytes })
}

/// The glue generator reads sections that the library of the same version wrote, and of no other.
fn check_bindgen_versions() -> Result<()> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let library = locked_version(&lock, "wasm-bindgen").context("Cargo.lock has no wasm-bindgen")?;
    let generator =
        locked_version(&lock, "wasm-bindgen-cli-support").context("Cargo.lock has no wasm-bindgen-cli-support")?;
    if library != generator {
        bail!(
            "wasm-bindgen is {library} and wasm-bindgen-cli-support is {generator}: they must be the same. \
             Set the version in crates/xtask/Cargo.toml to ={library}, or run `cargo update -p wasm-bindgen --precise {generator}`"
        );
    }
    Ok(())
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::locked_version;

    #[test]
    fn the_locked_version_is_that_of_the_exact_package() {
        let lock = "[[package]]\nname = \"wasm-bindgen-shared\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.7\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.7"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
