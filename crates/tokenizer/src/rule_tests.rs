//! Each rule beside the regular expressions it stands for.

use crate::rule::{CASED, GPT_2, GPT_4O, IDEOGRAPHS, LLAMA_3, MARKS, Named, QWEN_2, Rule, TEKKEN};
use fancy_regex::Regex;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokenizers::pipeline::PreTokenizerScratch;

/// What llama.cpp and the models' own tokenizers say, one expression within the pieces of the one before.
fn expressions(rule: Rule) -> Vec<String> {
    let cased = format!(r"\s?[{CASED}]+");
    let marks = format!(r"\s?[{MARKS}]+");
    let ideographs = format!("[{IDEOGRAPHS}]+");
    let word = r" ?[^(\s|.,!?…。，、।۔،)]+";
    let list: Vec<&str> = match rule {
        Rule::Gpt2 => vec![GPT_2],
        Rule::Digits => vec![r"\p{N}", GPT_2],
        Rule::Llama3 => vec![LLAMA_3],
        Rule::Qwen2 => vec![QWEN_2],
        Rule::Tekken => vec![TEKKEN],
        Rule::Gpt4o => vec![GPT_4O],
        Rule::DeepSeekLlm => vec!["[\r\n]", &cased, &marks, r"\s+$", &ideographs, r"\p{N}+"],
        Rule::DeepSeekCoder => vec!["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", &ideographs, r"\p{N}"],
        Rule::DeepSeekV3 => vec![
            r"\p{N}{1,3}",
            "[一-龥\u{3040}-ゟ゠-ヿ]+",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
        ],
        Rule::Falcon => vec![r"[\p{P}\$\+<=>\^~\|`]+", GPT_2, "[0-9][0-9][0-9]"],
        Rule::Bloom => vec![word],
        Rule::Viking => vec![word, r"\p{N}"],
        Rule::Unnamed => vec![r"[\p{P}\$\+<=>\^~\|]+", GPT_2, r"\p{N}+", "[0-9][0-9][0-9]"],
    };
    list.into_iter().map(str::to_owned).collect()
}

const RULES: [Rule; 13] = [
    Rule::Gpt2,
    Rule::Digits,
    Rule::Llama3,
    Rule::Qwen2,
    Rule::Tekken,
    Rule::Gpt4o,
    Rule::DeepSeekLlm,
    Rule::DeepSeekCoder,
    Rule::DeepSeekV3,
    Rule::Falcon,
    Rule::Bloom,
    Rule::Viking,
    Rule::Unnamed,
];

fn by_expressions<'a>(text: &'a str, expressions: &[Regex]) -> Vec<&'a str> {
    let mut pieces = vec![text];
    for regex in expressions {
        let mut next = Vec::new();
        for piece in pieces {
            let mut from = 0;
            for found in regex.find_iter(piece).map(Result::unwrap) {
                next.extend([&piece[from..found.start()], found.as_str()]);
                from = found.end();
            }
            next.push(&piece[from..]);
        }
        next.retain(|piece| !piece.is_empty());
        pieces = next;
    }
    pieces
}

fn by_rule(text: &str, rule: Rule) -> Vec<&str> {
    let spans = rule.splitter().unwrap().split(text, &mut PreTokenizerScratch::default()).unwrap();
    spans.iter().map(|span| &text[span.range()]).collect()
}

#[test]
fn every_rule_cuts_as_its_expressions_say() {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(40_117);
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    // Characters of every class, all of old Unicode versions: tables differ in what is new.
    let pool: Vec<char> = "aZbQzé ÜßñДжΩλ'’`sStmdlLrevVE0129½²Ⅷ٣३.,;:!?…。，、।()[]{}<>|/\\-_$+=^~€©№\u{301}\u{94d}\u{300b}日本の한글กខ　🚀\u{fe0f}\u{200d}\u{0}\u{ad}ǅʰªºⓐ"
        .chars()
        .chain("  \t\r\n\u{a0}\u{2003}    \n\n".chars())
        .collect();
    let mut texts: Vec<String> = (0..400)
        .map(|_| {
            let length = rng.random_range(0..40);
            (0..length).map(|_| *pool.choose(&mut rng).unwrap()).collect()
        })
        .collect();
    texts.extend(
        [
            "I'LL we've  don't",
            "  \n\n  x \n",
            "12345 1 a1b22",
            "a\u{3000}b。　",
            "x  ",
            "\r\n\r\n",
            "ﬁ ΣΊΣΥΦΟΣ ПРИВЕТмир миРмир",
        ]
        .map(str::to_owned),
    );
    for rule in RULES {
        let expressions: Vec<Regex> = expressions(rule).iter().map(|e| Regex::new(e).unwrap()).collect();
        for text in &texts {
            assert_eq!(by_rule(text, rule), by_expressions(text, &expressions), "{rule:?}: {text:?}");
        }
    }
}

#[test]
fn words_by_hand() {
    assert_eq!(
        by_rule("It's 12345, isn't it?\n\n Yes", Rule::Llama3),
        ["It", "'s", " ", "123", "45", ",", " isn", "'t", " it", "?\n\n", " Yes"]
    );
    assert_eq!(by_rule("It's 123  x", Rule::Digits), ["It", "'s", " ", "1", "2", "3", " ", " x"]);
    assert_eq!(by_rule("HelloWorld 12", Rule::Tekken), ["Hello", "World", " ", "1", "2"]);
}

#[test]
fn names_lead_to_rules_and_unknown_ones_say_so() {
    for (name, rule) in
        [("llama-bpe", Rule::Llama3), ("smaug-bpe", Rule::Llama3), ("dbrx", Rule::Llama3), ("phi-2", Rule::Gpt2)]
            .into_iter()
            .chain([("smollm", Rule::Digits), ("tekken", Rule::Tekken), ("deepseek-llm", Rule::DeepSeekLlm)])
    {
        let named = Named::from_name(Some(name));
        assert!(named.rule == rule && named.notice.is_none(), "{name}");
        assert_eq!(named.whole_words, ["llama-bpe", "tekken"].contains(&name), "{name}");
        assert_eq!(named.adds_bos, named.whole_words, "{name}");
    }
    for (name, said) in [(Some("next-year"), "next-year"), (Some("default"), "default"), (None, "does not say")] {
        let notice = Named::from_name(name).notice.unwrap();
        assert!(notice.code == "tokenizer.pre" && notice.cause.contains(said), "{notice}");
    }
}
