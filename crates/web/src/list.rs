//! The library as the visitor sees it: what can be had, what is here, and what would fit this device.

use js_sys::Array;
use lantern_demos::chat::{Device, Entry, Fit, LoadOptions, Needs, Processor, catalogue, entry_needs};
use lantern_graph::Result;
use wasm_bindgen::JsValue;

use crate::asked::absolute;
use crate::host::Limits;
use crate::js;
use crate::library::{Kept, Library, kept, open_shelf};
use crate::site;

/// Gives `ModelList` of `www/lantern/core/protocol.js`. `base`: the folder of the page's own models.
pub async fn models(library: &Library, base: &str, processor: Processor, limits: Limits) -> Result<JsValue> {
    let shelf = open_shelf(library).await?;
    let mut here = kept(&shelf.shelf).await?;
    let room = library.room_bytes().await;
    let free = room.map(|(used, quota)| quota.saturating_sub(used));
    let device = Device {
        ceiling: limits.ceiling,
        memory: library.memory_bytes(),
        // In memory nothing is stored, and nothing lacks the room.
        storage: free.filter(|_| shelf.kind != "memory"),
    };
    let used: u64 = here.iter().map(|kept| kept.bytes).sum();
    let models = Array::new();
    // Without its own list a site still has the catalogue, and says what is wrong.
    let (entries, no_list) = match site::entries(library, base).await {
        Ok(entries) => (entries, None),
        Err(error) => (catalogue()?, Some(error)),
    };
    for entry in entries {
        let target = entry.target(absolute(&entry.url, base));
        let found = here.iter().position(|kept| kept.key == target.key()).map(|at| here.swap_remove(at));
        models.push(&listed(&entry, &target.url, &target.key(), base, found.as_ref(), processor, &device)?);
    }
    for kept in here.iter().filter(|kept| kept.bytes > 0) {
        models.push(&stranger(kept));
    }
    Ok(js::object(&[
        ("models", models.into()),
        ("kind", shelf.kind.into()),
        ("used", (used as f64).into()),
        ("free", free.map_or(JsValue::NULL, |free| (free as f64).into())),
        ("notice", shelf.notice.or(no_list).as_ref().map_or(JsValue::NULL, js::failure)),
    ]))
}

fn listed(
    entry: &Entry,
    url: &str,
    key: &str,
    base: &str,
    found: Option<&Kept>,
    processor: Processor,
    device: &Device,
) -> Result<JsValue> {
    let needs: Needs = entry_needs(entry, &LoadOptions::default(), processor)?;
    let stored = found.map_or(0, Kept::stored);
    let whole = found.is_some_and(Kept::is_whole);
    let (verdict, reason) = match device.fit(needs, if whole { 0 } else { entry.bytes.saturating_sub(stored) }) {
        Fit::Fits => ("fits", JsValue::NULL),
        Fit::Doubtful(error) => ("doubtful", js::failure(&error)),
        Fit::No(error) => ("no", js::failure(&error)),
    };
    let licence =
        js::object(&[("name", entry.licence.name.as_str().into()), ("url", absolute(&entry.licence.url, base).into())]);
    Ok(js::object(&[
        ("id", entry.id.as_str().into()),
        ("key", key.into()),
        ("url", url.into()),
        ("name", entry.name.as_str().into()),
        ("about", entry.about.as_str().into()),
        ("licence", licence),
        ("type", entry.kind.as_str().into()),
        ("bytes", (if whole { stored } else { entry.bytes } as f64).into()),
        ("exact", (entry.exact || whole).into()),
        ("site", entry.on_site().into()),
        ("needs", (needs.total() as f64).into()),
        ("stored", (stored as f64).into()),
        ("whole", whole.into()),
        ("verdict", verdict.into()),
        ("reason", reason),
    ]))
}

/// One that was fetched by its address, or what nobody knows any more.
fn stranger(kept: &Kept) -> JsValue {
    let journal = kept.journal.as_ref();
    let text = |value: Option<&String>| value.map_or(JsValue::NULL, |text| text.as_str().into());
    js::object(&[
        ("id", JsValue::NULL),
        ("key", kept.key.as_str().into()),
        ("url", text(journal.map(|journal| &journal.url))),
        ("name", journal.map_or("Part of a model", |journal| journal.name.as_str()).into()),
        ("about", "".into()),
        ("licence", JsValue::NULL),
        ("type", "".into()),
        ("bytes", (journal.and_then(|journal| journal.total()).unwrap_or(0) as f64).into()),
        ("exact", true.into()),
        ("site", false.into()),
        ("needs", 0.into()),
        ("stored", (kept.bytes as f64).into()),
        ("whole", kept.is_whole().into()),
        ("verdict", "fits".into()),
        ("reason", JsValue::NULL),
    ])
}
