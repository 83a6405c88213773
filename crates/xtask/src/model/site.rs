//! `www/models/site.json`: the models that this site has beside its embedded one, for the page to offer first. It has the form of
//! `catalogue.json`, is ignored by git, and is there from the first build on, so that no page asks for it in vain.

use super::{PUBLISHED, length, models_folder, read};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

const FILE: &str = "site.json";

/// Brings the list up to date with the files that are there.
pub fn list() -> Result<()> {
    write(&models_folder())
}

pub fn write(folder: &Path) -> Result<()> {
    let path = folder.join(FILE);
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("could not read {}", path.display())),
    };
    let mut models = Vec::new();
    let mut ours = Vec::new();
    for (_, json) in PUBLISHED {
        let model = read(json)?;
        ours.push(model.text("/id")?.to_owned());
        let [_, file] = model.members()?;
        // Its hash was found right when it got its name.
        if length(&folder.join(file.name))? == file.bytes {
            models.push(model.entry.clone());
        }
    }
    // What the site's owner has added stays.
    if let Some(old) = &old {
        let old: Value = serde_json::from_str(old).with_context(|| unreadable(&path))?;
        let old = old["models"].as_array().with_context(|| unreadable(&path))?;
        models.extend(old.iter().filter(|model| !ours.iter().any(|id| model["id"] == id.as_str())).cloned());
    }
    let text = serde_json::to_string_pretty(&json!({ "models": models }))? + "\n";
    if old.as_ref() != Some(&text) {
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

fn unreadable(path: &Path) -> String {
    format!(
        "{} is no list of models: give it the form of catalogue.json, or remove it, and it is written anew",
        path.display()
    )
}
