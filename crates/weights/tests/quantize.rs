//! A file in another type: which tensor becomes what, and that the bytes are those of `quantize`.

mod common;

use common::Rng;
use lantern_graph::Error;
use lantern_testing::data;
use lantern_weights::{
    ByteSource, FileSource, GgmlType, Gguf, GgufWriter, MemorySource, QuantizeOptions, QuantizePlan, Value, dequantize,
    quantize,
};

const ROWS: usize = 9;

fn options(target: GgmlType) -> QuantizeOptions {
    QuantizeOptions { target, pure: false, allow_requantize: false }
}

/// A file of one tensor of each kind, whose values differ from type to type and place to place.
fn model(stored: GgmlType, tied: bool) -> GgufWriter {
    model_of(stored, tied, ROWS)
}

fn model_of(stored: GgmlType, tied: bool, up_rows: usize) -> GgufWriter {
    let mut writer = GgufWriter::default();
    for (key, value) in [
        ("general.architecture", Value::String("llama".into())),
        ("general.file_type", Value::U32(0)),
        ("general.name", Value::String("test".into())),
    ] {
        writer.metadata(key, value).unwrap();
    }
    let mut rng = Rng(0x71_57a9);
    let mut put = |name: &str, shape: &[usize], ggml_type| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() * 0.1).collect();
        writer.tensor_f32(name, shape, ggml_type, &values).unwrap();
    };
    put("token_embd.weight", &[ROWS, 512], stored);
    put("blk.0.attn_norm.weight", &[512], GgmlType::F32);
    put("blk.0.attn_q.weight", &[ROWS, 512], stored);
    put("blk.0.ffn_up.weight", &[up_rows, 512], stored);
    put("blk.0.attn_k.weight", &[ROWS, 96], stored);
    if !stored.is_quantized() {
        put("blk.0.attn_v.weight", &[ROWS, 50], stored);
        put("blk.0.attn_q.bias", &[50], stored);
    }
    put("blk.0.ffn_gate_inp.weight", &[ROWS, 512], GgmlType::F32);
    put("blk.0.note", &[ROWS, 32], GgmlType::F32);
    if !tied {
        put("output.weight", &[ROWS, 512], stored);
    }
    writer
}

struct Made {
    before: MemorySource,
    old: Gguf,
    after: MemorySource,
    new: Gguf,
    notes: Vec<String>,
}

fn open(bytes: Vec<u8>) -> (MemorySource, Gguf) {
    let source = MemorySource::new(bytes);
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    (source, gguf)
}

fn make(writer: &GgufWriter, options: &QuantizeOptions, threads: usize) -> Result<Made, Error> {
    let (before, old) = open(writer.finish().unwrap());
    let plan = QuantizePlan::new(&old, options)?;
    let mut told = Vec::new();
    let out = pollster::block_on(plan.write(&before, &old, Vec::new(), threads, &mut |done| told.push(done)))?;
    assert!(told.is_sorted() && told.last() == Some(&old.tensors.iter().map(|t| t.bytes).sum()), "{told:?}");
    let (after, new) = open(out);
    assert_eq!(plan.bytes(), new.tensors.iter().map(|t| t.bytes).sum::<u64>());
    Ok(Made { before, old, after, new, notes: plan.notes })
}

fn bytes(source: &MemorySource, gguf: &Gguf, name: &str) -> (GgmlType, Vec<u8>) {
    let tensor = gguf.tensor(name).unwrap();
    let mut bytes = vec![0; tensor.bytes as usize];
    pollster::block_on(source.read(tensor.offset, &mut bytes)).unwrap();
    (tensor.ggml_type, bytes)
}

