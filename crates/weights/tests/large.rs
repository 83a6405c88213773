//! Offsets that do not fit 32 bits.

mod common;
#[path = "../examples/spread.rs"]
mod spread;

use common::sample_of_read_types;
use lantern_graph::{DType, WeightSpec};
use lantern_testing::data;
use lantern_weights::{ByteSource, FileSource, GgmlType, Gguf, MemorySource, QuantizeOptions, QuantizePlan, Rows};
use std::path::PathBuf;

/// Removed when the test is over, however it ends.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `None`, said, on a file system that would really write 5 GB.
fn spread_file(bytes: &[u8], gguf: &Gguf, name: &str) -> Option<Temporary> {
    let path = Temporary(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
    if let Err(error) = std::fs::File::create(&path.0).and_then(|file| file.set_len(spread::SPREAD_BYTES)) {
        println!("skipped: a sparse file of 5 GB cannot be made here: {error}");
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let taken = std::fs::metadata(&path.0).unwrap().blocks() * 512;
        if taken > 1 << 30 {
            println!("skipped: this file system has no holes, and 5 GB would be written");
            return None;
        }
    }
    spread::spread(bytes, gguf, &path.0).unwrap();
    Some(path)
}

fn values(source: &impl ByteSource, gguf: &Gguf, name: &str) -> Vec<u8> {
    let tensor = gguf.tensor(name).unwrap();
    let spec = WeightSpec { name: name.into(), shape: tensor.shape.clone(), dtype: DType::F32 };
    let mut rows = Rows::gguf(source, tensor, &spec).unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = pollster::block_on(rows.next()).unwrap() {
        all.extend(chunk.bytes);
    }
    all
}

fn same_values_from_beyond_4_gib(bytes: Vec<u8>, name: &str) {
    let near = MemorySource::new(bytes.as_slice());
    let gguf = pollster::block_on(Gguf::read(&near)).unwrap();
    let Some(path) = spread_file(&bytes, &gguf, name) else { return };
    let far = FileSource::open(&path.0).unwrap();
    assert_eq!(far.len(), 5 << 30);
    let spread = pollster::block_on(Gguf::read(&far)).unwrap();
    assert_eq!(spread.tensors.iter().filter(|t| t.offset > 4 << 30).count(), gguf.tensors.len() - 1);
    for tensor in &gguf.tensors {
        assert!(values(&near, &gguf, &tensor.name) == values(&far, &spread, &tensor.name), "{}", tensor.name);
    }
    // And back: what is quantized from there is what is quantized from here.
    let options = QuantizeOptions { target: GgmlType::Q4_0, pure: false, allow_requantize: true };
    let plan = |gguf| QuantizePlan::new(gguf, &options).unwrap();
    let from_far = pollster::block_on(plan(&spread).write(&far, &spread, Vec::new(), 1, &mut |_| ())).unwrap();
    let from_near = pollster::block_on(plan(&gguf).write(&near, &gguf, Vec::new(), 1, &mut |_| ())).unwrap();
    assert!(from_far == from_near);
}

#[test]
fn tensors_beyond_4_gib_are_read() {
    same_values_from_beyond_4_gib(sample_of_read_types(3).finish().unwrap(), "large-sample.gguf");
}

#[test]
fn a_real_model_beyond_4_gib_is_read() {
    let Some(path) = data("weights/stories260K/stories260K.q8_0.gguf") else { return };
    same_values_from_beyond_4_gib(std::fs::read(path).unwrap(), "large-stories.gguf");
}
