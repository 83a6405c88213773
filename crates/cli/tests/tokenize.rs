//! What `lantern tokenize` says of a vocabulary whose rule for cutting text it does not know.

mod common;

use common::{lantern, path, write};
use lantern_weights::{GgufWriter, Value};

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
    let file = write("unknown_rule.gguf", &w.finish().unwrap());
    let output = lantern(&["tokenize", "--model", path(&file)], b"abc");
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && out == "{\"ids\":[0,1,2]}\n", "{out}{err}");
    assert!(
        err.starts_with("warning: tokenizer.pre") && err.contains("of-tomorrow") && err.lines().count() == 1,
        "{err}"
    );
}
