//! The GGUF reader: what it gives back for good files, and what it says about bad ones.

mod common;

use common::sample;
use lantern_graph::{DType, Error, WeightSpec};
use lantern_testing::data;
use lantern_weights::{
    ByteSource, ChatTemplates, FileSource, GgmlType, Gguf, GgufWriter, MemorySource, Metadata, QuantizeOptions,
    QuantizePlan, Rows, Safetensors, TensorInfo, Value, dequantize, quantize, safetensors_part,
};

fn read(bytes: Vec<u8>) -> Result<Gguf, Error> {
    pollster::block_on(Gguf::read(&MemorySource::new(bytes)))
}

fn refused(bytes: Vec<u8>, code: &str, says: &str) {
    let error = read(bytes).expect_err(says);
    assert_eq!(error.code, code, "{error}");
    assert!(error.cause.contains(says), "{error}");
    assert!(!error.remedy.is_empty());
}

fn one_tensor(shape: &[usize], ggml_type: GgmlType, bytes: usize) -> Vec<u8> {
    let mut writer = GgufWriter::default();
    writer.tensor("t", shape, ggml_type, vec![0; bytes]).finish().unwrap()
}

#[test]
fn what_was_written_is_read_in_both_versions() {
    for version in [2, 3] {
        let bytes = sample(version).finish().unwrap();
        let source = MemorySource::new(bytes.clone());
        let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
        assert_eq!((gguf.version, gguf.alignment, gguf.tensors.len()), (version, 32, 15));
        let m = &gguf.metadata;
        assert_eq!(m.str("general.architecture").unwrap(), "llama");
        assert_eq!((m.u32("a.u8").unwrap(), m.u32("a.u16").unwrap(), m.u32("a.u32").unwrap()), (1, 2, 3));
        assert_eq!(m.get("a.i8"), Some(&Value::I8(-1)));
        assert_eq!(m.get("a.u64").unwrap().as_u64(), Some(1 << 40));
        assert_eq!(m.get("a.i64").unwrap().as_i64(), Some(-4));
        assert_eq!((m.f32("a.f32").unwrap(), m.f32("a.f64").unwrap()), (0.25, 0.125));
        assert_eq!(m.find_bool("a.bool").unwrap(), Some(true));
        assert_eq!(m.strings("tokens").unwrap(), ["<unk>", "<s>", "\u{2581}the"]);
        assert_eq!(m.find_f32s("scores").unwrap().unwrap(), [0.0, -1.0, -2.0]);
        let keys: Vec<_> = m.iter().map(|(key, _)| key).collect();
        assert_eq!((keys[0], keys[13]), ("general.architecture", "scores"), "the file's order is kept");

        let q8 = gguf.tensor("w.q8").unwrap();
        assert_eq!((q8.shape.as_slice(), q8.bytes, q8.row_bytes(), q8.elements()), ([3, 32].as_slice(), 102, 34, 96));
        let mut block = vec![0; 102];
        pollster::block_on(source.read(q8.offset, &mut block)).unwrap();
        let mut values = [0f32; 96];
        dequantize(GgmlType::Q8_0, &block, &mut values).unwrap();
        for (i, value) in values.iter().enumerate() {
            assert!((value - (i as f32 / 7.0 - 5.0)).abs() < 0.04, "{i}: {value}");
        }
        assert!(gguf.tensors.iter().all(|t| t.offset % 32 == 0));
        assert!(gguf.tensor("w.none").is_none());
    }
}

#[test]
fn unknown_types_are_listed_and_refused_by_name() {
    let gguf = read(sample(3).finish().unwrap()).unwrap();
    let (iq4, new) = (gguf.tensor("w.iq4").unwrap(), gguf.tensor("w.new").unwrap());
    assert_eq!((iq4.bytes, new.bytes, new.shape.as_slice()), (136, 0, [2, 5].as_slice()));
    let error = iq4.supported().unwrap_err();
    assert_eq!(error.code, "gguf.type");
    let read = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";
    assert_eq!(error.cause, format!("tensor w.iq4 is IQ4_XS; this version reads {read}"));
    assert!(new.supported().unwrap_err().cause.contains("type 77"));
    assert_eq!(gguf.tensors.iter().filter(|t| t.supported().is_ok()).count(), GgmlType::READ.len());
}

