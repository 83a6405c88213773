//! What must hold for any bytes that claim to be GGUF: for the fuzz target, and for the seeded run in the tests.

use lantern_graph::{DType, Error, WeightSpec};
use lantern_weights::{GgmlType, Gguf, MemorySource, QuantizeOptions, QuantizePlan, Rows};

/// Reads the header, then every tensor's values, then makes a Q8_0 file of it. The code of the first refusal, or `None`
/// where all of it went well; anything else that happens is a panic.
pub fn read_all(bytes: &[u8]) -> Option<&'static str> {
    let source = MemorySource::new(bytes);
    let gguf = match pollster::block_on(Gguf::read(&source)) {
        Ok(gguf) => gguf,
        Err(error) => return Some(said_well(&error, &["gguf."])),
    };
    let mut refused = None;
    for tensor in &gguf.tensors {
        assert!(tensor.offset + tensor.bytes <= bytes.len() as u64);
        assert!(tensor.offset.is_multiple_of(gguf.alignment.into()));
        assert_eq!(gguf.tensor(&tensor.name), Some(tensor));
        let spec = WeightSpec { name: tensor.name.clone(), shape: tensor.shape.clone(), dtype: DType::F32 };
        if let Err(error) = values(&source, &gguf, tensor.name.as_str(), &spec) {
            refused = refused.or(Some(said_well(&error, &["gguf.type", "weights.not_a_number"])));
        }
    }
    refused.or(quantized(&source, &gguf))
}

fn values(source: &MemorySource, gguf: &Gguf, name: &str, spec: &WeightSpec) -> Result<(), Error> {
    let tensor = gguf.tensor(name).expect("it was just listed");
    let mut rows = Rows::gguf(source, tensor, spec)?;
    let mut seen = 0;
    while let Some(chunk) = pollster::block_on(rows.next())? {
        for raw in chunk.bytes.as_chunks().0 {
            assert!(f32::from_le_bytes(*raw).is_finite(), "finite scales make finite values");
            seen += 1;
        }
    }
    assert_eq!(seen, tensor.elements());
    Ok(())
}

fn quantized(source: &MemorySource, gguf: &Gguf) -> Option<&'static str> {
    let options = QuantizeOptions { target: GgmlType::Q8_0, pure: false, allow_requantize: true };
    let made = QuantizePlan::new(gguf, &options)
        .and_then(|plan| pollster::block_on(plan.write(source, gguf, Vec::new(), 1, &mut |_| ())));
    match made {
        Ok(bytes) => {
            let new = pollster::block_on(Gguf::read(&MemorySource::new(bytes))).expect("what is written can be read");
            let names = |gguf: &Gguf| -> Vec<(String, Vec<usize>)> {
                gguf.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect()
            };
            assert_eq!(names(&new), names(gguf));
            assert!(new.metadata.len() >= gguf.metadata.len());
            None
        }
        Err(error) => Some(said_well(&error, &["gguf.metadata", "gguf.type", "weights.", "gguf.split"])),
    }
}

/// The code, once it is one of those (or begins so) and the words are of a size to be read.
fn said_well(error: &Error, codes: &[&str]) -> &'static str {
    assert!(codes.iter().any(|code| error.code.starts_with(code)), "{error}");
    assert!(error.cause.len() < 2000 && !error.cause.is_empty() && !error.remedy.is_empty(), "{error}");
    error.code
}
