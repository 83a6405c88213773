//! `lantern models`.

use std::process::Command;

#[test]
fn the_catalogue_is_listed_as_text_and_as_json() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lantern")).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&run(&["models", "--json"])).unwrap();
    let embedded = &json[0];
    assert_eq!((embedded["id"].as_str(), embedded["bytes"].as_u64()), (Some("lantern-stories"), Some(2_983_360)));
    assert_eq!(embedded["sha256"].as_str().map(str::len), Some(64));
    for model in json.as_array().unwrap() {
        let (gpu, cpu) = (model["needs"]["gpu"].as_u64().unwrap(), model["needs"]["cpu"].as_u64().unwrap());
        assert!(gpu.min(cpu) > model["bytes"].as_u64().unwrap() / 2, "{model}");
    }
    let text = run(&["models"]);
    assert!(text.contains("tinyllama-1.1b-chat\n") && text.contains("Apache 2.0"), "{text}");
}