/// All values of a tensor as f32, through `Rows`.
fn floats(source: &MemorySource, tensor: &TensorInfo) -> Result<Vec<f32>, Error> {
    let spec = WeightSpec { name: tensor.name.clone(), shape: tensor.shape.clone(), dtype: DType::F32 };
    let mut rows = Rows::gguf(source, tensor, &spec)?;
    let mut values = Vec::new();
    while let Some(chunk) = pollster::block_on(rows.next())? {
        values.extend(chunk.bytes.as_chunks().0.iter().map(|raw| f32::from_le_bytes(*raw)));
    }
    Ok(values)
}

#[test]
fn every_type_that_is_read_streams_as_f32() {
    let source = MemorySource::new(sample(3).finish().unwrap());
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    let read = gguf.tensors.iter().filter(|t| t.supported().is_ok());
    for tensor in read {
        let mut bytes = vec![0; tensor.bytes as usize];
        pollster::block_on(source.read(tensor.offset, &mut bytes)).unwrap();
        let mut expected = vec![0f32; tensor.elements() as usize];
        dequantize(tensor.ggml_type, &bytes, &mut expected).unwrap();
        assert_eq!(floats(&source, tensor).unwrap(), expected, "{}", tensor.name);
    }
}

#[test]
fn a_nan_is_refused_with_its_tensor_and_row() {
    for ggml_type in GgmlType::READ {
        let (len, width) = (ggml_type.block_len().unwrap(), ggml_type.block_bytes().unwrap());
        // Fourteen rows of one block; every byte of block 9 is 0xff, so its scale is, whatever its place.
        let mut bytes = quantize(ggml_type, &vec![0.5; len]).unwrap().repeat(14);
        bytes[9 * width..10 * width].fill(0xff);
        let mut writer = GgufWriter::default();
        writer.tensor("blk.0.ffn_up.weight", &[14, len], ggml_type, bytes);
        let source = MemorySource::new(writer.finish().unwrap());
        let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
        let error = floats(&source, &gguf.tensors[0]).unwrap_err();
        assert_eq!(error.code, "weights.not_a_number", "{ggml_type}: {error}");
        let what = if ggml_type.is_quantized() { "scale" } else { "value" };
        assert_eq!(error.cause, format!("tensor blk.0.ffn_up.weight: a {what} in row 9 is NaN or infinite"));
    }
    let mut writer = GgufWriter::default();
    let error = writer.tensor_f32("w", &[2], GgmlType::F32, &[0.0, f32::NAN]).err().unwrap();
    assert_eq!((error.code, error.cause.as_str()), ("weights.not_a_number", "tensor w: value 1 of 2 is NaN"));
}

#[test]
fn alignment_is_the_files_own() {
    let mut writer = GgufWriter::default();
    writer.metadata("general.alignment", Value::U32(128)).unwrap();
    writer.tensor_f32("a", &[3], GgmlType::F32, &[1.0, 2.0, 3.0]).unwrap();
    writer.tensor_f32("b", &[2], GgmlType::F32, &[4.0, 5.0]).unwrap();
    let bytes = writer.finish().unwrap();
    let gguf = read(bytes.clone()).unwrap();
    let b = gguf.tensor("b").unwrap();
    assert_eq!((gguf.alignment, b.offset % 128), (128, 0));
    assert_eq!(bytes[b.offset as usize..][..4], 4f32.to_le_bytes());

    let mut writer = GgufWriter::default();
    writer.metadata("general.alignment", Value::U32(24)).unwrap();
    refused(writer.finish().unwrap(), "gguf.metadata", "general.alignment is 24");
}

#[test]
fn other_files_and_versions_are_named() {
    let good = sample(3).finish().unwrap();
    let with_version = |raw: [u8; 4]| [&good[..4], &raw, &good[8..]].concat();
    refused(Vec::new(), "gguf.truncated", "ends at byte 0");
    refused(b"PK\x03\x04 and so on".to_vec(), "gguf.magic", "PK\\x03\\x04");
    refused(b"version https://git-lfs.github.com/spec/v1".to_vec(), "gguf.magic", "Git LFS");
    refused(with_version(1u32.to_le_bytes()), "gguf.version", "version 1");
    refused(with_version(4u32.to_le_bytes()), "gguf.version", "version 4");
    refused(with_version(3u32.to_be_bytes()), "gguf.version", "big-endian GGUF (version 3)");
}

