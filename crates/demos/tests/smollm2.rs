//! A published chat model against numbers computed elsewhere: `training/smollm2/reference.py`, in float64, from the same file.
//! `cargo xtask verify --full` runs these; they need `cargo xtask model smollm2-135m`.

mod common;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use common::{load, open};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{GenerateOptions, LoadOptions, Message, PerplexityOptions, perplexity};
use lantern_graph::{Cancel, Executor};
use lantern_weights::download::sha256_hex;
use pollster::block_on;
use serde_json::{Value, json};

/// Of the mean negative log-likelihood, in nats: f32 against float64. 2e-9 was seen.
const EXACT_BOUND: f64 = 5e-6;
/// With keys and values as halves, and activations rounded to int8. 8e-4 was seen.
const FAST_BOUND: f64 = 5e-3;
/// By how much that may move one logit against another, of 25 to 31: 0.13 was seen.
const FAST_LOGITS: f64 = 0.5;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn case() -> Value {
    serde_json::from_slice(&std::fs::read(root().join("tests/cases/smollm2/case.json")).unwrap()).unwrap()
}

fn model(case: &Value) -> Vec<u8> {
    let path = root().join("www/models").join(case["file"].as_str().unwrap());
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask model smollm2-135m` fetches it", path.display()));
    assert_eq!(sha256_hex(&bytes), case["sha256"].as_str().unwrap(), "the file is that of the reference");
    bytes
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// Nats a token, on the text beside the case.
fn nll(mode: Mode, kv_f16: bool, file: &[u8], case: &Value) -> f64 {
    let cpu = Rc::new(Cpu::new(mode));
    let model = load(&cpu, file, &LoadOptions { kv_f16, ..LoadOptions::default() }).unwrap();
    let text = std::fs::read_to_string(root().join("tests/cases/smollm2/text.txt")).unwrap();
    let text_ids = model.tokenizer().encode(&text, false).unwrap();
    assert_eq!(text_ids, ids(&case["text_ids"]), "the text's ids");
    let context = case["context"].as_u64().unwrap() as usize;
    let options = PerplexityOptions { context, ..PerplexityOptions::default() };
    let found = block_on(perplexity(&model, &text_ids, &options, &mut |_| {}, &Cancel::new())).unwrap();
    assert_eq!(Some(found.scored_tokens as u64), case["scored_tokens"].as_u64());
    found.nll
}

#[test]
#[ignore = "needs `cargo xtask model smollm2-135m`; `cargo xtask verify --full` runs it"]
fn a_published_models_perplexity_is_the_float64_reference_s() {
    let case = case();
    let file = model(&case);
    let expected = case["nll"].as_f64().unwrap();
    let exact = nll(Mode::Exact, false, &file, &case);
    let fast = nll(Mode::Fast, true, &file, &case);
    let record = json!({
        "perplexity": case["perplexity"],
        "exact": {"perplexity": exact.exp(), "nats_off": exact - expected, "bound": EXACT_BOUND},
        "fast": {"perplexity": fast.exp(), "nats_off": fast - expected, "bound": FAST_BOUND},
    });
    println!("record: {record}");
    assert!((exact - expected).abs() < EXACT_BOUND, "exact: {exact} nats, {expected} expected");
    assert!((fast - expected).abs() < FAST_BOUND, "fast: {fast} nats, {expected} expected");
}

/// How many tokens of its answers are the reference's: all, or up to a choice so close that rounding may turn it.
fn answers<E: Executor>(executor: &Rc<E>, file: &[u8], case: &Value, options: &LoadOptions) -> Vec<usize> {
    let mut counts = Vec::new();
    for answer in case["answers"].as_array().unwrap() {
        let mut session = open(executor, file, options).unwrap();
        let question = answer["question"].as_str().unwrap();
        let prompt = session.model().chat_prompt(&[Message::new("user", question)]).unwrap();
        assert_eq!(prompt, ids(&answer["prompt_ids"]), "{question}: the template's ids");
        let max_tokens = case["answer_tokens"].as_u64().unwrap() as usize;
        let options = GenerateOptions { max_tokens, ..GenerateOptions::default() };
        let made = block_on(session.generate(&prompt, &options, &Cancel::new(), &mut |_| {})).unwrap().tokens;
        let mut expected = ids(&answer["ids"]);
        let margins: Vec<f64> = answer["margins"].as_array().unwrap().iter().map(|m| m.as_f64().unwrap()).collect();
        let parted = (0..expected.len().max(made.len())).find(|at| made.get(*at) != expected.get(*at));
        counts.push(parted.unwrap_or(expected.len()));
        if let Some(at) = parted {
            let lead = margins.get(at).copied().unwrap_or(f64::INFINITY);
            expected.truncate(at + 1);
            assert!(lead < FAST_LOGITS, "{question}: {made:?} for {expected:?}, which led by {lead} logits");
        }
    }
    counts
}

#[test]
#[ignore = "needs `cargo xtask model smollm2-135m`; `cargo xtask verify --full` runs it"]
fn a_published_model_answers_as_the_float64_reference_does() {
    let case = case();
    let file = model(&case);
    let plain = LoadOptions { kv_f16: false, ..LoadOptions::default() };
    let exact = answers(&Rc::new(Cpu::new(Mode::Exact)), &file, &case, &plain);
    let fast = answers(&Rc::new(Cpu::new(Mode::Fast)), &file, &case, &LoadOptions::default());
    let whole: Vec<usize> = case["answers"].as_array().unwrap().iter().map(|a| ids(&a["ids"]).len()).collect();
    println!("record: {}", json!({"tokens": whole, "exact": exact, "fast": fast}));
    assert_eq!(exact, whole, "exact gives every token of the reference");
}
