//! Any bytes: an error or a file whose promises hold, and the same opinion as the reference implementation.
#![no_main]

use lantern_graph::{DType, WeightSpec};
use lantern_weights::{MemorySource, Rows, Safetensors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let theirs = safetensors::SafeTensors::deserialize(bytes);
    let source = MemorySource::new(bytes);
    let file = match pollster::block_on(Safetensors::read(&source)) {
        Ok(file) => file,
        Err(error) => {
            // What is refused here alone, on purpose.
            let on_purpose = ["twice", "does not start with", "more than 8 dimensions", "too large to be true"];
            assert!(theirs.is_err() || on_purpose.iter().any(|why| error.cause.contains(why)), "{error}");
            assert!(error.cause.len() < 2000, "{error}");
            return;
        }
    };
    let mut end = file.tensors.first().map_or(bytes.len() as u64, |t| t.offset);
    for tensor in &file.tensors {
        assert_eq!(tensor.offset, end);
        end += tensor.bytes;
        let shape = match tensor.shape[..] {
            [out, channels, height, width] => vec![out, height, width, channels],
            _ => tensor.shape.clone(),
        };
        let spec = WeightSpec { name: tensor.name.clone(), shape, dtype: DType::F32 };
        let Ok(mut rows) = Rows::safetensors(&source, tensor, &spec) else { continue };
        let mut values = 0;
        while let Some(chunk) = pollster::block_on(rows.next()).expect("a tensor lies in its file") {
            values += chunk.bytes.len() as u64 / 4;
        }
        assert_eq!(values, tensor.elements());
    }
    assert_eq!(end, bytes.len() as u64);
    match theirs {
        Ok(theirs) => {
            assert_eq!(theirs.len(), file.tensors.len());
            for (name, view) in theirs.tensors() {
                let ours = file.tensor(&name).expect("a tensor the reference sees");
                assert_eq!((ours.shape.as_slice(), ours.bytes), (view.shape(), view.data().len() as u64));
            }
        }
        // The reference knows no types but its own.
        Err(error) => assert!(file.tensors.iter().any(|t| t.dtype.bits().is_none()), "{error:?}"),
    }
});