#[test]
fn every_cut_is_an_error_with_the_place() {
    let good = sample(3).finish().unwrap();
    let data_end = {
        let gguf = read(good.clone()).unwrap();
        // The last tensor is of unknown type: its data may be missing unnoticed.
        let last = gguf.tensor("w.new").unwrap().offset as usize;
        assert_eq!(good.len(), last + 10);
        last
    };
    for cut in 0..data_end {
        let error = read(good[..cut].to_vec()).expect_err("a cut file");
        assert!(matches!(error.code, "gguf.truncated" | "gguf.tensor"), "cut at {cut}: {error}");
        assert!(error.cause.contains(&cut.to_string()) || error.cause.contains("are left"), "cut at {cut}: {error}");
    }
}

#[test]
fn lying_counts_are_refused_before_anything_is_allocated() {
    let good = sample(3).finish().unwrap();
    for (at, what) in [(8, "the tensor table"), (16, "the metadata")] {
        for lie in [u64::MAX, u64::MAX / 13, 1 << 40, good.len() as u64] {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            refused(bytes, "gguf.truncated", what);
        }
    }
    // The first key's length.
    let mut bytes = good.clone();
    bytes[24..32].copy_from_slice(&(u64::MAX - 7).to_le_bytes());
    refused(bytes, "gguf.truncated", "a metadata key");
}

/// The bytes are there, but no model has so many: each would cost more memory than it takes in the file.
#[test]
fn headers_of_absurd_size_are_refused() {
    let many = (1 << 16) + 1;
    let mut writer = GgufWriter::default();
    for i in 0..many {
        writer.tensor(format!("t{i}"), &[1], GgmlType::F32, Vec::new());
    }
    refused(writer.finish().unwrap(), "gguf.tensor", "the file claims 65537 tensors, more than 65536");
    let mut writer = GgufWriter::default();
    for i in 0..many {
        writer.metadata(format!("k{i}"), Value::U8(0)).unwrap();
    }
    refused(writer.finish().unwrap(), "gguf.metadata", "it claims 65537 keys, more than 65536");
    let mut writer = GgufWriter::default();
    writer.metadata("k", Value::Array(vec![Value::U8(0)])).unwrap();
    let mut bytes = writer.finish().unwrap();
    // The array's length is the last field before its one element.
    let (at, values) = (bytes.len() - 9, (4 << 20) + 1);
    bytes[at..at + 8].copy_from_slice(&(values as u64).to_le_bytes());
    bytes.resize(bytes.len() + values, 0);
    refused(bytes, "gguf.metadata", "its arrays hold more than 4194304 values");
    // Texts of half a megabyte: a header without end.
    let mut writer = GgufWriter::default();
    for i in 0..130 {
        writer.metadata(format!("k{i}"), Value::String("x".repeat(1 << 19))).unwrap();
    }
    refused(writer.finish().unwrap(), "gguf.metadata", "the header passes 64 MiB");
}

#[test]
fn impossible_tensors_are_refused() {
    let two = |first: &str, second: &str| {
        let mut writer = GgufWriter::default();
        writer.tensor(first, &[8], GgmlType::F32, vec![0; 32]).tensor(second, &[8], GgmlType::F32, vec![0; 32]);
        writer.finish().unwrap()
    };
    refused(two("same", "same"), "gguf.tensor", "twice");
    refused(one_tensor(&[33], GgmlType::Q8_0, 36), "gguf.tensor", "rows of 33");
    refused(one_tensor(&[8], GgmlType::F32, 31), "gguf.tensor", "pass the file's end");
    refused(one_tensor(&[1; 5], GgmlType::F32, 4), "gguf.tensor", "5 dimensions");
    refused(one_tensor(&[1 << 40, 1 << 40], GgmlType::F32, 4), "gguf.tensor", "makes no sense");
    refused(one_tensor(&[1 << 62], GgmlType::F32, 4), "gguf.tensor", "too many");

    // The second tensor's offset is the last field of the table, and the data section is 64 bytes.
    let good = two("one", "two");
    assert!(read(good.clone()).is_ok());
    let field = good.windows(3).rposition(|w| w == b"two").unwrap() + 3 + 4 + 8 + 4;
    for (offset, says) in
        [(0u64, "overlaps tensor"), (16, "not a multiple of 32"), (64, "pass"), (u64::MAX - 31, "pass")]
    {
        let mut bytes = good.clone();
        bytes[field..field + 8].copy_from_slice(&offset.to_le_bytes());
        refused(bytes, "gguf.tensor", says);
    }
}

