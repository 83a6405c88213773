//! `lantern models`.

mod common;

use common::{fails, json, lantern, path};
use std::fs;

#[test]
fn the_catalogue_is_listed_as_text_and_as_json() {
    let json = json(&["models", "--json"], b"");
    let embedded = &json[0];
    assert_eq!((embedded["id"].as_str(), embedded["bytes"].as_u64()), (Some("lantern-chat"), Some(15_164_064)));
    assert_eq!((embedded["demo"].as_str(), embedded["converses"].as_bool()), (Some("chat"), Some(true)));
    assert_eq!(embedded["files"][0]["sha256"].as_str().map(str::len), Some(64));
    for model in json.as_array().unwrap() {
        let (gpu, cpu) = (model["needs"]["gpu"].as_u64().unwrap(), model["needs"]["cpu"].as_u64().unwrap());
        assert!(gpu.min(cpu) > model["bytes"].as_u64().unwrap() / 2, "{model}");
    }
    let text = String::from_utf8(lantern(&["models"], b"").stdout).unwrap();
    assert!(text.contains("tinyllama-1.1b-chat\n") && text.contains("Apache 2.0"), "{text}");
}

#[test]
fn the_models_of_a_site_come_first_with_their_files() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-site");
    fs::create_dir_all(&folder).unwrap();
    let published: serde_json::Value =
        serde_json::from_str(include_str!("../../xtask/src/model/smollm2-135m.json")).unwrap();
    let entry = &published["entry"];
    let file = folder.join(entry["url"].as_str().unwrap());
    fs::write(&file, b"GGUF").unwrap();
    fs::write(folder.join("site.json"), serde_json::json!({ "models": [entry] }).to_string()).unwrap();
    let listed = json(&["models", "--json", "--site", path(&folder)], b"");
    assert_eq!(
        (listed[0]["id"].as_str(), listed[0]["files"][0]["file"].as_str()),
        (entry["id"].as_str(), Some(path(&file)))
    );
    assert_eq!(listed[1]["files"][0]["file"], serde_json::Value::Null);
    let text = String::from_utf8(lantern(&["models", "--site", path(&folder)], b"").stdout).unwrap();
    assert!(
        text.starts_with("smollm2-135m-instruct\n") && text.contains(&format!("here: {}\n", path(&file))),
        "{text}"
    );
    fs::write(folder.join("site.json"), "[]").unwrap();
    fails(&["models", "--site", path(&folder)], b"", "catalogue.site", "site.json");
}
