//! Sharded safetensors: a model that was cut into several files between its tensors, with a list of which tensor is in which
//! (`NAME.safetensors.index.json`, as Hugging Face's libraries write it). Read as one table of tensors.
//!
//! What must stay true: list and shards agree on every tensor, or nothing is read. A list names files beside itself and no others.

use crate::stranger::{bounded, shorten};
use crate::{ByteSource, Joined, Safetensors, split};
use lantern_graph::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// The longest list known, of a hundred thousand tensors, has a tenth of it.
const MAX_BYTES: u64 = 100_000_000;
const ENDING: &str = ".index.json";

/// The list of a model's shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    /// Bytes of all tensors, where the list says: not checked, since published lists are wrong about it.
    pub tensor_bytes: Option<u64>,
    /// A tensor's name, and the number of its file.
    tensors: BTreeMap<String, usize>,
    files: Vec<String>,
}

impl ShardIndex {
    /// Whether a file of that name is such a list.
    pub fn is_named(name: &str) -> bool {
        name.ends_with(ENDING)
    }

    /// # Errors
    /// `safetensors.index` for what is no such list, or names a file that is not beside it; the source's own.
    pub async fn read(source: &impl ByteSource) -> Result<Self> {
        let name = source.name().unwrap_or_else(|| "the list of a model's parts".into());
        if source.len() > MAX_BYTES {
            return Err(bad(&name, &format!("it has {} bytes; none is that long", source.len())));
        }
        let mut text = vec![0; source.len() as usize];
        source.read(0, &mut text).await?;
        Self::parse(&text, &name)
    }

    /// `name`: what the list is called, for messages.
    ///
    /// # Errors
    /// `safetensors.index`.
    pub fn parse(text: &[u8], name: &str) -> Result<Self> {
        let Listed { metadata, weight_map } =
            serde_json::from_slice(text).map_err(|error| bad(name, &error.to_string()))?;
        let mut files: Vec<String> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut sorted: Vec<&str> = weight_map.0.values().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.is_empty() {
            return Err(bad(name, "it lists no tensor"));
        }
        for file in sorted {
            if let Some(why) = unfit(file) {
                return Err(bad(name, &format!("{:?} {why}", shorten(file))));
            }
            numbers.insert(file, files.len());
            files.push(file.to_owned());
        }
        let tensors = weight_map.0.iter().map(|(tensor, file)| (tensor.clone(), numbers[file.as_str()])).collect();
        // Some write it with a decimal point.
        let tensor_bytes = metadata.and_then(|metadata| metadata.total_size).filter(|bytes| *bytes >= 0.0);
        Ok(Self { tensor_bytes: tensor_bytes.map(|bytes| bytes as u64), tensors, files })
    }

    /// The names of all shards, which lie beside the list, each once and in their order.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Tensors in all shards.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

/// Why a list may not name such a file.
fn unfit(file: &str) -> Option<&'static str> {
    if file.contains(['/', '\\', ':', '\0']) || file.starts_with('.') {
        return Some("is no name of a file beside it");
    }
    (!file.ends_with(".safetensors")).then_some("is no name of a safetensors file")
}

fn bad(name: &str, why: &str) -> Error {
    let remedy = "get the list again, together with its parts, from one place";
    let cause = format!("{} cannot be read as a list of parts: {}", shorten(name), bounded(why));
    Error::new("safetensors.index", cause, remedy)
}

/// A table of tensors for every model among files that were given together. A list stands for its shards, which are among them;
/// shards without a list are one table; every other file is one of its own. In the order of their first files. Tensors
/// lie where [`Joined`] has them, which reads all `sources` as one.
///
/// # Errors
/// `safetensors.index`; `safetensors.split` where shards of a list are missing; `safetensors.shard` where shards and list contradict
/// each other; what [`Safetensors::read`] says of a file, with its name where there are several; the sources' own.
pub async fn read_tables<S: ByteSource>(sources: &[S]) -> Result<Vec<Safetensors>> {
    let joined = Joined::new(sources);
    let names: Vec<String> = sources.iter().map(|source| source.name().unwrap_or_default()).collect();
    let mut taken = vec![false; sources.len()];
    let mut tables: Vec<(usize, Safetensors)> = Vec::new();
    for (at, name) in names.iter().enumerate().filter(|(_, name)| ShardIndex::is_named(name)) {
        let index = ShardIndex::read(&sources[at]).await?;
        let shards = find(&index, name, &names)?;
        taken[at] = true;
        for shard in &shards {
            if std::mem::replace(&mut taken[*shard], true) {
                return Err(contradiction(&names[*shard], "two lists of parts name it"));
            }
        }
        let first = shards.iter().copied().min().unwrap_or(at).min(at);
        tables.push((first, read_listed(&index, name, &shards, sources, &joined).await?));
    }
    for at in 0..sources.len() {
        if std::mem::replace(&mut taken[at], true) {
            continue;
        }
        let shards = match split::all_parts(at, &names) {
            Some(shards) if shards.iter().all(|shard| *shard == at || !taken[*shard]) => shards,
            _ => vec![at],
        };
        shards.iter().for_each(|shard| taken[*shard] = true);
        tables.push((at, read_unlisted(&shards, sources, &joined).await?));
    }
    tables.sort_by_key(|(first, _)| *first);
    Ok(tables.into_iter().map(|(_, table)| table).collect())
}

