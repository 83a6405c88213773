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

    let mut meta = spm(&[], &[]);
    meta =
        meta.iter().filter(|(key, _)| !key.ends_with("tokens")).fold(Metadata::default(), |mut kept, (key, value)| {
            kept.insert(key, value.clone()).unwrap();
            kept
        });
    assert!(refused(&meta).cause.contains("lacks tokenizer.ggml.tokens"));
}

/// As llama.cpp does: what cannot be used counts as absent, and is told.
#[test]
fn entries_that_cannot_be_used_are_passed_over_and_told() {
    let read = |pieces: &[(&str, f32, i32)], key: &str, value: Value| {
        let key = format!("tokenizer.ggml.{key}");
        let mut meta = Metadata::default();
        for (other, old) in spm(pieces, &[]).iter().filter(|(other, _)| *other != key) {
            meta.insert(other, old.clone()).unwrap();
        }
        meta.insert(key, value).unwrap();
        Tokenizer::from_gguf(&meta).unwrap()
    };
    let pieces = [("ab", -1.0, 1), ("a", -2.0, 1), ("b", -3.0, 1)];
    for (key, value) in [
        ("bos_token_id", Value::U32(262)),
        ("bos_token_id", Value::U32(u32::MAX)),
        ("eos_token_id", Value::I32(-1)),
        ("eos_token_id", Value::Array(vec![])),
        ("unknown_token_id", Value::I64(-1)),
        ("add_space_prefix", Value::String("yes".into())),
        ("add_eos_token", Value::F32(0.5)),
    ] {
        let t = read(&pieces, key, value.clone());
        // The numbers that every such model has stand in.
        assert_eq!(
            (t.bos(), t.eos(), t.encode("ab", false).unwrap().last()),
            (Some(1), Some(2), Some(&FIRST)),
            "{key}"
        );
        let told = usize::from(value != Value::Array(vec![]));
        assert_eq!(t.notices().len(), told, "{key} {value:?}: {:?}", t.notices());
        assert!(t.notices().iter().all(|n| n.code == "gguf.skipped" && n.cause.contains(key)), "{:?}", t.notices());
    }
    let numbers = |make: fn(usize) -> Value, count| Value::Array((0..count).map(make).collect());
    for (key, value, told) in [
        ("scores", numbers(|i| Value::I32(-(i as i32)), 262), 0),
        ("scores", numbers(|i| Value::F64(-(i as f64)), 262), 0),
        ("scores", numbers(|i| Value::F32(-(i as f32)), 300), 0),
        ("scores", numbers(|i| Value::F32(-(i as f32)), 261), 1),
        ("scores", Value::String("high".into()), 1),
        ("token_type", numbers(|i| Value::U8(if i < 3 { 3 } else { 1 }), 262), 0),
        ("token_type", numbers(|i| Value::I32(if i < 3 { 3 } else { 9 }), 262), 1),
        ("token_type", numbers(|_| Value::I32(1), 10), 1),
    ] {
        let t = read(&pieces, key, value);
        assert_eq!(t.encode("ab", false).unwrap().last(), Some(&FIRST), "{key}");
        assert_eq!(t.notices().len(), told, "{key}: {:?}", t.notices());
    }
    // One that is called a byte and is none is the text it is.
    let t = read(&[("<0xZZ>", 0.0, BYTE), ("x", 0.0, 9)], "padding_token_id", Value::U32(0));
    assert!(t.notices()[0].cause.contains("token 259 has no known type") && t.notices()[0].cause.contains("1 more"));
    assert_eq!(t.decode(&[FIRST, FIRST + 1]), "<0xZZ>x");
}

#[test]
fn a_prompts_own_tokens_count_and_typed_ones_do_not() {
    let pieces =
        [("\u{2581}", -5.0, 1), ("<", -5.0, 1), ("s", -5.0, 1), (">", -5.0, 1), ("<|user|>", 0.0, 4), ("<<>>", 0.0, 4)];
    let t = build(&pieces);
    let [space, lt, s, gt, user, text] = [FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4, FIRST + 5];
    // The second `<s>` is typed; so is the `s` of the third, whose brackets are not.
    assert_eq!(t.encode_around("<s><s><s>", &[3..6, 7..8]).unwrap(), [1, space, lt, s, gt, lt, s, gt]);
    // Touching on both sides is not overlapping.
    assert_eq!(t.encode_around("s<s>s", &[0..1, 4..5]).unwrap(), [space, s, 1, space, s]);
    // A token of turns is the prompt's alone although the file calls it text; other text that stays whole is everyone's.
    assert!(t.is_guarded(1) && t.is_guarded(0) && t.is_guarded(user) && !t.is_guarded(text));
    assert_eq!(
        (t.encode("<|user|>", true).unwrap(), t.guarded("<|user|>"), t.guarded("<<>>")),
        (vec![user], Some(user), None)
    );
    assert!(!t.encode("<|user|>", false).unwrap().contains(&user));
    assert_eq!(t.encode("<<>>", false).unwrap(), [text]);
}

