//! Against other implementations' ids and text: llama.cpp's vocabulary tests, the sentencepiece package, llama2.c.

mod common;

use common::{data, ids, json, tokenizer};

/// llama.cpp's vocabulary tests: strings in `.inp`, their ids in `.out`, one string per line.
fn agrees_with_llama_cpp(name: &str) {
    let base = format!("tokenizers/ggml-vocab/ggml-vocab-{name}.gguf");
    let (Some(t), Some(inp), Some(out)) =
        (tokenizer(&base), data(&format!("{base}.inp")), data(&format!("{base}.out")))
    else {
        return;
    };
    let (inp, out) = (std::fs::read_to_string(inp).unwrap(), std::fs::read_to_string(out).unwrap());
    let texts: Vec<&str> = inp.split("\n__ggml_vocab_test__\n").collect();
    let mut lines = out.lines();
    let mut checked = 0;
    for text in texts {
        // The file ends with a separator: its last string is empty and may have no line.
        let expected: Vec<u32> =
            lines.next().unwrap_or_default().split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(t.encode(text, false).unwrap(), expected, "{name}: {text:?}");
        assert_eq!(t.decode(&expected), text, "{name}: back to text");
        checked += 1;
    }
    assert!(checked > 40, "{name}: {checked} strings");
}

#[test]
fn llama_spm_ids() {
    agrees_with_llama_cpp("llama-spm");
}

#[test]
fn phi_3_ids() {
    agrees_with_llama_cpp("phi-3");
}

#[cfg(feature = "byte-level")]
#[test]
fn gpt_2_ids() {
    agrees_with_llama_cpp("gpt-2");
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