#[test]
fn tensors_become_what_llama_cpp_makes_of_them() {
    use GgmlType::*;
    // For each target: rows of 512, of 96, of 50, and the last matrix.
    for (target, plain, rows_of_96, rows_of_50, last, file_type) in [
        (F32, F32, F32, F32, F32, 0),
        (F16, F16, F16, F16, F16, 1),
        (BF16, BF16, BF16, BF16, BF16, 32),
        (Q8_0, Q8_0, Q8_0, F16, Q8_0, 7),
        (Q4_0, Q4_0, Q4_0, F16, Q6K, 2),
        (Q4_1, Q4_1, Q4_1, F16, Q6K, 3),
        (Q5_0, Q5_0, Q5_0, F16, Q6K, 8),
        (Q5_1, Q5_1, Q5_1, F16, Q6K, 9),
        (Q2K, Q2K, Q4_0, F16, Q6K, 10),
        (Q3K, Q3K, Q4_0, F16, Q6K, 11),
        (Q4K, Q4K, Q5_0, F16, Q6K, 14),
        (Q5K, Q5K, Q5_1, F16, Q6K, 16),
        (Q6K, Q6K, Q8_0, F16, Q6K, 18),
    ] {
        for tied in [false, true] {
            let made = make(&model(F16, tied), &options(target), 3).unwrap();
            let keys: Vec<_> = made.new.metadata.iter().map(|(key, _)| key).collect();
            let all = ["general.architecture", "general.file_type", "general.name", "general.quantization_version"];
            assert_eq!(keys, all, "in their order");
            assert_eq!(made.new.metadata.u32("general.file_type").unwrap(), file_type);
            assert_eq!(made.new.metadata.u32("general.quantization_version").unwrap(), 2);
            assert_eq!(made.new.metadata.str("general.name").unwrap(), "test");
            let names = |gguf: &Gguf| -> Vec<(String, Vec<usize>)> {
                gguf.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect()
            };
            assert_eq!(names(&made.old), names(&made.new));
            for tensor in &made.new.tensors {
                let want = match tensor.name.as_str() {
                    "blk.0.attn_norm.weight" | "blk.0.attn_q.bias" | "blk.0.ffn_gate_inp.weight" | "blk.0.note" => F32,
                    "blk.0.attn_k.weight" => rows_of_96,
                    "blk.0.attn_v.weight" => rows_of_50,
                    "output.weight" => last,
                    "token_embd.weight" if tied => last,
                    _ => plain,
                };
                assert_eq!(tensor.ggml_type, want, "{target}: {}", tensor.name);
                let (from, old) = bytes(&made.before, &made.old, &tensor.name);
                let mut values = vec![0f32; tensor.elements() as usize];
                dequantize(from, &old, &mut values).unwrap();
                let (_, new) = bytes(&made.after, &made.new, &tensor.name);
                assert!(new == quantize(want, &values).unwrap(), "{target}: the bytes of {}", tensor.name);
            }
            let said = made.notes.join("\n");
            for (said_if, what) in [
                (rows_of_96 != target, "blk.0.attn_k.weight is stored as"),
                (rows_of_50 != target, "rows of 50 are not whole"),
                (last != target, "where most is at stake; --pure"),
                (F32 != target, "blk.0.ffn_gate_inp.weight is kept as F32"),
            ] {
                assert_eq!(said.contains(what), said_if, "{target}: {said}");
            }
        }
    }
    let pure = QuantizeOptions { pure: true, ..options(Q4K) };
    assert_eq!(make(&model(F32, false), &pure, 1).unwrap().new.tensor("output.weight").unwrap().ggml_type, Q4K);
}

/// More values than a piece has, cut for three threads: nothing is lost or doubled where parts meet.
#[test]
fn pieces_and_threads_change_nothing() {
    let name = "blk.0.ffn_up.weight";
    let made = make(&model_of(GgmlType::F32, false, 2100), &options(GgmlType::Q4_0), 3).unwrap();
    let (_, old) = bytes(&made.before, &made.old, name);
    let mut values = vec![0f32; 2100 * 512];
    dequantize(GgmlType::F32, &old, &mut values).unwrap();
    assert!(bytes(&made.after, &made.new, name).1 == quantize(GgmlType::Q4_0, &values).unwrap());
}

#[test]
fn what_would_lose_twice_is_refused_unless_asked_for() {
    let error = make(&model(GgmlType::Q8_0, false), &options(GgmlType::Q4_0), 1).err().unwrap();
    assert_eq!(error.code, "quantize.requantize");
    assert_eq!(error.cause, "tensor token_embd.weight is Q8_0 already, and would lose again as Q4_0");
    assert!(error.remedy.contains("allow it"), "{error}");
    let allowed = QuantizeOptions { allow_requantize: true, ..options(GgmlType::Q4_0) };
    let made = make(&model(GgmlType::Q8_0, false), &allowed, 1).unwrap();
    assert_eq!(made.new.tensor("blk.0.ffn_up.weight").unwrap().ggml_type, GgmlType::Q4_0);
    // Nothing is lost on the way to f32, or where all is as it should be.
    for same in [GgmlType::F32, GgmlType::Q8_0] {
        let made = make(&model(GgmlType::Q8_0, false), &options(same), 1).unwrap();
        assert_eq!(made.new.tensor("blk.0.attn_q.weight").unwrap().ggml_type, same);
    }
}

