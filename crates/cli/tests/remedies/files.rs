//! The files that remedies.rs needs, by name.

use std::path::PathBuf;

use lantern_weights::{GgmlType, Value};

use crate::common::{tiny, write};

/// Each test has files of its own.
fn own(name: &str) -> String {
    format!("remedies-{}-{name}", std::thread::current().name().unwrap_or_default())
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(own(name))
}

/// A tiny Llama with an entry more.
fn with(key: &str, value: Value) -> Vec<u8> {
    let mut w = tiny(GgmlType::F32);
    w.metadata(key, value).unwrap();
    w.finish().unwrap()
}

/// A tiny Llama with another value in the place of `key`'s, of as many bytes; a text's come after their number.
fn patched(key: &str, at: usize, value: &[u8]) -> Vec<u8> {
    let mut whole = tiny(GgmlType::F32).finish().unwrap();
    let key_at = whole.windows(key.len()).position(|bytes| bytes == key.as_bytes()).unwrap();
    whole[key_at + at..][..value.len()].copy_from_slice(value);
    whole
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn bytes(name: &str) -> Vec<u8> {
    let whole = || tiny(GgmlType::F32).finish().unwrap();
    let template = |source: &str| with("tokenizer.chat_template", text(source));
    let tensor = |name: &str, shape: &[usize], ggml: GgmlType, bytes: Vec<u8>| {
        let mut w = tiny(GgmlType::F32);
        w.tensor(name, shape, ggml, bytes);
        w.finish().unwrap()
    };
    match name {
        "tiny" => whole(),
        "q8" => tiny(GgmlType::Q8_0).finish().unwrap(),
        "llama-2" => with("general.name", text("Llama 2 7B Chat")),
        "deaf" => template("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"),
        "refuses" => template(
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system prompt') }}{% endif %}{{ m.content }}{% endfor %}",
        ),
        "note" => b"aaaaaaaaaaaaaaaaaaa\n".to_vec(),
        "long" => vec![b'a'; 100],
        "page.safetensors" => b"{<!DOCTYPE html><title>404</title>".to_vec(),
        "cut" => whole()[..whole().len() / 2].to_vec(),
        "header" => whole()[..100].to_vec(),
        "version" => [b"GGUF", &[9, 0, 0, 0][..], &whole()[8..]].concat(),
        "nan" => [&whole()[..whole().len() - 4], &f32::NAN.to_le_bytes()].concat(),
        "no-architecture" => patched("general.architecture", 0, b"General"),
        "odd-entry" => with("tokenizer.ggml.eot_token_id", Value::U32(128_009)),
        "mamba" => patched("general.architecture", 20 + 4 + 8, b"mamba"),
        "odd-heads" => patched("llama.attention.head_count", 26 + 4, &[0; 4]),
        "no-norm" => patched("llama.block_count", 17 + 4, &[2, 0, 0, 0]),
        "wordpiece" => patched("tokenizer.ggml.model", 20 + 4 + 8, b"plamo"),
        "iq4" => tensor("blk.0.attn_q.bias", &[2, 256], GgmlType::Iq4Xs, vec![0; 272]),
        "stranger" => tensor("blk.0.ffn_gate_inp.weight", &[1], GgmlType::F32, vec![0; 4]),
        other => panic!("no file is called {other}"),
    }
}

/// Its path; `nowhere` and `out` are not there.
pub fn path(name: &str) -> String {
    let path = match name {
        "nowhere" | "out" => {
            let path = place(name);
            let _ = std::fs::remove_file(&path);
            path
        }
        // Folders.
        "bare" | "odd-model" => {
            let folder = place(name);
            std::fs::create_dir_all(&folder).unwrap();
            if name == "odd-model" {
                std::fs::write(folder.join("model_index.json"), "[]").unwrap();
            }
            folder
        }
        name => write(&own(name), &bytes(name)),
    };
    path.to_str().unwrap().to_owned()
}
