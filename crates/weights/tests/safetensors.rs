//! The safetensors reader and its rows: what they give back for good files, and what they say about bad ones.

mod common;

use candle_core::{DType as CandleDType, Device};
use common::Rng;
use half::{bf16, f16};
use lantern_graph::{DType, Error, WeightSpec};
use lantern_testing::data;
use lantern_weights::{ByteSource, FileSource, MemorySource, Rows, SafeDtype, Safetensors, SafetensorsWriter};

fn read(bytes: Vec<u8>) -> Result<Safetensors, Error> {
    pollster::block_on(Safetensors::read(&MemorySource::new(bytes)))
}

fn refused(bytes: Vec<u8>, code: &str, says: &str) {
    let error = read(bytes).expect_err(says);
    assert_eq!(error.code, code, "{error}");
    assert!(error.cause.contains(says), "{error}");
    assert!(!error.remedy.is_empty());
}

/// A file of this header, with `data_len` bytes behind it.
fn file(header: &str, data_len: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; data_len]].concat()
}

fn entry(dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

fn spec(name: &str, shape: &[usize], dtype: DType) -> WeightSpec {
    WeightSpec { name: name.into(), shape: shape.to_vec(), dtype }
}

/// All rows of a tensor, checked to come in order and without gaps, and the largest chunk.
fn rows(
    source: &impl ByteSource,
    file: &Safetensors,
    name: &str,
    spec: &WeightSpec,
) -> Result<(Vec<u8>, usize), Error> {
    let mut rows = Rows::safetensors(source, file.tensor(name).expect(name), spec)?;
    let (mut all, mut largest, mut read) = (Vec::new(), 0, 0);
    while let Some(chunk) = pollster::block_on(rows.next())? {
        assert_eq!(chunk.first_row * spec.row_bytes(), all.len(), "{name}: chunks follow each other");
        largest = largest.max(chunk.bytes.len());
        read += chunk.file_bytes;
        all.extend(chunk.bytes);
    }
    assert_eq!(read, file.tensor(name).unwrap().bytes, "{name}: bytes read");
    assert_eq!(all.len(), spec.rows() * spec.row_bytes(), "{name}: bytes given out");
    Ok((all, largest))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|raw| f32::from_le_bytes(raw.try_into().unwrap())).collect()
}

#[test]
fn what_was_written_is_read() {
    let mut writer = SafetensorsWriter::new();
    writer.metadata("format", "pt").metadata("a \"quoted\" key", "é");
    writer.tensor_f32("b", &[2, 3], &SafeDtype::F32, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    writer.tensor_f32("a\n\"", &[3], &SafeDtype::BF16, &[0.5, -0.5, 1.5]).unwrap();
    writer.tensor("i", &[2], &SafeDtype::Other("I64".into()), &[0; 16]);
    let bytes = writer.finish();
    let file = read(bytes.clone()).unwrap();
    assert_eq!(file.metadata["format"], "pt");
    assert_eq!(file.metadata["a \"quoted\" key"], "é");
    let names: Vec<_> = file.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["b", "a\n\"", "i"], "in the order of their bytes");
    let b = file.tensor("b").unwrap();
    assert_eq!((b.shape.as_slice(), &b.dtype, b.bytes, b.elements()), ([2, 3].as_slice(), &SafeDtype::F32, 24, 6));
    assert_eq!(b.offset % 8, 0, "the header is padded");
    assert_eq!(bytes[b.offset as usize..][..8], [1f32.to_le_bytes(), 2f32.to_le_bytes()].concat());
    assert!(b.supported().is_ok() && file.tensor("c").is_none());
    let i = file.tensor("i").unwrap();
    assert_eq!(i.offset + i.bytes, bytes.len() as u64);
    let error = i.supported().unwrap_err();
    assert_eq!(
        (error.code, error.cause.as_str()),
        ("safetensors.type", "tensor i is I64; this version reads F32, F16, BF16")
    );

    assert_eq!(writer.tensor_f32("x", &[2], &SafeDtype::F32, &[1.0]).err().unwrap().code, "tensor.size");
    assert_eq!(writer.tensor_f32("x", &[1], &i.dtype, &[1.0]).err().unwrap().code, "safetensors.type");
}

