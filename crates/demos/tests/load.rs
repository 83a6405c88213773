//! What loading promises: bounded memory, true progress, an end on request, and a refusal for what would run wrongly.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::{Llama, SMALL, load, random_model, random_writer};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{ChatModel, LoadOptions, Message, check};
use lantern_demos::{Progress, Stage};
use lantern_graph::{Cancel, Executor, Result};
use lantern_weights::{ByteSource, GgmlType, Gguf, GgufWriter, MemorySource, Value};
use pollster::block_on;

fn cpu() -> Rc<Cpu> {
    Rc::new(Cpu::new(Mode::Fast))
}

/// Remembers the longest read.
struct Watched {
    inner: MemorySource,
    longest: Cell<usize>,
}

impl ByteSource for Watched {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.longest.set(self.longest.get().max(buf.len()));
        self.inner.read(offset, buf).await
    }
}

/// Its embedding is 20 MB.
fn large() -> Vec<u8> {
    random_model(Llama { vocab: 40_001, hidden: 128, tied: true, layers: 1, ..SMALL }, 30)
}

#[test]
fn weights_come_in_chunks_and_are_counted_in_bytes() {
    let bytes = large();
    let source = Watched { inner: MemorySource::new(bytes.as_slice()), longest: Cell::new(0) };
    let mut heard: Vec<Progress> = Vec::new();
    let cancel = Cancel::new();
    let model = block_on(ChatModel::load(&cpu(), &source, &LoadOptions::default(), &mut |p| heard.push(p), &cancel));
    let model = Rc::new(model.unwrap());
    assert!(source.longest.get() <= 8 << 20, "{} bytes at once", source.longest.get());
    let weights: Vec<_> = heard.iter().filter(|p| p.stage == Stage::Weights).collect();
    assert!(weights.len() > 12, "one per tensor and three for the embedding");
    assert!(weights.windows(2).all(|pair| pair[0].done < pair[1].done && pair[0].total == pair[1].total));
    assert_eq!(weights.last().unwrap().done, weights[0].total);
    assert!(weights[0].total as usize > 40_001 * 128 * 4 && (weights[0].total as usize) < bytes.len());
    assert_eq!(heard.last().unwrap().stage, Stage::Upload);

    heard.clear();
    block_on(model.session(&mut |p| heard.push(p), &cancel)).unwrap();
    assert!(heard.iter().all(|p| p.stage == Stage::Compile && p.total == 2));
    assert_eq!(heard.iter().map(|p| p.done).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_load_stops_between_chunks_and_frees_what_it_took() {
    let executor = cpu();
    let source = MemorySource::new(large());
    let (cancel, mut heard) = (Cancel::new(), 0);
    let stopped = block_on(ChatModel::load(
        &executor,
        &source,
        &LoadOptions::default(),
        &mut |_| {
            heard += 1;
            if heard == 2 {
                cancel.cancel();
            }
        },
        &cancel,
    ));
    assert!(stopped.err().unwrap().is_cancelled());
    assert_eq!((heard, executor.memory_bytes()), (2, 0));
}

#[test]
fn norms_may_be_stored_as_f16() {
    let with_norms = |ggml: GgmlType| {
        let mut w = random_writer(Llama { layers: 0, ..SMALL }, 31);
        let ones = |w: &mut GgufWriter, name: &str| {
            w.tensor_f32(name, &[64], ggml, &[1.0; 64]).unwrap();
        };
        ones(&mut w, "blk.0.attn_norm.weight");
        ones(&mut w, "blk.0.ffn_norm.weight");
        for (part, rows, columns) in [
            ("attn_q", 64, 64),
            ("attn_k", 32, 64),
            ("attn_v", 32, 64),
            ("attn_output", 64, 64),
            ("ffn_gate", 160, 64),
            ("ffn_up", 160, 64),
            ("ffn_down", 64, 160),
        ] {
            let values: Vec<f32> = (0..rows * columns).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect();
            w.tensor_f32(format!("blk.0.{part}.weight"), &[rows, columns], GgmlType::F32, &values).unwrap();
        }
        set_block_count(w.finish().unwrap(), 1)
    };
    let logits = |ggml| {
        let mut session = common::open(&cpu(), &with_norms(ggml), &LoadOptions::default()).unwrap();
        block_on(session.logits(&[5, 6, 7], &Cancel::new())).unwrap()
    };
    assert_eq!(logits(GgmlType::F16), logits(GgmlType::F32));
}

/// The writer refuses a key twice, so the number is changed in the file.
fn set_block_count(mut bytes: Vec<u8>, count: u32) -> Vec<u8> {
    let key = b"llama.block_count";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 4;
    bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn refused(bytes: &[u8], code: &str, cause: &str) {
    let error = load(&cpu(), bytes, &LoadOptions::default()).err().unwrap_or_else(|| panic!("{cause}: it was loaded"));
    assert!(error.code == code && error.cause.contains(cause), "expected {code} {cause:?}, got {error}");
}

#[test]
fn variants_this_version_lacks_are_named() {
    let text = |s: &str| Value::String(s.into());
    let cases = [
        ("llama.rope.scaling.type", text("longrope"), "longrope"),
        ("llama.expert_count", Value::U32(8), "8 experts"),
        ("llama.attention.value_length", Value::U32(8), "values have 8"),
    ];
    for (key, value, cause) in cases {
        let mut w = random_writer(SMALL, 32);
        w.metadata(key, value).unwrap();
        refused(&w.finish().unwrap(), "llama.unsupported", cause);
    }
    for (name, cause) in [
        ("rope_factors_long.weight", "rotary scaling"),
        ("blk.0.attn_norm.bias", "a bias"),
        ("blk.0.ffn_gate_inp.weight", "mixture of experts"),
        ("blk.0.mystery.weight", "none that this version knows"),
    ] {
        let mut w = random_writer(SMALL, 32);
        w.tensor_f32(name, &[32], GgmlType::F32, &[0.0; 32]).unwrap();
        refused(&w.finish().unwrap(), "llama.unsupported", cause);
    }
    for (name, cause) in [("rope_freqs.weight", "[32]"), ("blk.0.attn_q.bias", "[32]")] {
        let mut w = random_writer(SMALL, 32);
        w.tensor_f32(name, &[32], GgmlType::F32, &[0.0; 32]).unwrap();
        refused(&w.finish().unwrap(), "llama.tensor", cause);
    }
    for (key, number, code, cause) in [
        ("yarn_log_multiplier", 0.1, "llama.unsupported", "yarn_log_multiplier is 0.1"),
        ("yarn_beta_slow", 0.0, "llama.config", "beta_slow is 0"),
        ("attn_factor", f32::NAN, "llama.config", "attention factor is NaN"),
    ] {
        let mut w = random_writer(SMALL, 32);
        w.metadata("llama.rope.scaling.type", text("yarn")).unwrap();
        w.metadata("llama.rope.scaling.factor", Value::F32(4.0)).unwrap();
        w.metadata(format!("llama.rope.scaling.{key}"), Value::F32(number)).unwrap();
        refused(&w.finish().unwrap(), code, cause);
    }
    let mut harmless = random_writer(SMALL, 32);
    harmless.metadata("llama.rope.scaling.type", text("none")).unwrap();
    harmless.metadata("llama.attention.sliding_window", Value::U32(4096)).unwrap();
    harmless.metadata("llama.expert_count", Value::U32(0)).unwrap();
    load(&cpu(), &harmless.finish().unwrap(), &LoadOptions::default()).unwrap();
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let bytes = random_model(SMALL, 33);
    refused(&set_block_count(bytes.clone(), 3), "llama.tensor", "no tensor blk.2.attn_q.weight");
    refused(&set_block_count(bytes.clone(), 1), "llama.unsupported", "blk.1.");
    refused(&set_block_count(bytes.clone(), u32::MAX), "llama.config", "4294967295");
    refused(&bytes[..bytes.len() - 100], "gguf.tensor", "output.weight");
    refused(b"not a model at all", "gguf.magic", "GGUF");

    // More tokens than the embedding has rows, and heads of another size than the file's matrices.
    let mut w = random_writer(Llama { vocab: 40, ..SMALL }, 33);
    w.tensor_f32("extra.weight", &[1], GgmlType::F32, &[0.0]).unwrap();
    refused(&w.finish().unwrap(), "llama.unsupported", "extra.weight");
    let wide = Llama { heads: 2, kv_heads: 2, ..SMALL };
    let mut bytes = random_model(wide, 34);
    let key = b"llama.attention.head_count_kv";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 4;
    bytes[at] = 1;
    refused(&bytes, "llama.tensor", "blk.0.attn_k.weight is [64, 64]");
}

#[test]
fn a_type_this_version_cannot_read_is_named_with_its_tensor() {
    let mut w = random_writer(Llama { layers: 0, ..SMALL }, 35);
    w.tensor("blk.0.attn_q.weight", &[2, 256], GgmlType::Iq4Xs, vec![0; 272]);
    let bytes = set_block_count(w.finish().unwrap(), 1);
    let error = load(&cpu(), &bytes, &LoadOptions::default()).err().unwrap();
    assert!(error.code == "gguf.type" && error.cause.contains("blk.0.attn_q.weight is IQ4_XS"), "{error}");
}

/// The file with one entry in another spelling, or one more.
fn with_entry(key: &str, value: Value) -> Vec<u8> {
    let bytes = random_model(SMALL, 37);
    let source = MemorySource::new(bytes);
    let gguf = block_on(Gguf::read(&source)).unwrap();
    let mut w = GgufWriter::default();
    for (other, old) in gguf.metadata.iter().filter(|(other, _)| *other != key) {
        w.metadata(other, old.clone()).unwrap();
    }
    w.metadata(key, value).unwrap();
    for tensor in &gguf.tensors {
        let mut data = vec![0; tensor.bytes as usize];
        block_on(source.read(tensor.offset, &mut data)).unwrap();
        // As old converters pad shapes.
        let shape: Vec<usize> =
            vec![1; 4 - tensor.shape.len()].into_iter().chain(tensor.shape.iter().copied()).collect();
        w.tensor(&tensor.name, &shape, tensor.ggml_type, data);
    }
    w.finish().unwrap()
}

#[test]
fn numbers_may_be_spelled_otherwise_and_mean_the_same() {
    let logits = |bytes: &[u8]| {
        let mut session = common::open(&cpu(), bytes, &LoadOptions::default()).unwrap();
        block_on(session.logits(&[5, 6, 7], &Cancel::new())).unwrap()
    };
    let plain = logits(&random_model(SMALL, 37));
    let list = |value: Value, count| Value::Array(vec![value; count]);
    for (key, value) in [
        ("llama.attention.head_count_kv", list(Value::U32(2), 2)),
        ("llama.attention.head_count_kv", list(Value::I32(2), 1)),
        ("llama.attention.head_count", list(Value::I64(4), 2)),
        ("llama.feed_forward_length", list(Value::U64(160), 2)),
        ("llama.feed_forward_length", Value::F32(160.0)),
        ("llama.block_count", Value::U8(2)),
        ("llama.context_length", Value::F64(96.0)),
        ("llama.rope.dimension_count", list(Value::U16(16), 2)),
        ("llama.rope.freq_base", Value::U32(10_000)),
        ("llama.rope.freq_base", list(Value::F64(10_000.0), 2)),
        ("llama.rope.scaling.type", Value::String("None".into())),
        ("llama.rope.scaling.factor", Value::I32(1)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F64(1e-5)),
        ("llama.attention.sliding_window", Value::U64(0)),
        ("llama.expert_count", Value::Bool(false)),
        ("general.architecture", list(Value::String("llama".into()), 1)),
        ("llama.vocab_size", Value::U32(9)),
        ("general.file_type", Value::String("?".into())),
        ("general.name", Value::U8(7)),
    ] {
        let bytes = with_entry(key, value.clone());
        assert_eq!(logits(&bytes), plain, "{key} {value:?}");
        assert!(load(&cpu(), &bytes, &LoadOptions::default()).unwrap().notices().is_empty(), "{key} {value:?}");
    }
    for (key, value) in [
        ("llama.attention.sliding_window", Value::I32(-1)),
        ("llama.rope.freq_base", Value::String("ten thousand".into())),
        ("llama.attention.key_length", Value::Array(vec![])),
        ("llama.rope.scaling.type", Value::U32(3)),
        ("tokenizer.chat_template", Value::U32(3)),
        ("tokenizer.ggml.eot_token_id", Value::U32(999)),
    ] {
        let bytes = with_entry(key, value.clone());
        assert_eq!(logits(&bytes), plain, "{key} {value:?}");
        let model = load(&cpu(), &bytes, &LoadOptions::default()).unwrap();
        let [notice] = model.notices() else { panic!("{key} {value:?}: {:?}", model.notices()) };
        assert!(notice.code == "gguf.skipped" && notice.cause.contains(key), "{notice}");
    }
}

#[test]
fn blocks_that_differ_are_refused_with_the_block() {
    for (key, value) in [
        ("llama.attention.head_count_kv", Value::Array(vec![Value::U32(2), Value::U32(4)])),
        ("llama.feed_forward_length", Value::Array(vec![Value::I32(160), Value::I32(0)])),
    ] {
        let error = load(&cpu(), &with_entry(key, value), &LoadOptions::default()).err().unwrap();
        assert!(error.code == "llama.unsupported" && error.cause.contains("in block 1"), "{error}");
        assert!(error.cause.contains(key), "{error}");
    }
    let mut w = random_writer(SMALL, 38);
    w.metadata("llama.attention.sliding_window", Value::U32(8)).unwrap();
    let pattern = Value::Array(vec![Value::Bool(true), Value::Bool(false)]);
    w.metadata("llama.attention.sliding_window_pattern", pattern).unwrap();
    refused(&w.finish().unwrap(), "llama.unsupported", "sliding_window_pattern");
    // Required entries are required, in whatever spelling.
    refused(&with_entry("llama.block_count", Value::String("two".into())), "gguf.metadata", "llama.block_count");
    refused(&with_entry("llama.embedding_length", Value::Array(vec![])), "gguf.metadata", "llama.embedding_length");
}

/// One check for all: what `inspect` calls and what loading calls.
#[test]
fn the_check_knows_what_loading_and_the_first_question_would_say() {
    let checked = |bytes: &[u8]| {
        let gguf = block_on(Gguf::read(&MemorySource::new(bytes))).unwrap();
        check(&gguf, &LoadOptions::default())
    };
    let tokens = |count: usize| Value::Array((0..count).map(|i| Value::String(format!("t{i}"))).collect());
    let bytes = with_entry("tokenizer.ggml.tokens", tokens(102));
    let error = checked(&bytes).err().unwrap();
    assert!(error.code == "llama.tensor" && error.cause.contains("102 tokens and the embedding 101 rows"), "{error}");
    refused(&bytes, "llama.tensor", &error.cause);
    assert!(checked(&with_entry("tokenizer.ggml.tokens", tokens(100))).is_ok(), "fewer tokens than rows are padding");
    assert_eq!(
        checked(&with_entry("tokenizer.ggml.model", Value::String("bert".into()))).err().unwrap().code,
        "tokenizer.kind"
    );
    let error = checked(&with_entry("split.count", Value::I32(2))).err().unwrap();
    assert!(error.code == "gguf.split" && error.cause.contains("2 parts"), "{error}");

    let plain = checked(&random_model(SMALL, 37)).unwrap();
    plain.check_conversation().unwrap();
    assert_eq!(plain.all_notices().iter().map(|n| n.code).collect::<Vec<_>>(), ["chat.no_template"]);
    let template = |text: &str| with_entry("tokenizer.chat_template", Value::String(text.into()));
    let good = checked(&template("{{ messages[0].content }}")).unwrap();
    good.check_conversation().unwrap();
    assert!(good.all_notices().is_empty());
    for wrong in ["{{ if .System }}{{ end }}", "{% if %}", "{{ raise_exception('no') }}"] {
        let checked = checked(&template(wrong)).expect("texts can be continued");
        assert_eq!(checked.check_conversation().unwrap_err().code, "chat.template", "{wrong}");
    }
}

#[test]
fn prompts_with_and_without_a_template() {
    let plain = load(&cpu(), &random_model(SMALL, 36), &LoadOptions::default()).unwrap();
    assert!(!plain.has_template());
    assert_eq!(plain.raw_prompt("").unwrap(), [1], "only the file's first token");
    let words = [Message::new("user", "t5 t6"), Message::new("assistant", "t7")];
    assert_eq!(plain.chat_prompt(&words).unwrap(), plain.raw_prompt("t5 t6\nt7").unwrap());
    assert_eq!(plain.raw_prompt("</s>").unwrap().iter().filter(|id| **id == 2).count(), 0, "special tokens are text");

    let mut w = random_writer(SMALL, 36);
    let template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}";
    w.metadata("tokenizer.chat_template", Value::String(template.into())).unwrap();
    let chat = load(&cpu(), &w.finish().unwrap(), &LoadOptions::default()).unwrap();
    assert!(chat.has_template());
    let ids = chat.chat_prompt(&words[..1]).unwrap();
    assert_eq!((ids.first(), ids.last()), (Some(&1), Some(&2)), "special tokens of the template are tokens");
    assert_eq!(ids.iter().filter(|id| **id == 1).count(), 1, "one first token: {ids:?}");
}
