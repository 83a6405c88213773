//! The models as the visitor sees them: what can be had, what is here, and what would fit this device.

use js_sys::Array;
use lantern_demos::models::{Device, Entry, Fit, Processor, catalogue};
use lantern_graph::Result;
use lantern_weights::download::{Kept, KeptModel, Target};
use wasm_bindgen::JsValue;

use crate::asked::absolute;
use crate::browser::Browser;
use crate::host::Limits;
use crate::js;
use crate::library::{kept, open_shelf};
use crate::site;

/// Gives `ModelList` of `www/lantern/core/protocol.js`. `base`: the folder of the page's own models.
pub async fn models(browser: &Browser, base: &str, processor: Processor, limits: Limits) -> Result<JsValue> {
    let shelf = open_shelf(browser).await?;
    let mut here = kept(&shelf.shelf).await?;
    let room = browser.room_bytes().await;
    let free = room.map(|(used, quota)| quota.saturating_sub(used));
    let device = Device {
        ceiling: limits.ceiling,
        memory: browser.memory_bytes(),
        // In memory nothing is stored, and nothing lacks the room.
        storage: free.filter(|_| shelf.kind != "memory"),
    };
    let used: u64 = here.iter().map(|kept| kept.bytes).sum();
    let models = Array::new();
    // Without its own list a site still has the catalogue, and says what is wrong.
    let (entries, no_list) = match site::entries(browser, base).await {
        Ok(entries) => (entries, None),
        Err(error) => (catalogue()?, Some(error)),
    };
    for entry in entries {
        let targets = entry.targets(|url| absolute(url, base));
        let take = |target: &Target| {
            let key = target.key();
            here.iter().position(|kept| kept.key == key).map(|at| here.swap_remove(at))
        };
        let found: Vec<Option<Kept>> = targets.iter().map(take).collect();
        models.push(&listed(&entry, &targets, base, &found, processor, &device)?);
    }
    for model in KeptModel::of(&here).iter().filter(|model| model.bytes > 0) {
        models.push(&stranger(model));
    }
    Ok(js::object(&[
        ("models", models.into()),
        ("kind", shelf.kind.into()),
        ("used", (used as f64).into()),
        ("free", free.map_or(JsValue::NULL, |free| (free as f64).into())),
        ("notice", shelf.notice.or(no_list).as_ref().map_or(JsValue::NULL, js::failure)),
    ]))
}

/// One row, however many files it has. `found`: of each file, what is stored.
fn listed(
    entry: &Entry,
    targets: &[Target],
    base: &str,
    found: &[Option<Kept>],
    processor: Processor,
    device: &Device,
) -> Result<JsValue> {
    let needs = entry.needs(processor)?;
    let stored: u64 = found.iter().flatten().map(Kept::stored).sum();
    let whole = found.iter().all(|found| found.as_ref().is_some_and(Kept::is_whole));
    let keys: Vec<String> = targets.iter().map(Target::key).collect();
    let url = if let [only] = targets { only.url.as_str().into() } else { JsValue::NULL };
    let (verdict, reason) = match device.fit(needs, if whole { 0 } else { entry.bytes().saturating_sub(stored) }) {
        Fit::Fits => ("fits", JsValue::NULL),
        Fit::Doubtful(error) => ("doubtful", js::failure(&error)),
        Fit::No(error) => ("no", js::failure(&error)),
    };
    let licence =
        js::object(&[("name", entry.licence.name.as_str().into()), ("url", absolute(&entry.licence.url, base).into())]);
    Ok(js::object(&[
        ("id", entry.id.as_str().into()),
        ("demo", entry.network.demo().into()),
        ("converses", entry.network.converses().map_or(JsValue::NULL, JsValue::from)),
        ("key", keys.join(" ").into()),
        ("url", url),
        ("name", entry.name.as_str().into()),
        ("about", entry.about.as_str().into()),
        ("licence", licence),
        ("type", entry.network.kind().into()),
        ("bytes", (if whole { stored } else { entry.bytes() } as f64).into()),
        ("exact", (entry.exact() || whole).into()),
        ("site", entry.on_site().into()),
        ("needs", (needs.total() as f64).into()),
        ("stored", (stored as f64).into()),
        ("whole", whole.into()),
        ("verdict", verdict.into()),
        ("reason", reason),
    ]))
}

/// One that was fetched by its address, or what nobody knows any more.
fn stranger(model: &KeptModel) -> JsValue {
    js::object(&[
        ("id", JsValue::NULL),
        ("demo", JsValue::NULL),
        ("converses", JsValue::NULL),
        ("key", model.keys.join(" ").into()),
        ("url", model.address.as_deref().map_or(JsValue::NULL, JsValue::from)),
        ("name", model.name.as_deref().unwrap_or("Part of a model").into()),
        ("about", "".into()),
        ("licence", JsValue::NULL),
        ("type", "".into()),
        ("bytes", (model.total.unwrap_or(0) as f64).into()),
        ("exact", true.into()),
        ("site", false.into()),
        ("needs", 0.into()),
        ("stored", (model.bytes as f64).into()),
        ("whole", model.whole.into()),
        ("verdict", "fits".into()),
        ("reason", JsValue::NULL),
    ])
}