/// The folder of small files made by hand, and what fuzzing found: the name says the code, `ok` for those that read.
/// candle reads with the reference implementation: the second opinion on each of them.
#[test]
fn the_corpus_is_read_or_refused_as_its_names_say() {
    // What we list and the reference does not know; what the reference takes and we do not, on purpose.
    let only_ours = ["ok.unknown-dtype"];
    let only_theirs = ["tensor.shape-overflow-behind-zero"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/safetensors");
    let mut seen = 0;
    for found in std::fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let theirs = candle_core::safetensors::SliceSafetensors::new(&bytes).is_ok();
        let ours = read(bytes);
        let code = ours.as_ref().map_or_else(|e| e.code, |_| "ok");
        let said = ours.as_ref().err().map(Error::to_string);
        let want = name.split('.').next().unwrap();
        assert!(code == want || code == format!("safetensors.{want}"), "{name}: {code} {said:?}");
        let expected = match &name {
            n if only_ours.contains(&n.as_str()) => false,
            n if only_theirs.contains(&n.as_str()) => true,
            _ => want == "ok",
        };
        assert_eq!(theirs, expected, "{name}: the reference's opinion; ours: {said:?}");
        seen += 1;
    }
    assert!(seen >= 84, "{seen} files");
}

#[test]
fn errors_name_the_place_and_the_numbers() {
    let two = |a: &str, b: &str| format!(r#"{{"a":{a},"b":{b}}}"#);
    let good = entry("F32", "[2]", 0, 8);
    refused(vec![1, 2, 3], "safetensors.truncated", "the file has 3 bytes");
    refused(file(&two(&good, &good), 8), "safetensors.tensor", r#"tensor "b" cannot be read: it overlaps tensor "a""#);
    refused(file(&two(&good, &entry("F32", "[2]", 9, 17)), 17), "safetensors.tensor", "1 bytes before it belong to no");
    refused(file(&format!(r#"{{"a":{good}}}"#), 9), "safetensors.header", "1 bytes after the last tensor");
    refused(file(&format!(r#"{{"a":{good}}}"#), 7), "safetensors.truncated", r#"tensor "a" should end 8 bytes after"#);
    let wrong = entry("BF16", "[2, 3]", 0, 8);
    refused(file(&two(&wrong, &good), 16), "safetensors.tensor", "[2, 3] of BF16 takes 12 bytes, and it has 8");
    refused(
        file(r#"{"a":{"dtype":"F32","shape":[2]}}"#, 8),
        "safetensors.header",
        r#""a": missing field `data_offsets`"#,
    );
    let metadata_twice = r#"{"__metadata__":null,"__metadata__":{}}"#;
    refused(file(metadata_twice, 0), "safetensors.header", r#""__metadata__" is there twice"#);
    let deep = format!(r#"{{"a":{}}}"#, entry("U8", &format!("{:?}", [1; 65]), 0, 1));
    refused(file(&deep, 1), "safetensors.header", "more than 64 dimensions");
    refused(b"version https://git-lfs".to_vec(), "safetensors.header", "Git LFS");
    refused(file("{}", 0)[..9].to_vec(), "safetensors.truncated", "end at byte 10, and the file has 9");
    // A name of a megabyte does not fill the screen.
    let noise = format!(r#"{{"{}":{}}}"#, "x".repeat(1 << 20), entry("F32", "[3]", 0, 8));
    assert!(read(file(&noise, 8)).unwrap_err().cause.len() < 300);
}

#[test]
fn every_cut_is_an_error() {
    let mut writer = SafetensorsWriter::new();
    writer.metadata("format", "pt");
    writer.tensor_f32("a", &[2], &SafeDtype::F32, &[1.0, 2.0]).unwrap();
    writer.tensor_f32("b", &[3], &SafeDtype::F16, &[1.0, 2.0, 3.0]).unwrap();
    let good = writer.finish();
    assert!(read(good.clone()).is_ok());
    for cut in 0..good.len() {
        assert_eq!(read(good[..cut].to_vec()).expect_err("a cut file").code, "safetensors.truncated", "cut at {cut}");
    }
}

/// A source that says how far it was read.
struct Watched(MemorySource, std::cell::Cell<u64>);

impl ByteSource for Watched {
    fn len(&self) -> u64 {
        self.0.len()
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.1.set(self.1.get().max(offset + buf.len() as u64));
        self.0.read(offset, buf).await
    }
}

#[test]
fn reading_a_header_reads_no_data() {
    let mut writer = SafetensorsWriter::new();
    writer.tensor("a", &[1000], &SafeDtype::F32, &[0; 4000]);
    let source = Watched(MemorySource::new(writer.finish()), Default::default());
    let file = pollster::block_on(Safetensors::read(&source)).unwrap();
    assert_eq!(source.1.get(), file.tensors[0].offset);
}

/// Widening is exact, so there is no tolerance: every value is the same bit by bit.
#[test]
fn values_of_all_three_types_agree_with_candle() {
    const SEED: u64 = 0x5afe_7e45;
    println!("seed {SEED:#x}");
    let mut rng = Rng(SEED);
    let mut writer = SafetensorsWriter::new();
    let shape = [7, 5, 3, 2];
    let count: usize = shape.iter().product();
    for dtype in [SafeDtype::F32, SafeDtype::F16, SafeDtype::BF16] {
        // All bit patterns of numbers, subnormal ones among them: no high byte is that of an infinity or a NaN.
        let width = dtype.bits().unwrap() as usize / 8;
        let byte = |i: usize, random: u8| if i % width == width - 1 && random & 0x7c == 0x7c { 0x3a } else { random };
        let bytes: Vec<u8> = (0..count * width).map(|i| byte(i, rng.next() as u8)).collect();
        writer.tensor(dtype.name(), &shape, &dtype, &bytes);
    }
    let bytes = writer.finish();
    let theirs = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let source = MemorySource::new(bytes);
    let file = pollster::block_on(Safetensors::read(&source)).unwrap();
    for (name, tensor) in theirs {
        // OHWI from candle's OIHW.
        let tensor = tensor.to_dtype(CandleDType::F32).unwrap().permute((0, 2, 3, 1)).unwrap();
        let expected = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let ours = floats(&rows(&source, &file, &name, &spec("w", &[7, 3, 2, 5], DType::F32)).unwrap().0);
        assert_eq!(ours.len(), count);
        for (i, (a, b)) in ours.iter().zip(&expected).enumerate() {
            assert!(a.to_bits() == b.to_bits(), "{name}, value {i}: {a} and {b}");
        }
    }
}

#[test]
fn a_nan_is_refused_with_its_tensor_and_row() {
    for (dtype, bits) in [(SafeDtype::F32, 0x7fc0_0000u32), (SafeDtype::F16, 0x7c00), (SafeDtype::BF16, 0xff80)] {
        let mut writer = SafetensorsWriter::new();
        let width = dtype.bits().unwrap() as usize / 8;
        let mut bytes = vec![0; 12 * width];
        bytes[7 * width..8 * width].copy_from_slice(&bits.to_le_bytes()[..width]);
        writer.tensor("w", &[4, 3], &dtype, &bytes);
        let source = MemorySource::new(writer.finish());
        let file = pollster::block_on(Safetensors::read(&source)).unwrap();
        let error = rows(&source, &file, "w", &spec("model.w", &[4, 3], DType::F32)).unwrap_err();
        assert_eq!(error.code, "weights.not_a_number");
        assert_eq!(error.cause, "tensor model.w: a value in row 2 is NaN or infinite");
    }
}

#[test]
fn rows_are_what_the_graph_asks_for() {
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let mut writer = SafetensorsWriter::new();
    writer.tensor("odd", &[1], &SafeDtype::Other("U8".into()), &[1]);
    for dtype in [SafeDtype::F32, SafeDtype::F16, SafeDtype::BF16] {
        writer.tensor_f32(&format!("conv {}", dtype.name()), &[2, 3, 2, 2], &dtype, &values).unwrap();
        writer.tensor_f32(&format!("matrix {}", dtype.name()), &[6, 4], &dtype, &values).unwrap();
        writer.tensor_f32(&format!("point {}", dtype.name()), &[6, 4, 1, 1], &dtype, &values).unwrap();
        writer.tensor_f32(&format!("bias {}", dtype.name()), &[24], &dtype, &values).unwrap();
        writer.tensor_f32(&format!("none {}", dtype.name()), &[0, 4], &dtype, &[]).unwrap();
    }
    let source = MemorySource::new(writer.finish());
    let file = pollster::block_on(Safetensors::read(&source)).unwrap();
    assert_eq!(file.tensor("conv F32").unwrap().offset % 4, 1, "an odd place reads like any other");
    // Channel c at tap t of output o is 12 o + 4 c + t.
    let ohwi: Vec<f32> = (0..24).map(|i| (i / 12 * 12 + i % 3 * 4 + i / 3 % 4) as f32).collect();
    assert_eq!(ohwi[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
    for stored in ["F32", "F16", "BF16"] {
        let get = |what: &str, shape: &[usize]| {
            let (bytes, _) = rows(&source, &file, &format!("{what} {stored}"), &spec(what, shape, DType::F32)).unwrap();
            floats(&bytes)
        };
        assert_eq!(get("conv", &[2, 2, 2, 3]), ohwi, "{stored}");
        assert_eq!(get("matrix", &[6, 4]), values, "{stored}");
        assert_eq!(get("matrix", &[6, 1, 1, 4]), values, "{stored}: a matrix for a 1x1 convolution");
        assert_eq!(get("point", &[6, 4]), values, "{stored}: a 1x1 convolution for a matrix");
        assert_eq!(get("point", &[6, 1, 1, 4]), values, "{stored}");
        assert_eq!(get("bias", &[24]), values, "{stored}");
    }
    type Widen = fn([u8; 2]) -> f32;
    let halves: [(&str, DType, Widen); 2] = [
        ("F16", DType::F16, |b| f16::from_le_bytes(b).to_f32()),
        ("BF16", DType::BF16, |b| half::bf16::from_le_bytes(b).to_f32()),
    ];
    for (stored, dtype, value) in halves {
        let get = |what: &str, shape: &[usize]| -> Vec<f32> {
            let (bytes, _) = rows(&source, &file, &format!("{what} {stored}"), &spec("w", shape, dtype)).unwrap();
            bytes.as_chunks().0.iter().map(|b| value(*b)).collect()
        };
        assert_eq!(get("conv", &[2, 2, 2, 3]), ohwi, "{stored}");
        assert_eq!(get("matrix", &[6, 4]), values, "{stored}");
    }

    let refused =
        |name: &str, shape: &[usize], dtype| rows(&source, &file, name, &spec("w", shape, dtype)).unwrap_err();
    for stored in ["conv F32", "conv BF16"] {
        let error = refused(stored, &[2, 2, 2, 3], DType::F16);
        assert_eq!(error.code, "tensor.type");
        assert!(error.cause.contains("asked for as f16"), "{error}");
    }
    assert_eq!(refused("conv F32", &[2, 2, 2, 3], DType::Q8_0).code, "tensor.type");
    let error = refused("conv F32", &[2, 3, 2, 2], DType::F32);
    assert_eq!(error.code, "safetensors.shape");
    assert!(error.cause.contains("is [2, 3, 2, 2] and should be [2, 2, 3, 2]"), "{error}");
    assert_eq!(refused("matrix F32", &[4, 6], DType::F32).code, "safetensors.shape");
    assert_eq!(refused("odd", &[1], DType::F32).code, "safetensors.type");
    let empty = Rows::safetensors(&source, file.tensor("none F32").unwrap(), &spec("w", &[0, 4], DType::F32));
    assert_eq!(pollster::block_on(empty.unwrap().next()).unwrap(), None);
}

#[test]
fn no_chunk_passes_8_mib_and_longer_rows_are_refused() {
    const LIMIT: usize = 8 << 20;
    // 5 MB rows of BF16 are 10 MB rows of f32; 3 MB rows go one at a time although two fit before they are widened.
    let mut writer = SafetensorsWriter::new();
    let columns = [3 << 18, 5 << 18, 5 << 19];
    for (name, columns) in ["short", "middle", "long"].iter().zip(columns) {
        let bytes: Vec<u8> = (0..3 * columns).flat_map(|i| bf16::from_f32((i % 97) as f32).to_le_bytes()).collect();
        writer.tensor(name, &[3, columns], &SafeDtype::BF16, &bytes);
    }
    let source = MemorySource::new(writer.finish());
    let file = pollster::block_on(Safetensors::read(&source)).unwrap();
    for (name, columns, rows_at_once) in [("short", columns[0], 2), ("middle", columns[1], 1)] {
        let (bytes, largest) = rows(&source, &file, name, &spec("w", &[3, columns], DType::F32)).unwrap();
        assert_eq!(largest, rows_at_once * columns * 4);
        assert!(largest <= LIMIT, "{largest}");
        assert!(floats(&bytes).iter().enumerate().all(|(i, v)| *v == (i % 97) as f32), "{name}");
    }
    let error = rows(&source, &file, "long", &spec("w", &[3, columns[2]], DType::F32)).unwrap_err();
    assert_eq!(error.code, "tensor.row");
    assert!(error.cause.contains("10485760 bytes"), "{error}");
}

#[test]
fn real_files_read_as_candle_reads_them() {
    for (name, tensors) in [("encoder", 67), ("decoder", 67)] {
        let Some(path) = data(&format!("weights/taesd/taesd_{name}.safetensors")) else { return };
        let theirs = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let source = FileSource::open(path).unwrap();
        let file = pollster::block_on(Safetensors::read(&source)).unwrap();
        assert_eq!((file.tensors.len(), theirs.len()), (tensors, tensors), "{name}");
        for tensor in &file.tensors {
            assert_eq!(tensor.dtype, SafeDtype::BF16);
            let mut other = theirs[&tensor.name].to_dtype(CandleDType::F32).unwrap();
            assert_eq!(tensor.shape, other.dims());
            let mut shape = tensor.shape.clone();
            if shape.len() == 4 {
                shape = vec![shape[0], shape[2], shape[3], shape[1]];
                other = other.permute((0, 2, 3, 1)).unwrap();
            }
            let (bytes, _) = rows(&source, &file, &tensor.name, &spec(&tensor.name, &shape, DType::F32)).unwrap();
            assert_eq!(
                floats(&bytes),
                other.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                "{name} {}",
                tensor.name
            );
        }
    }
}
