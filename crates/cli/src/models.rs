//! `lantern models`: the catalogue that the page offers, and what each of it takes. Nothing is fetched.

use lantern_demos::chat::{LoadOptions, Processor, catalogue, entry_needs};
use lantern_graph::Result;
use serde_json::{Value, json};

use crate::args::Json;
use crate::output;

pub fn run(args: &Json) -> Result<()> {
    let options = LoadOptions::default();
    let (mut all, mut text) = (Vec::new(), String::new());
    for entry in catalogue()? {
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
            entry.url
        );
        all.push(json!({
            "id": entry.id,
            "name": entry.name,
            "about": entry.about,
            "family": entry.family,
            "url": entry.url,
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
    if args.json { output::json(&Value::Array(all)) } else { output::text(&text) }
}