#[test]
fn no_merge_leads_into_a_guarded_token() {
    let pieces = [("<|", -1.0, 1), ("user", -1.0, 4), ("|>", -1.0, 1), ("<|user", -1.0, 1), ("<|user|>", 0.0, 4)];
    let letters = ["<", "|", ">", "u", "s", "e", "r"].map(|letter| (letter, -9.0, 1));
    let t = build(&[&pieces[..], &letters[..]].concat());
    assert_eq!(t.encode("<|user|>", true).unwrap(), [FIRST + 4]);
    let plain = t.encode("<|user|>", false).unwrap();
    assert!(!plain.contains(&(FIRST + 4)), "{plain:?}");
}

#[test]
fn tokens_a_template_writes_with_are_the_templates() {
    let pieces = [("\u{2581}", -1.0, 1), ("<note>", 0.0, 4), ("<think>", 0.0, 4), ("note", 0.0, 4)];
    let guards = |template: &str| {
        let t = Tokenizer::from_gguf(&spm(&pieces, &[("tokenizer.chat_template", Value::String(template.into()))]))
            .unwrap();
        [1, 2, 3].map(|i| t.is_guarded(FIRST + i))
    };
    assert_eq!(guards("{{ messages }}"), [false; 3]);
    // A thought is the model's to write, and a word is a word.
    assert_eq!(guards("<note>{{ messages }}<think>"), [true, false, false]);
}

#[test]
fn phi_3_drops_the_space_after_its_tokens() {
    let pieces = [("\u{2581}", -1.0, 1), ("a", -1.0, 1), ("<|end|>", 0.0, 3)];
    for (name, stripped) in [("Phi-3 mini", true), ("phi3", true), ("Llama", false)] {
        let t = Tokenizer::from_gguf(&spm(&pieces, &[("general.name", Value::String(name.into()))])).unwrap();
        let ids = t.encode("<|end|> \n a<s> a", true).unwrap();
        let end = FIRST + 2;
        if stripped {
            assert_eq!(ids, [end, FIRST, FIRST + 1, 1, FIRST, FIRST, FIRST + 1], "{name}");
        } else {
            assert_eq!(ids[..5], [end, FIRST, FIRST, BYTE_0 + 10, FIRST], "{name}");
        }
    }
}

#[test]
fn ends_of_the_wrong_type_are_control_tokens_all_the_same() {
    let t = build(&[("\u{2581}", -1.0, 1), ("<|im_end|>", 0.0, 4), ("<|eot_id|>", -1.0, 1), ("<|end|>", 0.0, 3)]);
    for id in [FIRST + 1, FIRST + 2] {
        assert!(t.is_end(id) && t.is_guarded(id) && t.decode(&[id]).is_empty(), "{id}");
        assert!(!t.encode(t.piece(id).unwrap(), false).unwrap().contains(&id));
    }
    assert!(t.is_end(FIRST + 3));
    // In the harmony format a message ends so, and the answer goes on.
    let t = build(&[("<|end|>", 0.0, 3), ("<|return|>", 0.0, 3), ("<|call|>", 0.0, 3)]);
    assert_eq!([0, 1, 2].map(|i| t.is_end(FIRST + i)), [false, true, true]);
}

#[test]
fn metadata_that_contradicts_itself_is_read_as_far_as_it_goes() {
    let pieces = [("\u{2581}", -1.0, 1)];
    let mut broken = Vec::new();
    let typed = spm(&pieces, &[]);
    for key in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.tokens"] {
        for keep in [0, 100] {
            let mut meta = Metadata::default();
            for (name, value) in typed.iter() {
                let value = match value {
                    Value::Array(all) if name == key => Value::Array(all[..keep].to_vec()),
                    other => other.clone(),
                };
                meta.insert(name, value).unwrap();
            }
            broken.push((format!("{key} cut to {keep}"), meta));
        }
    }
    for key in ["bos", "eos", "eot", "eom", "fim_pad", "unknown"] {
        for value in [Value::U32(u32::MAX), Value::I32(-1), Value::String("</s>".into())] {
            broken.push((
                format!("{key} {value:?}"),
                spm(&pieces, &[(&format!("tokenizer.ggml.{key}_token_id"), value)]),
            ));
        }
    }
    broken.push(("a flag".into(), spm(&pieces, &[("tokenizer.ggml.add_bos_token", Value::U32(1))])));
    for (what, meta) in broken {
        // Nothing can be done without tokens; everything else has something that stands in.
        match Tokenizer::from_gguf(&meta) {
            Ok(t) => {
                t.encode("text", true).unwrap();
                let tells = !what.starts_with("tokenizer.ggml.tokens") && what != "a flag";
                assert_eq!(!t.notices().is_empty(), tells, "{what}: {:?}", t.notices());
            }
            Err(e) => {
                assert!(what == "tokenizer.ggml.tokens cut to 0" && e.code == "tokenizer.vocab", "{what}: {e}");
            }
        }
    }
    // Scores that are no numbers, and pieces that are there twice or empty, are only odd.
    let t =
        build(&[("a", f32::NAN, 1), ("a", f32::INFINITY, 1), ("", 0.0, 1), ("", 0.0, 3), ("aa", f32::NEG_INFINITY, 1)]);
    assert_eq!(t.encode("aa", true).unwrap().last(), Some(&(FIRST + 4)));
}
