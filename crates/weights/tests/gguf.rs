//! The GGUF reader: what it gives back for good files, and what it says about bad ones.

mod common;

use common::{data, sample};
use lantern_graph::{DType, Error, WeightSpec};
use lantern_weights::{
    ByteSource, FileSource, GgmlType, Gguf, GgufWriter, MemorySource, Rows, TensorInfo, Value, dequantize, quantize,
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
    refused(one_tensor(&[], GgmlType::F32, 4), "gguf.tensor", "0 dimensions");
    refused(one_tensor(&[1; 5], GgmlType::F32, 4), "gguf.tensor", "5 dimensions");
    refused(one_tensor(&[4, 0], GgmlType::F32, 0), "gguf.tensor", "a dimension of 0");
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
