//! The folder of small GGUF files made by hand, and what fuzzing found: each is named for its fault, and is refused with
//! that code and in words that help, or read as it should be.

#[path = "../fuzz/gguf.rs"]
mod gguf;

use lantern_graph::{DType, Error, WeightSpec};
use lantern_weights::{Gguf, MemorySource, Rows};
use std::collections::BTreeMap;

/// What the cause of each refusal says.
const SAYS: [(&str, &str); 73] = [
    ("magic.before-gguf", "this is a model file from before GGUF (it starts with \"lmgg\")"),
    ("magic.git-lfs", "this looks like a Git LFS pointer"),
    ("magic.lower-case", "this is not a GGUF file (it starts with \"gguf\")"),
    ("magic.pickle", "this looks like a PyTorch checkpoint, which can run code when opened"),
    ("magic.reversed", "this is not a GGUF file"),
    ("magic.safetensors", "this is not a GGUF file"),
    ("magic.web-page", "this looks like a web page"),
    ("magic.zip", "this looks like a PyTorch checkpoint"),
    ("metadata.alignment-0", "general.alignment is 0, and must be a power of two"),
    ("metadata.alignment-24", "general.alignment is 24, and must be a power of two"),
    ("metadata.alignment-negative", "general.alignment holds i32 (I32(-32)), and a u32 is needed"),
    ("metadata.alignment-over-32-bits", "general.alignment holds u64 (U64(8589934592)), and a u32 is needed"),
    ("metadata.alignment-text", "general.alignment holds string, and a u32 is needed"),
    ("metadata.array-in-array", "the key k holds arrays in an array"),
    ("metadata.array-type-13", "the key k has the unknown type 13"),
    ("metadata.key-twice", "the key k is there twice"),
    ("metadata.type-13", "the key k has the unknown type 13"),
    ("metadata.type-max", "the key k has the unknown type 4294967295"),
    ("not_a_number.bf16", "tensor a: a value in row 1 is NaN or infinite"),
    ("not_a_number.f16-infinity", "tensor a: a value in row 1 is NaN or infinite"),
    ("not_a_number.f32", "tensor a: a value in row 1 is NaN or infinite"),
    ("not_a_number.q5_1-minimum", "tensor a: a scale in row 0 is NaN or infinite"),
    ("not_a_number.q6_k-scale", "tensor a: a scale in row 0 is NaN or infinite"),
    ("not_a_number.q8_0-scale", "tensor a: a scale in row 1 is NaN or infinite"),
    ("tensor.alignment-past-end", "32 bytes at 2147483648 + 0 pass the file's end at 128"),
    ("tensor.bytes-overflow", "tensor \"a\" cannot be read: 4611686018427387904 values of F32 are too many"),
    ("tensor.dimension-max", "a dimension of 18446744073709551615 makes no sense"),
    ("tensor.elements-over-63-bits", "a dimension of 2147483648 makes no sense"),
    ("tensor.elements-overflow", "a dimension of 8589934592 makes no sense"),
    ("tensor.inside-another", "tensor \"b\" cannot be read: it overlaps tensor a"),
    ("tensor.name-long", "x\" cannot be read: it has 5 dimensions"),
    ("tensor.name-twice", "tensor \"a\" cannot be read: the name is there twice"),
    ("tensor.no-data", "pass the file's end at 57"),
    ("tensor.offset-max", "32 bytes at 96 + 18446744073709551584 pass the file's end at 160"),
    ("tensor.offset-misaligned", "its offset 40 is not a multiple of 32"),
    ("tensor.offset-past-end", "32 bytes at 96 + 96 pass the file's end at 160"),
    ("tensor.offset-wraps", "32 bytes at 64 + 18446744073709551552 pass the file's end at 96"),
    ("tensor.one-byte-short", "32 bytes at 96 + 32 pass the file's end at 159"),
    ("tensor.overlap", "tensor \"b\" cannot be read: it overlaps tensor a"),
    ("tensor.rank-5", "it has 5 dimensions, and at most 4 are possible"),
    ("tensor.rank-max", "it has 4294967295 dimensions, and at most 4 are possible"),
    ("tensor.row-not-whole-blocks", "rows of 255 are not whole Q4_K blocks of 256"),
    ("tensor.row-of-one-block-in-all", "rows of 32 are not whole Q4_K blocks of 256"),
    ("tensor.same-bytes", "it overlaps tensor"),
    ("tensor.zero-hides-overflow", "a dimension of 1099511627776 makes no sense"),
    ("truncated.array-length-max", "an array claims 18446744073709551615 entries"),
    ("truncated.array-length-overflow", "an array claims 2305843009213693953 entries"),
    ("truncated.array-of-strings-over-file", "an array claims 3 entries at byte 49, and 9 bytes are left"),
    ("truncated.empty", "the file ends at byte 0, inside the first four bytes"),
    ("truncated.in-array", "the file ends at byte 102, inside a metadata value at byte 95"),
    ("truncated.in-key", "the file ends at byte 45, inside a metadata key"),
    ("truncated.in-tensor-table", "the file ends at byte 65, inside the tensor table at byte 62"),
    ("truncated.in-value", "the file ends at byte 41, inside a metadata value"),
    ("truncated.key-length-max", "inside a metadata key at byte 32"),
    ("truncated.metadata-count-max", "the metadata claims 18446744073709551615 entries at byte 24"),
    ("truncated.metadata-count-over-file", "the metadata claims 9 entries at byte 24, and 45 bytes are left"),
    ("truncated.name-length-max", "inside the tensor table at byte 32"),
    ("truncated.no-counts", "the file ends at byte 12, inside the tensor count at byte 8"),
    ("truncated.no-version", "the file ends at byte 4, inside the version at byte 4"),
    ("truncated.string-length-max", "inside a metadata value at byte 45"),
    ("truncated.string-length-one-over", "the file ends at byte 49, inside a metadata value at byte 47"),
    ("truncated.tensor-count-max", "the tensor table claims 18446744073709551615 entries at byte 24"),
    ("truncated.tensor-count-over-file", "the tensor table claims 9 entries at byte 24, and 33 bytes are left"),
    ("truncated.three-bytes", "the file ends at byte 3, inside the first four bytes"),
    ("type.i32", "tensor a is I32; this version reads F32"),
    ("type.iq4_xs", "tensor a is IQ4_XS; this version reads F32"),
    ("type.removed-q4_2", "tensor a is type 4; this version reads F32"),
    ("type.unknown-200", "tensor a is type 200; this version reads F32"),
    ("version.0", "this is GGUF version 0; versions 2 and 3 are read"),
    ("version.1", "this is GGUF version 1; versions 2 and 3 are read"),
    ("version.4", "this is GGUF version 4; versions 2 and 3 are read"),
    ("version.big-endian", "this is big-endian GGUF (version 3); little-endian is read"),
    ("version.max", "this is GGUF version 4294967295; versions 2 and 3 are read"),
];