#[test]
fn files_that_cannot_be_converted_are_refused_by_name() {
    let mut strange = model(GgmlType::F32, true);
    strange.tensor("blk.1.ffn_up.weight", &[2, 256], GgmlType::Iq4Xs, vec![0; 272]);
    let error = make(&strange, &options(GgmlType::Q8_0), 1).err().unwrap();
    assert!(error.code == "gguf.type" && error.cause.contains("blk.1.ffn_up.weight is IQ4_XS"), "{error}");

    // What is not converted is copied, whatever it is, unless nobody knows how long it is.
    let mut numbers = model(GgmlType::F32, true);
    numbers.tensor("blk.0.ids", &[2, 3], GgmlType::I32, (0..24).collect());
    let made = make(&numbers, &options(GgmlType::Q8_0), 1).unwrap();
    assert_eq!(bytes(&made.after, &made.new, "blk.0.ids"), (GgmlType::I32, (0..24).collect()));
    numbers.tensor("blk.0.new", &[2, 3], GgmlType::Unknown(77), vec![1; 24]);
    assert_eq!(make(&numbers, &options(GgmlType::Q8_0), 1).err().unwrap().code, "gguf.type");

    let mut part = model(GgmlType::F32, true);
    part.metadata("split.count", Value::U16(3)).unwrap();
    assert_eq!(make(&part, &options(GgmlType::Q8_0), 1).err().unwrap().code, "gguf.split");

    for (value, code) in [(f32::NAN, "weights.not_a_number"), (1e9, "weights.range")] {
        let mut bad = model(GgmlType::F32, true);
        let mut raw = vec![0; 4 * 512 * 512];
        raw[777 * 4..778 * 4].copy_from_slice(&value.to_le_bytes());
        bad.tensor("blk.1.ffn_up.weight", &[512, 512], GgmlType::F32, raw);
        for threads in [1, 2] {
            let error = make(&bad, &options(GgmlType::Q4K), threads).err().unwrap();
            assert!(error.code == code && error.cause.starts_with("tensor blk.1.ffn_up.weight: "), "{error}");
        }
    }
    let unread = make(&model(GgmlType::F32, true), &options(GgmlType::Iq4Xs), 1).err().unwrap();
    assert!(unread.code == "gguf.type" && unread.cause.contains("IQ4_XS"), "{unread}");
}

/// The same model's q8_0 file, made by another converter: the same bytes in every matrix.
#[test]
fn a_real_model_becomes_its_published_q8_0_file() {
    let find = |name: &str| data(&format!("weights/stories260K/stories260K.{name}.gguf"));
    let (Some(exact), Some(published)) = (find("f32"), find("q8_0")) else { return };
    let exact = FileSource::open(exact).unwrap();
    let old = pollster::block_on(Gguf::read(&exact)).unwrap();
    let plan = QuantizePlan::new(&old, &options(GgmlType::Q8_0)).unwrap();
    let (ours, new) = open(pollster::block_on(plan.write(&exact, &old, Vec::new(), 2, &mut |_| ())).unwrap());
    let (theirs, published) = open(std::fs::read(published).unwrap());
    let mut same = 0;
    for tensor in &published.tensors {
        let (kind, there) = bytes(&theirs, &published, &tensor.name);
        let (our_kind, here) = bytes(&ours, &new, &tensor.name);
        // Rows of 172 are not whole blocks: that converter left them as they were, we follow llama.cpp.
        if tensor.shape.last() == Some(&172) {
            assert_eq!((kind, our_kind), (GgmlType::F32, GgmlType::F16), "{}", tensor.name);
            continue;
        }
        assert_eq!(our_kind, kind, "{}", tensor.name);
        assert!(here == there, "{}: the bytes", tensor.name);
        same += usize::from(kind == GgmlType::Q8_0);
    }
    // Embedding and output, and six matrices in each of five blocks.
    assert_eq!(same, 2 + 6 * 5);
}
