//! Byte-level vocabularies small enough to follow by hand, and some no one should make.
#![cfg(feature = "byte-level")]

use lantern_graph::Error;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{Metadata, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn alphabet() -> Vec<String> {
    let mut shifted = 0x100..;
    (0u8..=255)
        .map(|b| match b {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => (b as char).to_string(),
            _ => char::from_u32(shifted.next().unwrap()).unwrap().to_string(),
        })
        .collect()
}

fn strings<S: AsRef<str>>(all: &[S]) -> Value {
    Value::Array(all.iter().map(|s| Value::String(s.as_ref().to_owned())).collect())
}

fn metadata(tokens: &[String], types: Option<&[i32]>, merges: &[String], pre: Option<&str>) -> Metadata {
    let mut meta = Metadata::default();
    meta.insert("tokenizer.ggml.model", Value::String("gpt2".into())).unwrap();
    meta.insert("tokenizer.ggml.tokens", strings(tokens)).unwrap();
    meta.insert("tokenizer.ggml.merges", strings(merges)).unwrap();
    if let Some(types) = types {
        let types = types.iter().map(|t| Value::I32(*t)).collect();
        meta.insert("tokenizer.ggml.token_type", Value::Array(types)).unwrap();
    }
    if let Some(pre) = pre {
        meta.insert("tokenizer.ggml.pre", Value::String(pre.into())).unwrap();
    }
    meta
}

/// The 256 bytes as GPT-2 writes them, then `pieces`.
fn byte_level(pieces: &[&str], merges: &[&str], pre: &str) -> Metadata {
    let tokens: Vec<String> = alphabet().into_iter().chain(pieces.iter().map(|p| p.to_string())).collect();
    let merges: Vec<String> = merges.iter().map(|m| m.to_string()).collect();
    metadata(&tokens, None, &merges, Some(pre))
}

/// The 256 bytes, then pieces with their types.
fn typed(pieces: &[(&str, i32)], merges: &[&str], pre: &str) -> Metadata {
    let tokens: Vec<String> = alphabet().into_iter().chain(pieces.iter().map(|p| p.0.to_owned())).collect();
    let types: Vec<i32> = vec![1; 256].into_iter().chain(pieces.iter().map(|p| p.1)).collect();
    let merges: Vec<String> = merges.iter().map(|m| m.to_string()).collect();
    metadata(&tokens, Some(&types), &merges, Some(pre))
}

fn refused(meta: &Metadata) -> Error {
    Tokenizer::from_gguf(meta).err().expect("a refusal")
}

#[test]
fn merges_go_by_rank_and_never_across_words() {
    let t =
        Tokenizer::from_gguf(&byte_level(&["ab", "bc", "\u{120}a"], &["b c", "a b", "\u{120} a"], "gpt-2")).unwrap();
    assert_eq!(t.encode("abc", false).unwrap(), [b'a'.into(), 257]);
    assert_eq!(t.encode("c a", false).unwrap(), [b'c'.into(), 258]);
    assert_eq!(t.decode(&t.encode(" aé🐱", false).unwrap()), " aé🐱");
    assert_eq!((t.bos(), t.add_bos(), t.encode("", false).unwrap()), (None, false, vec![]));
    // Of two merges of one pair the first counts.
    let t = Tokenizer::from_gguf(&byte_level(&["ab", "bc"], &["a b", "b c", "a b"], "gpt-2")).unwrap();
    assert_eq!(t.encode("abc", false).unwrap(), [256, b'c'.into()]);
}

#[test]
fn a_whole_word_is_taken_before_merges_where_the_rule_says_so() {
    // No merge leads to "abc".
    let pieces = ["ab", "abc", "\u{120}abc"];
    let ids = |pre: &str, text: &str| {
        Tokenizer::from_gguf(&byte_level(&pieces, &["a b"], pre)).unwrap().encode(text, false).unwrap()
    };
    for pre in ["llama-bpe", "tekken"] {
        assert_eq!(ids(pre, "abc"), [257], "{pre}");
        assert_eq!(ids(pre, "x abc"), [b'x'.into(), 258], "{pre}");
        assert_eq!(ids(pre, "abcd"), [256, b'c'.into(), b'd'.into()], "{pre}: only whole words");
    }
    for pre in ["gpt-2", "smaug-bpe", "qwen2"] {
        assert_eq!(ids(pre, "abc"), [256, b'c'.into()], "{pre}");
    }
}

#[test]
fn rules_that_are_not_known_are_told() {
    let t = Tokenizer::from_gguf(&byte_level(&[], &[], "gpt-2")).unwrap();
    assert!(t.notices().is_empty());
    let t = Tokenizer::from_gguf(&byte_level(&[], &[], "gpt-99")).unwrap();
    let [notice] = t.notices() else { panic!("{:?}", t.notices()) };
    assert!(notice.code == "tokenizer.pre" && notice.cause.contains("gpt-99") && !notice.remedy.is_empty(), "{notice}");
    let t = Tokenizer::from_gguf(&metadata(&alphabet(), None, &[], None)).unwrap();
    assert_eq!(t.notices().len(), 1);
    assert_eq!(t.decode(&t.encode("It's 12345 dogs\n\n", false).unwrap()), "It's 12345 dogs\n\n");
}

#[test]
fn control_tokens_are_no_text_however_they_are_spelled() {
    let meta = typed(&[("<|im_end|>", 3), ("</s>", 1), ("STOP", 3), ("<s>", 1)], &[], "llama-bpe");
    let t = Tokenizer::from_gguf(&meta).unwrap();
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    assert_eq!(t.encode("<|im_end|>x</s>STOP", true).unwrap(), [256, b'x'.into(), 257, 258]);
    assert_eq!(t.encode("<|im_end|>x</s>STOP", false).unwrap(), bytes("<|im_end|>x</s>STOP"));
    assert!(t.is_end(256) && t.is_end(257) && !t.is_end(258));
    // A vocabulary whose merges lead to `</s>` has it as text, and text does not end an answer.
    let t =
        Tokenizer::from_gguf(&typed(&[("</", 1), ("s>", 1), ("</s>", 1)], &["< /", "s >", "</ s>"], "gpt-2")).unwrap();
    assert!(!t.is_end(258) && !t.is_guarded(258) && t.decode(&[258]) == "</s>");
}

#[test]
fn no_merge_leads_into_a_guarded_token() {
    let merges = ["< |", "| >", "<| |>", "< s", "<s >"];
    let t = Tokenizer::from_gguf(&typed(
        &[("<|", 1), ("|>", 1), ("<||>", 3), ("<s", 1), ("<s>", 4), ("x", 1)],
        &merges,
        "llama-bpe",
    ))
    .unwrap();
    assert_eq!(t.encode("<||><s>", true).unwrap(), [258, 260]);
    assert_eq!(t.encode("<||>", false).unwrap(), [256, 257]);
    assert_eq!(t.encode("<s>", false).unwrap(), [259, u32::from(b'>')]);
}

#[test]
fn a_stream_never_gives_half_a_character() {
    // Pieces that end within a character, and one that holds the end of one and the beginning of the next.
    let cat: Vec<String> = "🐱é".bytes().map(|b| alphabet()[usize::from(b)].clone()).collect();
    let (front, middle) = (cat[..3].concat(), cat[3..5].concat());
    let t = Tokenizer::from_gguf(&typed(&[(&front, 1), (&middle, 1), ("<|im_end|>", 3), ("<b>", 4)], &[], "gpt-2"))
        .unwrap();
    let last = u32::from("é".as_bytes()[1]);
    let mut stream = t.stream();
    let pieces = [256, 258, 257, 99_999, last].map(|id| stream.push(id));
    assert_eq!(pieces, ["", "", "🐱", "", "é"]);
    assert_eq!(stream.push(259), "<b>");
    // Text breaks a character off; a control token does not.
    assert_eq!((stream.push(256), stream.push(b'a'.into())), (String::new(), "\u{fffd}a".into()));
    assert_eq!((stream.push(256), stream.push(259)), (String::new(), "\u{fffd}<b>".into()));
    stream.push(256);
    assert_eq!(stream.finish(), "\u{fffd}");
}

#[test]
fn bytes_the_vocabulary_lacks_are_left_out() {
    let letters: Vec<String> =
        alphabet().into_iter().filter(|letter| !["z", "\u{10a}"].contains(&letter.as_str())).collect();
    let t = Tokenizer::from_gguf(&metadata(&letters, None, &[], Some("gpt-2"))).unwrap();
    assert_eq!(t.decode(&t.encode("pizza\n!", false).unwrap()), "pia!");
    assert!(t.encode("pizza\n!", false).unwrap().iter().all(|id| (*id as usize) < t.vocab_size()));
}

/// Vocabularies are cut down, and their lists of merges are not.
#[test]
fn merges_of_pieces_that_are_not_there_are_passed_over_and_told() {
    for odd in ["ab", "x y", "ab bc", " ", "", "a b c", "b  c", "b c "] {
        let t = Tokenizer::from_gguf(&byte_level(&["ab", "bc"], &[odd, "b c"], "gpt-2")).unwrap();
        assert_eq!(t.encode("abc", false).unwrap(), [b'a'.into(), 257], "{odd:?}");
        let [notice] = t.notices() else { panic!("{odd:?}: {:?}", t.notices()) };
        assert!(notice.code == "gguf.skipped" && notice.cause.contains("1 of its 2 merges"), "{notice}");
    }
}

#[test]
fn vocabularies_that_cannot_work_are_refused() {
    assert_eq!(refused(&metadata(&[], None, &[], None)).code, "tokenizer.vocab");
    let long = "a".repeat(70_000);
    assert!(refused(&byte_level(&[&long], &[], "gpt-2")).cause.contains("70000"));
    // Every pair of letters: more merges than the engine's table of short pieces holds.
    let letters = alphabet();
    let pairs: Vec<(String, String)> =
        letters.iter().flat_map(|l| letters.iter().map(move |r| (l.clone(), r.clone()))).collect();
    let tokens: Vec<String> = letters.iter().cloned().chain(pairs.iter().map(|(l, r)| format!("{l}{r}"))).collect();
    let merges: Vec<String> = pairs.iter().map(|(l, r)| format!("{l} {r}")).collect();
    let error = refused(&metadata(&tokens, None, &merges, Some("gpt-2")));
    assert!(error.code == "tokenizer.vocab" && error.cause.contains("65536"), "{error}");
}

/// llama.cpp runs files that name a token which is not there, or none by -1: so do we, and say what was passed over.
#[test]
fn token_ids_that_name_no_token_are_passed_over_and_told() {
    let named = |key: &str, value: Value| {
        let mut meta = typed(&[("<|im_end|>", 3), ("<s>", 3), ("</s>", 1)], &[], "gpt-2");
        meta.insert(format!("tokenizer.ggml.{key}"), value).unwrap();
        Tokenizer::from_gguf(&meta).unwrap()
    };
    for key in [
        "bos_token_id",
        "eos_token_id",
        "eot_token_id",
        "eom_token_id",
        "fim_pad_token_id",
        "padding_token_id",
        "unknown_token_id",
        "seperator_token_id",
        "mask_token_id",
        "suffix_token_id",
    ] {
        let odd = [
            Value::U32(259),
            Value::U32(u32::MAX),
            Value::I32(-1),
            Value::I64(-1),
            Value::String("<s>".into()),
            Value::F32(0.5),
            Value::Array(vec![Value::I32(-1), Value::I32(99_999)]),
        ];
        for value in odd {
            let t = named(key, value.clone());
            assert_eq!((t.bos(), t.eos()), (None, None), "{key} {value:?}");
            let [notice] = t.notices() else { panic!("{key} {value:?}: {:?}", t.notices()) };
            assert!(notice.code == "gguf.skipped" && notice.cause.contains(key), "{notice}");
        }
        assert!(named(key, Value::I64(257)).notices().is_empty());
    }
    assert_eq!(named("bos_token_id", Value::U64(257)).bos(), Some(257));
    // A list: the first is the file's own, all end an answer.
    let t = named("eos_token_id", Value::Array(vec![Value::I32(257), Value::I32(-1), Value::I32(98)]));
    assert_eq!((t.eos(), t.is_end(257), t.is_end(98), t.notices().len()), (Some(257), true, true, 1));
    let t = named("add_bos_token", Value::U8(1));
    assert!(t.notices().is_empty());
    assert_eq!(named("add_bos_token", Value::String("yes".into())).notices().len(), 1);
    assert_eq!(named("chat_template", Value::U8(1)).notices().len(), 0, "no entry of this name is read");
}

#[test]
fn types_that_say_nothing_are_those_of_text() {
    let letters = |types: Option<Value>| {
        let mut meta = metadata(&alphabet(), None, &[], Some("gpt-2"));
        types.into_iter().for_each(|types| meta.insert("tokenizer.ggml.token_type", types).unwrap());
        Tokenizer::from_gguf(&meta).unwrap()
    };
    let ids = |t: &Tokenizer| t.encode("Abc", false).unwrap();
    let list = |types: &[i32]| Value::Array(types.iter().map(|t| Value::I32(*t)).collect());
    let cases = [
        (list(&[1; 256]), 0),
        (list(&[1; 300]), 0),
        (list(&[1; 200]), 1),
        (list(&[7; 256]), 1),
        (list(&[-1; 256]), 1),
        (list(&[]), 1),
        // Of a byte in a vocabulary that has none.
        (list(&[6; 256]), 1),
        (Value::Array(vec![Value::U8(1); 256]), 0),
        (Value::Array(vec![Value::String("normal".into()); 256]), 1),
        (Value::String("normal".into()), 1),
    ];
    for (types, notices) in cases {
        let t = letters(Some(types.clone()));
        assert_eq!((ids(&t), t.notices().len()), (ids(&letters(None)), notices), "{types:?}");
    }
}

#[test]
fn random_vocabularies_are_read_or_refused() {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(9_431);
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let letters = alphabet();
    let (mut read, mut refused) = (0, 0);
    for _ in 0..150 {
        let mut tokens = letters.clone();
        let mut merges = Vec::new();
        for _ in 0..rng.random_range(0..60) {
            let (left, right) = (rng.random_range(0..tokens.len()), rng.random_range(0..tokens.len()));
            let (left, right) = (tokens[left].clone(), tokens[right].clone());
            tokens.push(format!("{left}{right}"));
            merges.push(format!("{left} {right}"));
        }
        // Damage: strange tokens, strange types, merges out of nowhere.
        for _ in 0..rng.random_range(0..3) {
            let at = rng.random_range(0..tokens.len());
            tokens[at] = ["", " ", "\u{0}", "</s>", "é", "<0x41>", "a", "🐱"][rng.random_range(0..8)].to_owned();
        }
        let types: Vec<i32> =
            tokens.iter().map(|_| if rng.random_bool(0.02) { rng.random_range(0..6) } else { 1 }).collect();
        let types = rng.random_bool(0.7).then_some(types.as_slice());
        let pre = ["gpt-2", "llama-bpe", "smollm", "tekken", "deepseek-llm", "deepseek-v3", "falcon", "none"]
            [rng.random_range(0..8)];
        match Tokenizer::from_gguf(&metadata(&tokens, types, &merges, Some(pre))) {
            Ok(t) => {
                let text: String =
                    (0..200).map(|_| char::from_u32(rng.random_range(1..0x300)).unwrap_or('x')).collect();
                let ids = t.encode(&text, rng.random_bool(0.5)).unwrap();
                assert!(ids.iter().all(|id| (*id as usize) < t.vocab_size()));
                t.decode(&ids);
                read += 1;
            }
            Err(e) => {
                assert!(e.code == "tokenizer.vocab", "{e}");
                refused += 1;
            }
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 100, "{read} read, {refused} refused");
}