/// ggml's own reader takes them; it counts no dimensions of 1 on the outside.
#[test]
fn tensors_of_no_dimensions_no_values_and_padded_shapes_are_read() {
    let mut writer = GgufWriter::default();
    writer.tensor("none", &[0, 8], GgmlType::F32, vec![]).tensor_f32("scalar", &[], GgmlType::F32, &[2.5]).unwrap();
    writer.tensor_f32("norm", &[1, 1, 1, 3], GgmlType::F32, &[1.0, 2.0, 3.0]).unwrap();
    writer.tensor_f32("matrix", &[1, 1, 2, 2], GgmlType::F32, &[1.0; 4]).unwrap();
    writer.tensor("last", &[5, 0, 32], GgmlType::Q8_0, vec![]);
    let source = MemorySource::new(writer.finish().unwrap());
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    let shapes: Vec<&[usize]> = gguf.tensors.iter().map(|t| t.shape.as_slice()).collect();
    assert_eq!(shapes, [&[0, 8][..], &[1], &[3], &[2, 2], &[5, 0, 32]]);
    assert_eq!(floats(&source, gguf.tensor("scalar").unwrap()).unwrap(), [2.5]);
    assert_eq!(floats(&source, gguf.tensor("norm").unwrap()).unwrap(), [1.0, 2.0, 3.0]);
    assert!(floats(&source, gguf.tensor("last").unwrap()).unwrap().is_empty());
    // They are copied, too.
    let options = QuantizeOptions { target: GgmlType::F16, pure: false, allow_requantize: false };
    let plan = QuantizePlan::new(&gguf, &options).unwrap();
    let written = pollster::block_on(plan.write(&source, &gguf, Vec::new(), 1, &mut |_| ())).unwrap();
    let copied = read(written).unwrap();
    assert_eq!(copied.tensors.iter().map(|t| t.shape.as_slice()).collect::<Vec<_>>(), shapes);
}

