//! Against other implementations' ids and text: llama.cpp's vocabulary tests, the sentencepiece package, llama2.c.

mod common;

use common::{data, ids, json, read, tokenizer};

/// llama.cpp's vocabulary tests: strings in `.inp`, their ids in `.out`, one string per line. Every vocabulary in the
/// data's folder that comes with both.
#[test]
fn ids_of_llama_cpp() {
    let Some(folder) = data("tokenizers/ggml-vocab") else { return };
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut vocabularies: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "gguf")).collect();
    vocabularies.sort();
    let mut checked = Vec::new();
    for file in vocabularies {
        let name = file.file_stem().unwrap().to_string_lossy().replace("ggml-vocab-", "");
        let beside = |extension: &str| std::fs::read_to_string(file.with_extension(extension)).ok();
        let (Some(inp), Some(out)) = (beside("gguf.inp"), beside("gguf.out")) else { continue };
        let t = match read(&file) {
            Ok(t) => t,
            // WordPiece, Unigram; and byte-level ones in a build without them.
            Err(e) if e.code == "tokenizer.kind" => continue,
            Err(e) => panic!("{name}: {e}"),
        };
        assert!(t.notices().is_empty(), "{name}: {:?}", t.notices());
        // The file ends with a separator: its last string is empty and may have no line.
        let mut lines = out.lines();
        let mut strings = 0;
        for text in inp.split("\n__ggml_vocab_test__\n") {
            let expected = lines.next().unwrap_or_default();
            let expected: Vec<u32> = expected.split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(t.encode(text, false).unwrap(), expected, "{name}: {text:?}");
            assert_eq!(t.decode(&expected), text, "{name}: back to text");
            strings += 1;
        }
        assert!(strings > 40, "{name}: {strings} strings");
        checked.push(name);
    }
    println!("{checked:?}");
    for name in if cfg!(feature = "byte-level") { &["llama-spm", "phi-3", "gpt-2", "deepseek-coder"][..] } else { &[] }
    {
        assert!(checked.iter().any(|c| c == name), "{name} was not among {checked:?}");
    }
}

#[cfg(feature = "byte-level")]
#[test]
fn ids_of_clip() {
    let (Some(list), Some(cases)) =
        (data("tokenizers/clip-bpe/bpe_simple_vocab_16e6.txt.gz"), json("tokenizers/clip-bpe/clip_reference_ids.json"))
    else {
        return;
    };
    let mut merges = String::new();
    let file = std::fs::File::open(list).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut merges).unwrap();
    let t = lantern_tokenizer::ClipTokenizer::from_merges(&merges).unwrap();
    assert_eq!(
        (u64::from(t.bos()), u64::from(t.eos())),
        (cases["bos"].as_u64().unwrap(), cases["eos"].as_u64().unwrap())
    );
    assert_eq!(t.vocab_size() as u64, cases["vocab_size"].as_u64().unwrap());
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() > 90, "{} strings", cases.len());
    for case in cases {
        let text = case["text"].as_str().unwrap();
        assert_eq!(t.encode(text).unwrap(), ids(&case["ids"]), "{text:?}");
    }
}

#[test]
fn sentencepiece_ids() {
    let (Some(t), Some(cases)) = (
        tokenizer("tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf"),
        json("tokenizers/llama2-sentencepiece/llama2_reference_ids.json"),
    ) else {
        return;
    };
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        assert_eq!(t.encode(text, false).unwrap(), ids(&case["ids"]), "{text:?}");
        assert_eq!(t.decode(&ids(&case["ids"])), text);
    }
}

#[test]
fn a_generated_story_streams_exactly() {
    let (Some(t), Some(golden)) =
        (tokenizer("weights/stories260K/stories260K.f32.gguf"), json("weights/stories260K/golden_greedy.json"))
    else {
        return;
    };
    let (ids, text) = (ids(&golden["greedy_ids"]), golden["text"].as_str().unwrap());
    let mut stream = t.stream();
    let mut streamed: String = ids.iter().map(|id| stream.push(*id)).collect();
    streamed += &stream.finish();
    // The stream continues a prompt, so its first word keeps its space, as in the reference's text …
    assert_eq!(streamed, text);
    // … and a text decoded whole is what would be encoded, without the space the encoder adds.
    assert_eq!(format!(" {}", t.decode(&ids)), text);
    assert_eq!((t.bos(), t.eos(), t.add_bos(), t.vocab_size()), (Some(1), Some(2), true, 512));
    assert!(t.is_end(2) && !t.is_end(1));
}

#[test]
fn any_text_comes_back() {
    const SEED: u64 = 77_003;
    println!("seed {SEED}");
    for file in [
        "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf",
        "weights/stories260K/stories260K.q8_0.gguf",
        #[cfg(feature = "byte-level")]
        "tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf",
        #[cfg(feature = "byte-level")]
        "tokenizers/ggml-vocab/ggml-vocab-deepseek-coder.gguf",
    ] {
        let Some(t) = tokenizer(file) else { return };
        let mut state = SEED;
        let mut below = |n: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32) % n
        };
        for _ in 0..400 {
            let length = below(60);
            let text: String = (0..length)
                .filter_map(|_| match below(4) {
                    0 => char::from_u32(below(0x11_0000)),
                    1 => Some(" \n\t'-09"[below(7) as usize..].chars().next()?),
                    _ => char::from_u32(b'a' as u32 + below(26)),
                })
                // The vocabulary's own sign for a space cannot be told from one.
                .filter(|c| *c != '\u{2581}')
                .collect();
            let ids = t.encode(&text, false).unwrap();
            assert_eq!(t.decode(&ids), text, "{file}");
            let mut stream = t.stream();
            let streamed: String = ids.iter().map(|id| stream.push(*id)).collect();
            assert_eq!(streamed.trim_start_matches(' '), text.trim_start_matches(' '), "{file}");
            assert_eq!(stream.finish(), "", "{file}: text ends with a whole character");
        }
    }
}
