//! The models a visitor can choose from, as data: `www/models/catalogue.json`, compiled in, so that list and engine are of one
//! version and the command line needs no network.

use lantern_graph::{Error, Result};
use lantern_weights::download::Target;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Needs, Processor};
use crate::{autoencode, chat};

const CATALOGUE: &str = include_str!("../../../../www/models/catalogue.json");

/// A model that can be had: of one file or of several, and one to whoever fetches, lists, removes or runs it.
///
/// In JSON `demo` says whose it is (`chat` where nobody says), and which numbers follow: [`chat::Listed`],
/// [`autoencode::Listed`]. `files` lists them; a model of one file may say `url`, `bytes`, `exact` and `sha256` itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Entry {
    pub id: String,
    pub name: String,
    /// What it is good for, in a few words.
    pub about: String,
    pub family: String,
    pub licence: Licence,
    /// At least one.
    pub files: Vec<File>,
    pub network: Network,
}

/// One of a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What part of the model it holds: `encoder`, `decoder`; `model` where it is the whole.
    pub role: String,
    /// Relative to the folder of the page's own models, or `https`.
    pub url: String,
    /// `exact`: to the byte, and held against what comes; otherwise as its page says it, rounded.
    pub bytes: u64,
    pub exact: bool,
    pub sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    pub name: String,
    /// As [`File::url`].
    pub url: String,
}

/// Whose a model is, and what that demo wants to know of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    Chat(chat::Listed),
    Autoencode(autoencode::Listed),
}

