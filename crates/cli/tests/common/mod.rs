//! What the tests of this crate share: the binary, run, and what it must do when it fails.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lantern_testing::{Llama, letters};
use lantern_weights::{GgmlType, GgufWriter};
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
    Llama { matrices, ..Llama::TINY }.file(&letters(Llama::TINY.vocab), |name, shape| {
        let values = shape.iter().product();
        match name {
            // Row 11 is "h".
            "output.weight" => (0..values).map(|i| if i / shape[1] == 11 { 1.0 } else { 0.0 }).collect(),
            _ if shape.len() == 1 || name.starts_with("token") => vec![1.0; values],
            _ => vec![0.0; values],
        }
    })
}
