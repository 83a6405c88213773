//! What the tests of this crate share: the binary, run, and what it must do when it fails.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lantern_weights::{GgmlType, GgufWriter, Value};
use serde_json::Value as Json;

pub fn lantern(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lantern"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub fn json(args: &[&str], input: &[u8]) -> Json {
    let output = lantern(args, input);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What stands in the parentheses at the end of a line `… code: cause (remedy)`, the first of that code.
pub fn remedy_of(said: &str, code: &str) -> Option<String> {
    let line = said.lines().find(|line| line.split(": ").nth(1) == Some(code))?;
    let at = line.char_indices().rev().scan(0, |depth, (at, c)| {
        *depth += i32::from(c == ')') - i32::from(c == '(');
        Some((at, *depth))
    });
    let open = at.skip(1).find(|(_, depth)| *depth == 0)?.0;
    Some(line[open + 1..line.len() - 1].to_owned())
}

/// A failure is one line on standard error, of the form `error: code: cause (remedy)`, and nothing on standard output.
pub fn fails(args: &[&str], input: &[u8], code: &str, cause: &str) {
    let output = lantern(args, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    assert!(said.starts_with(&format!("error: {code}: ")) && said.contains(cause), "{args:?}: {said}");
    assert!(said.trim_end().ends_with(')') && !said.contains("panicked"), "{args:?}: {said}");
}

/// A file of its own for each test.
pub fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A Llama whose every answer is the same token, over a vocabulary of single characters.
pub fn tiny(matrices: GgmlType) -> GgufWriter {
    let (vocab, width, feed_forward) = (40, 32, 64);
    let mut w = GgufWriter::new(3);
    let mut put = |key: &str, value: Value| {
        w.metadata(key, value).unwrap();
    };
    put("general.architecture", Value::String("llama".into()));
    for (key, n) in [
        ("context_length", 64),
        ("embedding_length", width),
        ("block_count", 1),
        ("feed_forward_length", feed_forward),
        ("attention.head_count", 2),
    ] {
        put(&format!("llama.{key}"), Value::U32(n as u32));
    }
    put("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    let letters = ('a'..='z').map(String::from);
    let pieces = ["<unk>", "<s>", "</s>", "\u{2581}"].map(String::from).into_iter().chain(letters);
    let mut pieces: Vec<Value> = pieces.map(Value::String).collect();
    pieces.extend((pieces.len()..vocab).map(|i| Value::String(format!("unused{i}"))));
    let kinds = (0..vocab).map(|i| Value::I32([2, 3, 3].get(i).copied().unwrap_or(1)));
    put("tokenizer.ggml.model", Value::String("llama".into()));
    put("tokenizer.ggml.tokens", Value::Array(pieces));
    put("tokenizer.ggml.scores", Value::Array((0..vocab).map(|i| Value::F32(-(i as f32))).collect()));
    put("tokenizer.ggml.token_type", Value::Array(kinds.collect()));

    let mut tensor = |name: &str, shape: &[usize], value: &dyn Fn(usize) -> f32| {
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        let ggml = if shape.len() == 1 { GgmlType::F32 } else { matrices };
        w.tensor_f32(name, shape, ggml, &values).unwrap();
    };
    let ones = |_: usize| 1.0;
    let zeros = |_: usize| 0.0;
    tensor("token_embd.weight", &[vocab, width], &ones);
    tensor("blk.0.attn_norm.weight", &[width], &ones);
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        tensor(&format!("blk.0.{name}.weight"), &[width, width], &zeros);
    }
    tensor("blk.0.ffn_norm.weight", &[width], &ones);
    tensor("blk.0.ffn_gate.weight", &[feed_forward, width], &zeros);
    tensor("blk.0.ffn_up.weight", &[feed_forward, width], &zeros);
    tensor("blk.0.ffn_down.weight", &[width, feed_forward], &zeros);
    tensor("output_norm.weight", &[width], &ones);
    // Row 11 is "h".
    tensor("output.weight", &[vocab, width], &|i| if i / width == 11 { 1.0 } else { 0.0 });
    w
}