/// Parts are told apart from damaged files by what they say of themselves, in whatever type, and where they say nothing by
/// their names.
#[test]
fn parts_of_split_models_are_called_that() {
    let open = |entries: &[(&str, Value)], name| {
        let mut writer = GgufWriter::default();
        entries.iter().for_each(|(key, value)| _ = writer.metadata(*key, value.clone()).unwrap());
        writer.tensor("t", &[8], GgmlType::F32, vec![0; 32]);
        let source = MemorySource::new(writer.finish().unwrap()).named(name);
        pollster::block_on(Gguf::read(&source)).unwrap()
    };
    let part =
        |no: Value, count: Value| [("split.no", no), ("split.count", count), ("split.tensors.count", Value::I32(9))];
    let cases = [
        (part(Value::U16(0), Value::U16(2)), "a.gguf", "part 1 of 2", "-00001-of-00002.gguf"),
        (part(Value::I64(2), Value::I64(3)), "a.gguf", "part 3 of 3", "-00001-of-00003.gguf"),
        (part(Value::F32(1.0), Value::U8(3)), "a.gguf", "part 2 of 3", "FIRST OUT"),
        (part(Value::U32(7), Value::U32(3)), "a.gguf", "one of 3 parts", "merge"),
        (part(Value::U32(1), Value::U64(3)), "m-00002-of-00003.gguf", "part 2 of 3", "m-00001-of-00003.gguf m.gguf"),
    ];
    for (entries, name, says, remedy) in &cases {
        let error = open(entries, name).check_whole().unwrap_err();
        assert_eq!(error.code, "gguf.split");
        assert!(error.cause.contains(says) && error.remedy.contains(remedy), "{error}");
    }
    let error = open(&cases[0].0[2..], "a.gguf").check_whole().unwrap_err();
    assert!(error.code == "gguf.split" && error.remedy.contains("merge"), "{error}");
    let error = open(&cases[0].0[1..], "m-00002-of-00002.gguf").check_whole().unwrap_err();
    assert!(error.cause.contains("part 2 of 2"), "{error}");
    // A whole model may have been split into one part, or have kept a part's name.
    open(&[("split.count", Value::U16(1)), ("split.tensors.count", Value::I32(1))], "a.gguf").check_whole().unwrap();
    open(&[("split.count", Value::U16(0))], "a.gguf").check_whole().unwrap();
    let kept = open(&[], "m-00001-of-00003.gguf");
    kept.check_whole().unwrap();
    let lacks = || Error::new("gguf.metadata", "something is missing", "convert it again");
    assert!(kept.unless_part(lacks()).cause.contains("part 1 of 3"));
    for name in ["a.gguf", "model-1-of-1.gguf", "best-of-5.gguf", "a-b-of-c.gguf", "-of-.gguf", ""] {
        assert_eq!(open(&[], name).unless_part(lacks()).code, "gguf.metadata", "{name}");
    }
    // Pieces of bytes, and lists of parts, are no GGUF at all.
    for (name, says) in [
        ("m.gguf.part2of3", "part 2 of 3"),
        ("m.gguf-split-b", "part 2 of a file"),
        ("model.safetensors.index.json", "list of a split model's parts"),
    ] {
        let error = pollster::block_on(Gguf::read(&MemorySource::new(vec![7; 64]).named(name))).unwrap_err();
        assert!(error.code == "gguf.split" && error.cause.contains(says), "{error}");
        let error = pollster::block_on(Safetensors::read(&MemorySource::new(vec![7; 64]).named(name))).unwrap_err();
        assert!(error.code == "gguf.split" && error.cause.contains(says), "{error}");
    }
    let error = safetensors_part("model-00002-of-00005.safetensors").unwrap();
    assert!(error.code == "safetensors.split" && error.cause.contains("part 2 of 5"), "{error}");
    assert!(safetensors_part("model.safetensors").is_none());
}

/// Converters disagree about the type of a number.
#[test]
fn numbers_are_read_whatever_their_type() {
    let eight = [
        Value::U8(8),
        Value::I8(8),
        Value::U16(8),
        Value::I16(8),
        Value::U32(8),
        Value::I32(8),
        Value::U64(8),
        Value::I64(8),
        Value::F32(8.0),
        Value::F64(8.0),
        Value::Array(vec![Value::I64(8)]),
    ];
    for value in &eight {
        assert_eq!((value.as_u32(), value.as_i64(), value.as_f32()), (Some(8), Some(8), Some(8.0)), "{value:?}");
        assert_eq!(value.as_list().iter().map(Value::as_u64).collect::<Vec<_>>(), [Some(8)], "{value:?}");
    }
    for value in [Value::F32(8.5), Value::I32(-1), Value::F64(1e300), Value::F32(f32::NAN), Value::U64(1 << 32)] {
        assert_eq!(value.as_u32(), None, "{value:?}");
    }
    assert_eq!(Value::Array(vec![Value::I8(-3)]).as_i64(), Some(-3));
    assert_eq!(Value::Array(vec![Value::U8(1); 2]).as_u32(), None);
    for (value, bool) in
        [(Value::U32(1), true), (Value::I8(0), false), (Value::F32(1.0), true), (Value::Bool(false), false)]
    {
        assert_eq!(value.as_bool(), Some(bool), "{value:?}");
    }
    assert_eq!((Value::U8(2).as_bool(), Value::Bool(true).as_u32()), (None, Some(1)));
    assert_eq!(Value::Array(vec![Value::String("llama".into())]).as_str(), Some("llama"));
}

