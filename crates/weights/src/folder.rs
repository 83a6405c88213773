//! Models on disk: a file, the list of a model's shards, or a folder that holds one model.

use std::path::{Path, PathBuf};

use crate::{FileSource, ModelIndex, ShardIndex, lacks};
use lantern_graph::{Error, Result};

/// What a part's weights are called in a folder that holds nothing else: diffusers' name, and transformers'.
const USUAL: [&str; 2] = ["diffusion_pytorch_model", "model"];

/// The files that `path` stands for, to be opened together: a file is itself; a list of shards brings them with it; of a folder,
/// those that hold its one model. None of them is read but a list.
///
/// # Errors
/// `source.open`; `safetensors.index`, `safetensors.split` for a list whose shards are not beside it; `model.folder` for a folder
/// without weights, or with several models' of which no name says which is meant.
pub async fn model_files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        return Box::pin(model_files(&chosen(path)?)).await;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !ShardIndex::is_named(&name) {
        return Ok(vec![path.to_owned()]);
    }
    let index = ShardIndex::read(&FileSource::open(path)?).await?;
    let missing: Vec<&str> =
        index.files().iter().map(String::as_str).filter(|file| !path.with_file_name(file).is_file()).collect();
    if !missing.is_empty() {
        return Err(lacks(&path.display().to_string(), &missing, index.files().len()));
    }
    Ok([path.to_owned()].into_iter().chain(index.files().iter().map(|file| path.with_file_name(file))).collect())
}

/// The description of a folder's parts; `None` where there is none.
///
/// # Errors
/// `model.index`; `source.open` for a file that may not be read.
pub fn model_index(folder: &Path) -> Result<Option<ModelIndex>> {
    let path = folder.join(ModelIndex::FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    ModelIndex::parse(&text).map(Some)
}

/// The file, or the list of shards, that holds a folder's model.
fn chosen(folder: &Path) -> Result<PathBuf> {
    let listed = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let names = listed.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.path().is_file().then(|| entry.file_name().to_string_lossy().into_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    let there = |name: &str| names.iter().any(|other| other == name).then(|| folder.join(name));
    for usual in USUAL {
        let list = format!("{usual}.safetensors.index.json");
        if let Some(path) = there(&format!("{usual}.safetensors")).or_else(|| there(&list)) {
            return Ok(path);
        }
    }
    let lists: Vec<&String> = names.iter().filter(|name| ShardIndex::is_named(name)).collect();
    let files: Vec<&String> = names.iter().filter(|name| name.ends_with(".safetensors")).collect();
    match (&lists[..], &files[..]) {
        ([only], _) | ([], [only]) => Ok(folder.join(only)),
        ([], []) => {
            let pickled =
                names.iter().find(|name| [".bin", ".ckpt", ".pt", ".pth"].iter().any(|end| name.ends_with(end)));
            let remedy = match pickled {
                Some(_) => "get the model as safetensors: its present files can run code when opened",
                None => "give the folder that holds the model's .safetensors files, or a file",
            };
            Err(unfit(folder, "0 safetensors files", remedy))
        }
        _ => {
            let all: Vec<&str> = lists.iter().chain(&files).take(5).map(|name| name.as_str()).collect();
            let why =
                format!("{} safetensors files, and none of a name that says which: {}", files.len(), all.join(", "));
            Err(unfit(folder, &why, "give the file that is meant"))
        }
    }
}

fn unfit(folder: &Path, why: &str, remedy: &str) -> Error {
    Error::new("model.folder", format!("{}: {why}", folder.display()), remedy)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new("source.open", format!("{}: {error}", path.display()), "give the path of a file you may read")
}
