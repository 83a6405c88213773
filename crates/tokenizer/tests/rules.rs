//! The rules, on vocabularies small enough to follow by hand.

use lantern_graph::Error;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{Metadata, Value};

const BYTE: i32 = 6;

/// `<unk> <s> </s>`, the 256 bytes, then `pieces` as (text, score, type): the first has id 259.
fn spm(pieces: &[(&str, f32, i32)], extra: &[(&str, Value)]) -> Metadata {
    let byte_names: Vec<String> = (0..256).map(|b| format!("<0x{b:02X}>")).collect();
    let mut all: Vec<(&str, f32, i32)> = vec![("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)];
    all.extend(byte_names.iter().map(|name| (name.as_str(), 0.0, BYTE)));
    all.extend(pieces);
    let mut meta = Metadata::default();
    let mut put = |key: &str, values: Vec<Value>| meta.insert(key, Value::Array(values)).unwrap();
    put("tokenizer.ggml.tokens", all.iter().map(|p| Value::String(p.0.into())).collect());
    put("tokenizer.ggml.scores", all.iter().map(|p| Value::F32(p.1)).collect());
    put("tokenizer.ggml.token_type", all.iter().map(|p| Value::I32(p.2)).collect());
    meta.insert("tokenizer.ggml.model", Value::String("llama".into())).unwrap();
    for (key, value) in extra {
        meta.insert(*key, value.clone()).unwrap();
    }
    meta
}

fn build(pieces: &[(&str, f32, i32)]) -> Tokenizer {
    Tokenizer::from_gguf(&spm(pieces, &[])).unwrap()
}

fn refused(meta: &Metadata) -> Error {
    Tokenizer::from_gguf(meta).err().expect("a refusal")
}

const BYTE_0: u32 = 3;
const FIRST: u32 = 259;

#[test]
fn the_highest_score_merges_first_and_the_leftmost_among_equals() {
    // b+c scores above a+b, so "abc" is a, bc although ab comes first.
    let t = build(&[
        ("\u{2581}", -9.0, 1),
        ("a", -9.0, 1),
        ("b", -9.0, 1),
        ("c", -9.0, 1),
        ("ab", -2.0, 1),
        ("bc", -1.0, 1),
    ]);
    assert_eq!(t.encode("abc", false).unwrap(), [FIRST, FIRST + 1, FIRST + 5]);
    // Equal scores, and both splits of "aaa": the leftmost pair each time.
    let t = build(&[("\u{2581}", -9.0, 1), ("a", -9.0, 1), ("aa", -1.0, 1), ("aaa", -1.0, 1)]);
    assert_eq!(t.encode("aaaaa", false).unwrap(), [FIRST, FIRST + 3, FIRST + 2]);
}

#[test]
fn the_space_prefix_is_the_files_choice() {
    let pieces = [("\u{2581}", -3.0, 1), ("a", -3.0, 1), ("\u{2581}a", -1.0, 1)];
    let t = build(&pieces);
    assert_eq!(t.encode("a a", false).unwrap(), [FIRST + 2, FIRST + 2]);
    assert_eq!((t.decode(&[FIRST + 2, FIRST + 2]), t.decode(&[1, FIRST + 2])), ("a a".into(), "a".into()));
    assert!(t.encode("", true).unwrap().is_empty());
    let plain = spm(&pieces, &[("tokenizer.ggml.add_space_prefix", Value::Bool(false))]);
    let t = Tokenizer::from_gguf(&plain).unwrap();
    assert_eq!(t.encode("a a", false).unwrap(), [FIRST + 1, FIRST + 2]);
    assert_eq!(t.decode(&[FIRST + 2]), " a");
}

#[test]
fn control_tokens_count_only_when_asked_for() {
    let pieces = [
        ("\u{2581}", -5.0, 1),
        ("<", -5.0, 1),
        ("s", -5.0, 1),
        (">", -5.0, 1),
        // Steps that would let plain text merge all the way into the control token.
        ("<s", -1.0, 1),
        ("s>", -2.0, 1),
        ("<s>>", 0.0, 3),
        ("<<>>", 0.0, 4),
    ];
    let t = build(&pieces);
    let [space, lt_s, gt, longer, user] = [FIRST, FIRST + 4, FIRST + 3, FIRST + 6, FIRST + 7];
    assert_eq!(t.encode("<s>", false).unwrap(), [space, lt_s, gt]);
    assert_eq!(t.encode("<s>", true).unwrap(), [1]);
    assert_eq!(t.encode("<s>>", true).unwrap(), [longer], "the longest wins");
    // After a special token text begins anew, with its space.
    assert_eq!(t.encode("><s>>>", true).unwrap(), [space, gt, longer, space, gt]);
    // User-defined tokens are text that stays whole: both ways, and with their text when decoded.
    assert_eq!(t.encode("<<>>", false).unwrap(), [user]);
    assert_eq!(t.decode(&[1, user, 2, longer, 0]), "<<>>");
}

#[test]
fn what_has_no_piece_is_spelled_in_bytes() {
    let t = build(&[("\u{2581}", -1.0, 1)]);
    let ids = t.encode("é", false).unwrap();
    assert_eq!(ids, [FIRST, BYTE_0 + 0xc3, BYTE_0 + 0xa9]);
    assert_eq!(t.decode(&ids), "é");
    // "<0x41>" in the text is six characters, not the byte.
    assert_eq!(t.encode("<0x41>", true).unwrap().len(), 7);
}

#[test]
fn a_stream_never_gives_half_a_character() {
    let t = build(&[("\u{2581}", -1.0, 1), ("a", -1.0, 1)]);
    let byte = |b: u8| BYTE_0 + u32::from(b);
    let mut stream = t.stream();
    let pieces: Vec<String> = "🐱".bytes().map(|b| stream.push(byte(b))).collect();
    assert_eq!(pieces, ["", "", "", "🐱"]);
    // A character broken off by other text, a lone continuation byte, a byte that never occurs.
    assert_eq!(
        (stream.push(byte(0xf0)), stream.push(byte(0x9f)), stream.push(FIRST + 1)),
        ("".into(), "".into(), "\u{fffd}a".into())
    );
    assert_eq!((stream.push(byte(0x80)), stream.push(byte(0xff))), ("\u{fffd}".into(), "\u{fffd}".into()));
    // A control token in the middle changes nothing, nor does an id past the vocabulary.
    assert_eq!(
        (stream.push(byte(0xc3)), stream.push(2), stream.push(9999), stream.push(byte(0xa9))),
        ("".into(), "".into(), "".into(), "é".into())
    );
    assert_eq!(stream.push(byte(0xe2)), "");
    assert_eq!(stream.finish(), "\u{fffd}");
}

#[test]
fn ends_are_the_files_and_the_formats() {
    let meta = spm(
        &[("\u{2581}", -1.0, 1), ("<|im_end|>", 0.0, 3), ("<turn>", 0.0, 3)],
        &[("tokenizer.ggml.eot_token_id", Value::U32(FIRST + 2)), ("tokenizer.ggml.add_bos_token", Value::Bool(false))],
    );
    let t = Tokenizer::from_gguf(&meta).unwrap();
    assert!(t.is_end(2) && t.is_end(FIRST + 1) && t.is_end(FIRST + 2) && !t.is_end(1) && !t.is_end(FIRST));
    assert_eq!((t.bos(), t.add_bos(), t.piece(1), t.piece(9999)), (Some(1), false, Some("<s>"), None));
}

#[test]
fn a_file_without_token_types_still_has_bytes_and_control_tokens() {
    let typed = spm(&[("\u{2581}", -1.0, 1)], &[]);
    let mut meta = Metadata::default();
    for (key, value) in typed.iter().filter(|(key, _)| !key.ends_with("token_type")) {
        meta.insert(key, value.clone()).unwrap();
    }
    let t = Tokenizer::from_gguf(&meta).unwrap();
    let ids = t.encode("é", false).unwrap();
    assert_eq!((ids.len(), t.decode(&[1, ids[0], ids[1], ids[2], 2])), (3, "é".into()));
    assert_eq!(t.encode("<s>", true).unwrap(), [1]);
}

#[test]
fn other_kinds_and_damaged_vocabularies_are_named() {
    let mut meta = Metadata::default();
    assert_eq!(refused(&meta).code, "gguf.metadata");
    meta.insert("tokenizer.ggml.model", Value::String("t5".into())).unwrap();
    let error = refused(&meta);
    assert_eq!(error.code, "tokenizer.kind");
    assert!(error.cause.contains("t5") && error.cause.contains("SentencePiece"), "{error}");

    let error = refused(&spm(&[], &[("tokenizer.ggml.bos_token_id", Value::U32(259))]));
    assert!(error.code == "gguf.metadata" && error.cause.contains("259 tokens"), "{error}");
    let error = refused(&spm(&[("<0xZZ>", 0.0, BYTE)], &[]));
    assert!(error.code == "tokenizer.vocab" && error.cause.contains("<0xZZ>"), "{error}");
    assert_eq!(refused(&spm(&[("x", 0.0, 9)], &[])).code, "tokenizer.vocab");
}

/// The 256 bytes as GPT-2 writes them, then `pieces`.
#[cfg(feature = "byte-level")]
fn byte_level(pieces: &[&str], merges: &[&str]) -> Metadata {
    let mut shifted = 0x100..;
    let alphabet = (0u8..=255).map(|b| match b {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => (b as char).to_string(),
        _ => char::from_u32(shifted.next().unwrap()).unwrap().to_string(),
    });
    let tokens: Vec<Value> = alphabet.chain(pieces.iter().map(|p| p.to_string())).map(Value::String).collect();
    let merges = merges.iter().map(|m| Value::String(m.to_string())).collect();
    let mut meta = Metadata::default();
    for (key, value) in [
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("gpt-2".into())),
        ("tokenizer.ggml.tokens", Value::Array(tokens)),
        ("tokenizer.ggml.merges", Value::Array(merges)),
    ] {
        meta.insert(key, value).unwrap();
    }
    meta
}

#[cfg(feature = "byte-level")]
#[test]
fn byte_level_merges_by_rank_and_never_across_words() {
    let t = Tokenizer::from_gguf(&byte_level(&["ab", "bc", "\u{120}a"], &["b c", "a b", "\u{120} a"])).unwrap();
    assert_eq!(t.encode("abc", false).unwrap(), [b'a'.into(), 257]);
    assert_eq!(t.encode("c a", false).unwrap(), [b'c'.into(), 258]);
    assert_eq!(t.decode(&t.encode(" aé🐱", false).unwrap()), " aé🐱");
    assert_eq!((t.bos(), t.add_bos(), t.encode("", false).unwrap()), (None, false, vec![]));
}

#[cfg(feature = "byte-level")]
#[test]
fn byte_level_merges_that_cannot_be_are_named() {
    for merges in [["ab"], ["x y"], ["ab bc"]] {
        let error = refused(&byte_level(&["ab", "bc"], &merges));
        assert!(error.code == "tokenizer.vocab" && error.cause.contains(merges[0]), "{error}");
    }
}
