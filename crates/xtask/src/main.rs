//! `cargo xtask …`: set-up, build, serve, test and measure. Everything a fresh machine with rustup needs starts here.

mod bench;
mod bench_chat;
mod bench_compress;
mod bench_conv;
mod bench_products;
mod counts;
mod drivers;
mod model;
mod native;
mod notices;
mod onnx;
mod pages;
mod process;
mod serve;
mod setup;
// The description of the stacks that `bench conv` compares engines on, shared with the engine's side by its text.
#[path = "../../bench/src/spec.rs"]
mod stack;
mod test;
mod verify;
mod web;

use anyhow::{Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  serve [--port N]   set up, build, and serve the site on localhost (only cargo is needed)
  build              expand the pages into www/, build their WebAssembly into www/wasm/ and print its sizes
  model NAME         fetch a published chat model into www/models/, which the site then offers first: smollm2-135m
  test [--quick]     set up and run every test and lint; --quick: format and native tests only
  verify --full      the comparisons that are too large for the tests, and keep the raw record
  notices            renew the list of crates in THIRD-PARTY.md
  bench page         time the first token after a cold load from localhost, and keep the raw record
  bench conv [STACK…]  our convolutions beside onnxruntime-web's in one browser, and keep the raw record; without a
                     name all stacks of benches/stacks.json
  bench chat [TYPE…] Llamas of random weights beside wllama's in one browser, and keep the raw record; without a type
                     several
  bench compress     the compression library's theory and layers, natively and as WebAssembly, and keep the raw record
  bench products     the processor's products with weights of every type, natively and as WebAssembly, and keep the raw record
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve"] => serve::main(None)?,
        ["serve", "--port", port] => {
            let port = port.parse().map_err(|_| anyhow!("--port takes a number from 0 to 65535, not \"{port}\""))?;
            serve::main(Some(port))?;
        }
        ["build"] => web::build()?.print(),
        ["model", name] => model::main(name)?,
        ["model"] => bail!("name the model to fetch: one of {}", model::names()),
        ["test"] => return test::main(false),
        ["test", "--quick"] => return test::main(true),
        ["notices"] => notices::write()?,
        ["verify", "--full"] => verify::full()?,
        ["bench", "page"] => bench::page()?,
        ["bench", "conv", stacks @ ..] => bench_conv::conv(stacks)?,
        ["bench", "chat", types @ ..] => bench_chat::chat(types)?,
        ["bench", "compress"] => bench_compress::compress()?,
        ["bench", "products"] => bench_products::products()?,
        [] | ["help" | "--help" | "-h"] => print!("{USAGE}"),
        other => bail!("no such command: {}\n\n{USAGE}", other.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The repository's root: xtask is always run from this checkout by the alias in `.cargo/config.toml`.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// Cargo's own output folder; tools, driver lists and reports go there too. Ignored by git.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |given| root().join(given))
}
