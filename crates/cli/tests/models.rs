//! `lantern models`.

mod common;

use common::{json, lantern};

#[test]
fn the_catalogue_is_listed_as_text_and_as_json() {
    let json = json(&["models", "--json"], b"");
    let embedded = &json[0];
    assert_eq!((embedded["id"].as_str(), embedded["bytes"].as_u64()), (Some("lantern-chat"), Some(15_163_904)));
    assert_eq!(embedded["sha256"].as_str().map(str::len), Some(64));
    for model in json.as_array().unwrap() {
        let (gpu, cpu) = (model["needs"]["gpu"].as_u64().unwrap(), model["needs"]["cpu"].as_u64().unwrap());
        assert!(gpu.min(cpu) > model["bytes"].as_u64().unwrap() / 2, "{model}");
    }
    let text = String::from_utf8(lantern(&["models"], b"").stdout).unwrap();
    assert!(text.contains("tinyllama-1.1b-chat\n") && text.contains("Apache 2.0"), "{text}");
}
