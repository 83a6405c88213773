//! `lantern models`: the models that the page offers, the site's own first, and what each of them takes. Nothing is fetched.

use std::io::ErrorKind;

use lantern_demos::chat::{Entry, LoadOptions, Processor, catalogue, catalogue_with, entry_needs};
use lantern_graph::{Error, Result};
use serde_json::{Value, json};

use crate::args::Models;
use crate::output;

/// As the page of that site lists them. A folder without a list is a site without models of its own.
fn entries(args: &Models) -> Result<Vec<Entry>> {
    let path = args.site.join("site.json");
    match std::fs::read_to_string(&path) {
        Ok(list) => catalogue_with(&list),
        Err(error) if error.kind() == ErrorKind::NotFound => catalogue(),
        Err(error) => Err(Error::new(
            "catalogue.site",
            format!("{} cannot be read: {error}", path.display()),
            "give another folder with --site, or make the file readable",
        )),
    }
}

pub fn run(args: &Models) -> Result<()> {
    let options = LoadOptions::default();
    let (mut all, mut text) = (Vec::new(), String::new());
    for entry in entries(args)? {
        // What lies in the site's folder can be given to `chat --model`.
        let file = args.site.join(&entry.url);
        let file = (entry.on_site() && file.is_file()).then(|| file.display().to_string());
        let cpu = entry_needs(&entry, &options, Processor::Cpu)?.total();
        let gpu = entry_needs(&entry, &options, Processor::Gpu)?.total();
        let about = if entry.exact { "" } else { "about " };
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        text += &format!(
            "{}\n     {}: {}\n     {about}{} MB in {}, needs {} MB on a GPU, {} MB on the processor\n     {}, {}\n",
            entry.id,
            entry.name,
            entry.about,
            mb(entry.bytes),
            entry.kind,
            mb(gpu),
            mb(cpu),
            entry.licence.name,
            file.as_ref().map_or(entry.url.clone(), |file| format!("here: {file}"))
        );
        all.push(json!({
            "id": entry.id,
            "name": entry.name,
            "about": entry.about,
            "family": entry.family,
            "url": entry.url,
            "file": file,
            "licence": {"name": entry.licence.name, "url": entry.licence.url},
            "bytes": entry.bytes,
            "exact": entry.exact,
            "sha256": entry.sha256,
            "type": entry.kind,
            "parameters": entry.parameters(),
            "context": entry.context,
            "needs": {"gpu": gpu, "cpu": cpu},
        }));
    }
    if args.json.json { output::json(&Value::Array(all)) } else { output::text(&text) }
}