#[test]
fn of_several_chat_templates_the_default_is_chosen() {
    let text = |text: &str| Value::String(text.into());
    let read = |entries: &[(&str, Value)]| {
        let mut metadata = Metadata::default();
        entries.iter().for_each(|(key, value)| metadata.insert(*key, value.clone()).unwrap());
        let mut notices = Vec::new();
        let ChatTemplates { chosen, others } = ChatTemplates::read(&metadata, &mut notices);
        (chosen.map(str::to_owned), others.join(","), notices.len())
    };
    let all = [
        ("tokenizer.chat_template", text("own")),
        ("tokenizer.chat_templates", Value::Array(vec![text("tool_use"), text("default")])),
        ("tokenizer.chat_template.tool_use", text("tools")),
        ("tokenizer.chat_template.default", text("usual")),
    ];
    assert_eq!(read(&all), (Some("own".into()), "tool_use,default".into(), 0));
    assert_eq!(read(&all[1..]), (Some("usual".into()), "tool_use".into(), 0));
    assert_eq!(read(&all[1..3]), (Some("tools".into()), String::new(), 0));
    assert_eq!(
        read(&[("tokenizer.chat_template", Value::Array(vec![text("one")]))]),
        (Some("one".into()), String::new(), 0)
    );
    assert_eq!(read(&[("tokenizer.chat_template", Value::U32(7))]), (None, String::new(), 1));
    assert_eq!(read(&[("tokenizer.chat_template", text(" \n"))]), (None, String::new(), 0));
}

#[test]
fn arrays_hold_one_plain_type() {
    let mut writer = GgufWriter::default();
    writer.metadata("k", Value::Array(vec![Value::U8(1), Value::Bool(true)])).unwrap();
    assert_eq!(writer.finish().unwrap_err().code, "gguf.metadata");

    let mut writer = GgufWriter::default();
    writer.metadata("k", Value::Array(vec![Value::U32(1)])).unwrap().metadata("empty", Value::Array(vec![])).unwrap();
    let good = writer.finish().unwrap();
    assert_eq!(read(good.clone()).unwrap().metadata.array("empty").unwrap(), []);
    // magic, version, counts, key length, key, type: then the element type.
    let field = 4 + 4 + 16 + 8 + 1 + 4;
    for (code, says) in [(9u32, "arrays in an array"), (13, "unknown type 13")] {
        let mut bytes = good.clone();
        bytes[field..field + 4].copy_from_slice(&code.to_le_bytes());
        refused(bytes, "gguf.metadata", says);
    }
}

#[test]
fn a_real_model_reads() {
    let Some(path) = data("weights/stories260K/stories260K.q8_0.gguf") else { return };
    let source = FileSource::open(path).unwrap();
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    assert_eq!((gguf.version, gguf.tensors.len()), (3, 48));
    assert_eq!(gguf.metadata.u32("llama.attention.head_count_kv").unwrap(), 4);
    let embedding = gguf.tensor("token_embd.weight").unwrap();
    assert_eq!((embedding.shape.as_slice(), embedding.ggml_type), ([512, 64].as_slice(), GgmlType::Q8_0));
    let last = gguf.tensors.iter().map(|t| t.offset + t.bytes).max().unwrap();
    assert!(source.len() - last < 32, "the tensors end where the file ends");

    // The same row, from the q8_0 file and from the f32 one.
    let Some(path) = data("weights/stories260K/stories260K.f32.gguf") else { return };
    let exact_source = FileSource::open(path).unwrap();
    let exact = pollster::block_on(Gguf::read(&exact_source)).unwrap();
    let row = |source: &FileSource, gguf: &Gguf| {
        let t = gguf.tensor("token_embd.weight").unwrap();
        let mut bytes = vec![0; t.row_bytes() as usize];
        pollster::block_on(source.read(t.offset + 300 * t.row_bytes(), &mut bytes)).unwrap();
        let mut values = [0f32; 64];
        dequantize(t.ggml_type, &bytes, &mut values).unwrap();
        values
    };
    let (a, b) = (row(&source, &gguf), row(&exact_source, &exact));
    let amax = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(amax > 0.0);
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= amax / 127.0), "{a:?}\n{b:?}");
}

#[test]
fn vocabulary_files_read() {
    for (name, tokens) in [("llama-spm", 32000), ("phi-3", 32064), ("gpt-2", 50257), ("deepseek-coder", 32256)] {
        let Some(path) = data(&format!("tokenizers/ggml-vocab/ggml-vocab-{name}.gguf")) else { return };
        let gguf = pollster::block_on(Gguf::read(&FileSource::open(path).unwrap())).unwrap();
        assert!(gguf.tensors.is_empty(), "{name}");
        assert_eq!(gguf.metadata.strings("tokenizer.ggml.tokens").unwrap().len(), tokens, "{name}");
    }
}
