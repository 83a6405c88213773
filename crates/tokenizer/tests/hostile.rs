//! Texts that are long and strange: work grows with their length, not with its square, which these would not live to see.

mod common;

use common::tokenizer;
use std::time::Instant;

const LENGTH: usize = 100_000;

const VOCABULARIES: &[&str] =
    if cfg!(feature = "byte-level") { &["llama-spm", "gpt-2", "deepseek-coder"] } else { &["llama-spm"] };

fn texts() -> [(&'static str, String); 7] {
    let words = "The quick brown fox, 1234 of them — jumped over the lazy dog's tail. ";
    let mixed = " \n \t".repeat(LENGTH / 4) + "x";
    [
        ("spaces", " ".repeat(LENGTH)),
        ("spaces and lines", mixed),
        ("one letter", "a".repeat(LENGTH)),
        ("digits", "7".repeat(LENGTH)),
        ("no spaces", "loremipsumdolorsitamet".chars().cycle().take(LENGTH).collect()),
        ("half tokens", "<|im_<|end</s<s>".chars().cycle().take(LENGTH).collect()),
        ("prose", words.chars().cycle().take(LENGTH).collect()),
    ]
}

#[test]
fn long_texts_come_back_in_time() {
    for name in VOCABULARIES {
        let Some(t) = tokenizer(&format!("tokenizers/ggml-vocab/ggml-vocab-{name}.gguf")) else { return };
        for (what, text) in texts() {
            let start = Instant::now();
            let ids = t.encode(&text, false).unwrap();
            println!("{name}, {what}: {} tokens in {:?}", ids.len(), start.elapsed());
            assert_eq!(t.decode(&ids), text, "{name}, {what}");
            // Typed or not, in parts or whole.
            let typed: Vec<_> = (0..text.len() / 64).map(|i| 64 * i..64 * i + 32).collect();
            if text.is_ascii() {
                t.encode_around(&text, &typed).unwrap();
            }
        }
    }
}
