//! The models a visitor can choose from, as data: `www/models/catalogue.json`, compiled in, so that list and engine are of one
//! version and the command line needs no network.

use std::collections::BTreeSet;

use lantern_graph::{Error, Result};
use lantern_models::llama::{Config, Rope};
use lantern_weights::download::Target;
use serde::Deserialize;

use super::{LoadOptions, Processor};

const CATALOGUE: &str = include_str!("../../../../www/models/catalogue.json");

/// The list is part of the program.
const DAMAGED: &str = "this copy of the program is damaged: get it again";

/// A model that can be had.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub id: String,
    pub name: String,
    /// What it is good for, in a few words.
    pub about: String,
    pub family: String,
    /// Of a GGUF file; relative to the folder of the page's own models, or `https`.
    pub url: String,
    pub licence: Licence,
    /// Of the file. `exact`: to the byte, and held against what comes; otherwise as its page says it, rounded.
    pub bytes: u64,
    pub exact: bool,
    pub sha256: Option<String>,
    /// What the matrices are stored as, as such files are named: `Q8_0`, `Q4_K_M`.
    #[serde(rename = "type")]
    pub kind: String,
    pub vocab: usize,
    pub hidden: usize,
    pub feed_forward: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions it was trained for.
    pub context: usize,
    /// The output projection is the embedding table.
    pub tied: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    pub name: String,
    /// As [`Entry::url`].
    pub url: String,
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
        Error::new("catalogue.damaged", format!("the list of models cannot be read: {error}"), DAMAGED)
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
        if !entry.on_site() || entry.url.contains("..") {
            return Err(unfit(format!("gives {:?} for {:?}, which is no file beside it", entry.url, entry.id)));
        }
        let sizes = entry.config(&LoadOptions::default()).and_then(|_| entry.weight_bytes(Processor::Cpu));
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
        !self.url.contains("://") && !self.url.starts_with('/')
    }

    /// What the executors are told of it. Rotary base and norms' epsilon cost no memory: any will do.
    ///
    /// # Errors
    /// `llama.config`.
    pub fn config(&self, options: &LoadOptions) -> Result<Config> {
        let config = Config {
            vocab_size: self.vocab,
            hidden_size: self.hidden,
            feed_forward_length: self.feed_forward,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            rope: Rope::plain(10_000.0),
            attention_scale: None,
            sliding_window: None,
            rms_eps: 1e-5,
            context_length: self.context.min(options.context_length),
            tied: self.tied,
            biases: BTreeSet::new(),
            kv_f16: options.kv_f16,
        };
        config.validate()?;
        Ok(config)
    }

    /// Weights, norms among them.
    pub fn parameters(&self) -> u64 {
        let (hidden, heads, kv) = (self.hidden as u64, self.heads as u64, self.kv_heads as u64);
        let attention = hidden * self.head_dim as u64 * (2 * heads + 2 * kv);
        let block = attention + 3 * hidden * self.feed_forward as u64 + 2 * hidden;
        let tables = if self.tied { 1 } else { 2 } * self.vocab as u64 * hidden;
        tables + self.layers as u64 * block + hidden
    }

    /// Bytes of all weights on an executor. The processor keeps them as the file does.
    ///
    /// # Errors
    /// `catalogue.damaged` for a type this version does not know.
    pub fn weight_bytes(&self, processor: Processor) -> Result<u64> {
        let mixture = mixture(&self.kind, self.hidden, processor).ok_or_else(|| {
            let cause = format!("the catalogue has {:?} in {:?}, which this version cannot weigh", self.id, self.kind);
            Error::new("catalogue.damaged", cause, DAMAGED)
        })?;
        let (hidden, layers) = (self.hidden as u64, self.layers as u64);
        let table = self.vocab as u64 * hidden;
        let finer = layers * hidden * (self.kv_heads * self.head_dim + self.feed_forward) as u64;
        let rest = self.parameters() - table - finer;
        let bits = table as f64 * mixture.output + finer as f64 * mixture.values_and_down + rest as f64 * mixture.rest;
        Ok((bits / 8.0) as u64)
    }

    /// What to fetch, at an address made absolute.
    pub fn target(&self, url: String) -> Target {
        Target { url, name: self.name.clone(), bytes: self.exact.then_some(self.bytes), sha256: self.sha256.clone() }
    }
}

/// Bits of a weight in a file.
struct Mixture {
    /// The output projection, or the embedding table that takes its place.
    output: f64,
    /// The value and down projections, of which `_M` mixtures keep about half in Q6_K.
    values_and_down: f64,
    rest: f64,
}

/// By the name that such files are given (llama.cpp's `quantize`). `hidden`: the length of the output projection's rows.
fn mixture(kind: &str, hidden: usize, processor: Processor) -> Option<Mixture> {
    // A group's scale (and minimum) are halves on the GPU, and a few bits in the file's super-blocks.
    let (q4_k, q5_k, q6_k) = match processor {
        Processor::Cpu => (4.5, 5.5, 6.5625),
        Processor::Gpu => (5.0, 6.0, 7.0),
    };
    // Rows that are no whole super-blocks of 256 get Q8_0 in its place.
    let output = if hidden.is_multiple_of(256) { q6_k } else { 8.5 };
    let mixed = |rest, values_and_down| Mixture { output, values_and_down, rest };
    let whole = |bits| Mixture { output: bits, values_and_down: bits, rest: bits };
    Some(match kind {
        "F32" => whole(32.0),
        "F16" | "BF16" => whole(16.0),
        "Q8_0" => whole(8.5),
        "Q6_K" => whole(q6_k),
        "Q5_K_M" => mixed(q5_k, (q5_k + q6_k) / 2.0),
        "Q4_K_M" => mixed(q4_k, (q4_k + q6_k) / 2.0),
        "Q4_0" => mixed(4.5, 4.5),
        "Q4_1" => mixed(5.0, 5.0),
        _ => return None,
    })
}