impl Network {
    /// As the page and the catalogue name it.
    pub fn demo(&self) -> &'static str {
        match self {
            Network::Chat(_) => "chat",
            Network::Autoencode(_) => "autoencode",
        }
    }

    /// What the weights are stored as: `Q8_0`, `F32`.
    pub fn kind(&self) -> &str {
        match self {
            Network::Chat(listed) => &listed.kind,
            Network::Autoencode(listed) => &listed.kind,
        }
    }

    /// Whether it answers in a conversation; `None` for what has nothing to do with words.
    pub fn converses(&self) -> Option<bool> {
        match self {
            Network::Chat(listed) => Some(listed.converses),
            Network::Autoencode(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    models: Vec<Entry>,
}

/// All of them; the embedded model first.
///
/// # Errors
/// `catalogue.damaged`; the tests read it.
pub fn catalogue() -> Result<Vec<Entry>> {
    let read: Catalogue = serde_json::from_str(CATALOGUE).map_err(|error| {
        // The list is part of the program.
        let remedy = "this copy of the program is damaged: get it again";
        Error::new("catalogue.damaged", format!("the list of models cannot be read: {error}"), remedy)
    })?;
    Ok(read.models)
}

/// What a site offers that lists models of its own: those first, then the catalogue's. A name that both have is the site's.
/// `list`: the text of the site's `models/site.json`, which has the catalogue's form, with addresses beside it.
///
/// # Errors
/// `catalogue.site` for a list that cannot be used.
pub fn catalogue_with(list: &str) -> Result<Vec<Entry>> {
    let unfit = |cause: String| {
        let remedy = "whoever runs this site: correct models/site.json, or remove it and build the site again";
        Error::new("catalogue.site", format!("the site's list of its own models (site.json) {cause}"), remedy)
    };
    let Catalogue { models } = serde_json::from_str(list).map_err(|error| unfit(format!("cannot be read: {error}")))?;
    let mut entries: Vec<Entry> = Vec::new();
    for entry in models {
        if entries.iter().any(|other| other.id == entry.id) {
            return Err(unfit(format!("has {:?} twice", entry.id)));
        }
        if let Some(file) = entry.files.iter().find(|file| !file.on_site() || file.url.contains("..")) {
            return Err(unfit(format!("gives {:?} for {:?}, which is no file beside it", file.url, entry.id)));
        }
        let sizes = entry.needs(Processor::Cpu);
        sizes.map_err(|error| unfit(format!("has wrong numbers for {:?}: {}", entry.id, error.cause)))?;
        entries.push(entry);
    }
    for entry in catalogue()? {
        if entries.iter().all(|own| own.id != entry.id) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The one of that name.
///
/// # Errors
/// `catalogue.unknown`, naming those there are.
pub fn find_entry(mut entries: Vec<Entry>, id: &str) -> Result<Entry> {
    match entries.iter().position(|entry| entry.id == id) {
        Some(at) => Ok(entries.swap_remove(at)),
        None => {
            let known: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
            Err(Error::new(
                "catalogue.unknown",
                format!("there is no model {id:?} in the catalogue"),
                format!("give the address of a .gguf file, or one of {}", known.join(", ")),
            ))
        }
    }
}

impl Entry {
    /// It lies on the site itself, and no other host is asked for it.
    pub fn on_site(&self) -> bool {
        self.files.iter().all(File::on_site)
    }

    /// Of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether that is so to the byte.
    pub fn exact(&self) -> bool {
        self.files.iter().all(|file| file.exact)
    }

    /// What a session with it takes, all its parts together.
    ///
    /// # Errors
    /// `catalogue.damaged`, `llama.config`: for a list that is wrong.
    pub fn needs(&self, processor: Processor) -> Result<Needs> {
        match &self.network {
            Network::Chat(listed) => listed.needs(processor),
            Network::Autoencode(listed) => listed.needs(self.bytes(), processor),
        }
    }

    /// What to fetch, at addresses made absolute.
    pub fn targets(&self, absolute: impl Fn(&str) -> String) -> Vec<Target> {
        self.files.iter().map(|file| file.target(absolute(&file.url), &self.name)).collect()
    }
}

impl File {
    fn on_site(&self) -> bool {
        !self.url.contains("://") && !self.url.starts_with('/')
    }

    fn target(&self, url: String, model: &str) -> Target {
        let name = if self.role == WHOLE { model.to_owned() } else { format!("{model}, {}", self.role) };
        Target { url, name, bytes: self.exact.then_some(self.bytes), sha256: self.sha256.clone(), part_of: None }
    }
}

/// The role of a model's only file.
const WHOLE: &str = "model";

/// What every entry says, and of a model of one file that file.
const OF_FILE: [&str; 4] = ["url", "bytes", "exact", "sha256"];
const OF_ALL: [&str; 5] = ["id", "name", "about", "family", "licence"];

/// Numbers of one demo are none of another's, so what is unknown, or missing, is an error that names it.
impl TryFrom<Map<String, Value>> for Entry {
    type Error = String;

    fn try_from(mut said: Map<String, Value>) -> std::result::Result<Self, String> {
        let whose = said.get("id").and_then(Value::as_str).unwrap_or("a model without an id").to_owned();
        let named = |error: serde_json::Error| format!("{whose}: {error}");
        let take = |said: &mut Map<String, Value>, names: &[&str]| -> Map<String, Value> {
            names.iter().filter_map(|name| Some(((*name).to_owned(), said.remove(*name)?))).collect()
        };
        let files = match said.remove("files") {
            Some(files) => serde_json::from_value::<Vec<File>>(files).map_err(named)?,
            None => {
                let mut file = take(&mut said, &OF_FILE);
                file.insert("role".into(), WHOLE.into());
                vec![serde_json::from_value(file.into()).map_err(named)?]
            }
        };
        if files.is_empty() {
            return Err(format!("{whose}: it has no files"));
        }
        let all: OfAll = serde_json::from_value(take(&mut said, &OF_ALL).into()).map_err(named)?;
        let network = match said.remove("demo").as_ref().map_or(Some("chat"), Value::as_str) {
            Some("chat") => Network::Chat(serde_json::from_value(said.into()).map_err(named)?),
            Some("autoencode") => Network::Autoencode(serde_json::from_value(said.into()).map_err(named)?),
            other => return Err(format!("{whose}: there is no demo {other:?}")),
        };
        let OfAll { id, name, about, family, licence } = all;
        Ok(Entry { id, name, about, family, licence, files, network })
    }
}

#[derive(Deserialize)]
struct OfAll {
    id: String,
    name: String,
    about: String,
    family: String,
    licence: Licence,
}