/// [`read_tables`] of the files of one model.
///
/// # Errors
/// As [`read_tables`]; `safetensors.split` for files that are not parts of one model.
pub async fn read_table<S: ByteSource>(sources: &[S]) -> Result<Safetensors> {
    let mut tables = read_tables(sources).await?;
    match (tables.pop(), tables.len()) {
        (Some(table), 0) => Ok(table),
        (_, others) => {
            let cause = format!("these {} files are not the parts of one model, but of {}", sources.len(), others + 1);
            Err(Error::new("safetensors.split", cause, "give one model's file, or the list of its parts"))
        }
    }
}

/// Where each of a list's files is among those given.
fn find(index: &ShardIndex, list: &str, names: &[String]) -> Result<Vec<usize>> {
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for file in &index.files {
        let mut there = names.iter().enumerate().filter(|(_, name)| *name == file);
        match (there.next(), there.next()) {
            (Some((at, _)), None) => found.push(at),
            (None, _) => missing.push(file.as_str()),
            (Some(_), Some(_)) => return Err(contradiction(file, "two files have that name")),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(lacks(list, &missing, index.files.len())) }
}

/// That files of a list are not there.
pub fn lacks(list: &str, missing: &[&str], of: usize) -> Error {
    const NAMED: usize = 5;
    let named: Vec<String> = missing.iter().take(NAMED).map(|name| shorten(name)).collect();
    let more = if missing.len() > NAMED { format!(" and {} more", missing.len() - NAMED) } else { String::new() };
    Error::new(
        "safetensors.split",
        format!(
            "{} lists {of} files, and {} of them are not here: {}{more}",
            shorten(list),
            missing.len(),
            named.join(", ")
        ),
        "give the list and all the files that it names, as they lie side by side",
    )
}

fn contradiction(file: &str, why: &str) -> Error {
    let remedy = "get the list and all its parts again, from one place";
    Error::new("safetensors.shard", format!("{}: {why}", shorten(file)), remedy)
}

async fn read_listed<S: ByteSource>(
    index: &ShardIndex,
    list: &str,
    shards: &[usize],
    sources: &[S],
    joined: &Joined<'_, S>,
) -> Result<Safetensors> {
    let mut all = Vec::new();
    for (number, at) in shards.iter().enumerate() {
        let file = &index.files[number];
        let table = read_named(&sources[*at], joined.start(*at), file).await?;
        let listed = index.tensors.iter().filter(|(_, of)| **of == number);
        if let Some((tensor, _)) = listed.into_iter().find(|(tensor, _)| table.tensor(tensor).is_none()) {
            return Err(contradiction(
                file,
                &format!("tensor {:?}, which {list} has there, is not in it", shorten(tensor)),
            ));
        }
        for tensor in &table.tensors {
            let name = shorten(&tensor.name);
            match index.tensors.get(&tensor.name) {
                Some(of) if *of == number => {}
                Some(of) => {
                    let other = &index.files[*of];
                    return Err(contradiction(file, &format!("it holds tensor {name:?}, which {list} has in {other}")));
                }
                None => {
                    return Err(contradiction(file, &format!("it holds tensor {name:?}, which {list} does not list")));
                }
            }
        }
        all.push(table);
    }
    Ok(Safetensors::joined(all, None))
}

/// One file, or all parts of a model by their names.
async fn read_unlisted<S: ByteSource>(shards: &[usize], sources: &[S], joined: &Joined<'_, S>) -> Result<Safetensors> {
    if let [only] = shards {
        let source = &sources[*only];
        let table = match sources.len() {
            1 => Safetensors::read(source).await?.behind(joined.start(*only)),
            _ => read_named(source, joined.start(*only), &source.name().unwrap_or_default()).await?,
        };
        let part = source.name().as_deref().and_then(split::safetensors_part);
        return Ok(Safetensors::joined(vec![table], part));
    }
    let mut all: Vec<Safetensors> = Vec::new();
    for at in shards {
        let name = sources[*at].name().unwrap_or_default();
        let table = read_named(&sources[*at], joined.start(*at), &name).await?;
        let twice = table.tensors.iter().find(|tensor| all.iter().any(|other| other.tensor(&tensor.name).is_some()));
        if let Some(tensor) = twice {
            let why = format!("it holds tensor {:?}, which another part holds too", shorten(&tensor.name));
            return Err(contradiction(&name, &why));
        }
        all.push(table);
    }
    Ok(Safetensors::joined(all, None))
}

/// What is wrong with one of several is said with its name.
async fn read_named(source: &impl ByteSource, start: u64, name: &str) -> Result<Safetensors> {
    match Safetensors::read(source).await {
        Ok(table) => Ok(table.behind(start)),
        Err(error) if name.is_empty() || error.cause.contains(name) => Err(error),
        Err(Error { code, cause, remedy }) => Err(Error::new(code, format!("{}: {cause}", shorten(name)), remedy)),
    }
}

/// Fields this version does not know are passed over.
#[derive(serde::Deserialize)]
struct Listed {
    metadata: Option<ListMetadata>,
    weight_map: WeightMap,
}

#[derive(serde::Deserialize)]
struct ListMetadata {
    total_size: Option<f64>,
}

/// A tensor that is there twice would be in two shards.
struct WeightMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = WeightMap;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors and their files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut files = BTreeMap::new();
                while let Some(tensor) = map.next_key::<String>()? {
                    let whose = |e: A::Error| A::Error::custom(format!("{:?}: {e}", shorten(&tensor)));
                    let file: String = map.next_value().map_err(whose)?;
                    if let Some(other) = files.insert(tensor.clone(), file.clone()) {
                        let (tensor, file, other) = (shorten(&tensor), shorten(&file), shorten(&other));
                        return Err(A::Error::custom(format!("tensor {tensor:?} is in two files, {other} and {file}")));
                    }
                }
                Ok(WeightMap(files))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}
