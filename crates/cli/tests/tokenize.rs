//! What `lantern tokenize` says of a vocabulary whose rule for cutting text it does not know.

use lantern_weights::{GgufWriter, Value};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn a_rule_that_is_not_known_is_a_warning() {
    let mut w = GgufWriter::new(3);
    let mut put = |key: &str, value: Value| {
        w.metadata(format!("tokenizer.ggml.{key}"), value).unwrap();
    };
    let letters: Vec<Value> = ('a'..='z').map(|letter| Value::String(letter.into())).collect();
    put("model", Value::String("gpt2".into()));
    put("pre", Value::String("of-tomorrow".into()));
    put("tokens", Value::Array(letters));
    put("merges", Value::Array(Vec::new()));
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("unknown_rule.gguf");
    std::fs::write(&file, w.finish().unwrap()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lantern"))
        .args(["tokenize", "--model", file.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"abc").unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && out == "{\"ids\":[0,1,2]}\n", "{out}{err}");
    assert!(
        err.starts_with("warning: tokenizer.pre") && err.contains("of-tomorrow") && err.lines().count() == 1,
        "{err}"
    );
}