/// Header and all values.
fn read(bytes: &[u8]) -> Result<Gguf, Error> {
    let source = MemorySource::new(bytes);
    let gguf = pollster::block_on(Gguf::read(&source))?;
    for tensor in &gguf.tensors {
        let spec = WeightSpec { name: tensor.name.clone(), shape: tensor.shape.clone(), dtype: DType::F32 };
        let mut rows = Rows::gguf(&source, tensor, &spec)?;
        while pollster::block_on(rows.next())?.is_some() {}
    }
    Ok(gguf)
}

#[test]
fn the_corpus_is_read_or_refused_as_its_names_say() {
    let mut says = BTreeMap::from(SAYS);
    assert_eq!(says.len(), SAYS.len());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/gguf");
    let (mut good, mut wrong) = (0, Vec::new());
    for found in std::fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let kind = name.split('.').next().unwrap();
        match (read(&bytes), kind) {
            (Ok(_), "ok") => good += 1,
            (Ok(_), _) => wrong.push(format!("{name} is read")),
            (Err(error), _) => {
                let family = if kind == "not_a_number" { "weights" } else { "gguf" };
                let words = says.remove(name.as_str()).unwrap_or("… (it is not in the list)");
                let well = error.cause.contains(words) && error.cause.len() < 400 && !error.remedy.is_empty();
                if !well || error.code != format!("{family}.{kind}") {
                    wrong.push(format!("{name} should say {words:?}: {error}"));
                }
            }
        }
        gguf::read_all(&bytes);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(says.is_empty(), "no longer there: {says:?}");
    assert!(good >= 22, "{good} good files");
}
