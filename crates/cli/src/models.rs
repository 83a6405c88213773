//! `lantern models`: the models that the page offers, the site's own first, and what each of them takes. Nothing is fetched.

use std::io::ErrorKind;

use lantern_demos::models::{Entry, Network, Processor, catalogue, catalogue_with};
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
    let (mut all, mut text) = (Vec::new(), String::new());
    for entry in entries(args)? {
        // What lies in the site's folder can be given to `--model`.
        let paths: Vec<_> = entry.files.iter().map(|file| args.site.join(&file.url)).collect();
        let here = entry.on_site() && paths.iter().all(|path| path.is_file());
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let addresses: Vec<&str> = entry.files.iter().map(|file| file.url.as_str()).collect();
        let cpu = entry.needs(Processor::Cpu)?.total();
        let gpu = entry.needs(Processor::Gpu)?.total();
        let about = if entry.exact() { "" } else { "about " };
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        text += &format!(
            "{}\n     {}: {}\n     {about}{} MB in {}, needs {} MB on a GPU, {} MB on the processor\n     {}, {}\n",
            entry.id,
            entry.name,
            entry.about,
            mb(entry.bytes()),
            entry.network.kind(),
            mb(gpu),
            mb(cpu),
            entry.licence.name,
            if here { format!("here: {}", paths.join(", ")) } else { addresses.join("\n     ") }
        );
        let parameters = match &entry.network {
            Network::Chat(listed) => Some(listed.parameters()),
            Network::Autoencode(_) => None,
        };
        let context = match &entry.network {
            Network::Chat(listed) => Some(listed.context),
            Network::Autoencode(_) => None,
        };
        let files = entry.files.iter().zip(&paths).map(|(file, path)| {
            json!({
                "role": file.role,
                "url": file.url,
                "file": here.then_some(path),
                "bytes": file.bytes,
                "exact": file.exact,
                "sha256": file.sha256,
            })
        });
        all.push(json!({
            "id": entry.id,
            "name": entry.name,
            "about": entry.about,
            "family": entry.family,
            "demo": entry.network.demo(),
            "converses": entry.network.converses(),
            "files": files.collect::<Vec<_>>(),
            "licence": {"name": entry.licence.name, "url": entry.licence.url},
            "bytes": entry.bytes(),
            "exact": entry.exact(),
            "type": entry.network.kind(),
            "parameters": parameters,
            "context": context,
            "needs": {"gpu": gpu, "cpu": cpu},
        }));
    }
    if args.json.json { output::json(&Value::Array(all)) } else { output::text(&text) }
}
