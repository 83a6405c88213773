//! States as a file: what a training run has come to, an adapter, a conversation's cache.
//!
//! They are one kind of thing, so one file serves all: safetensors, a tensor a state under the state's own name, in the type it is
//! stored as. What is read back is bit by bit what was written, and a run goes on from it as if it had not stopped.

use lantern_graph::{DType, Error, Result, Session, StateSpec, Value};
use lantern_weights::{ByteSource, GgmlType, SafeDtype, Safetensors, SafetensorsWriter};

/// Those states of a session as a file's bytes. `specs` are a graph's states, or some of them.
///
/// # Errors
/// `graph.state` for one that no plan of the session has; `gpu.lost`.
pub async fn save_states<S: Session>(session: &mut S, specs: &[StateSpec]) -> Result<Vec<u8>> {
    let mut file = SafetensorsWriter::new();
    for spec in specs {
        let values = session.read_state(&spec.name).await?.into_f32()?;
        file.tensor_f32(&spec.name, &spec.shape, &dtype(spec), &values)?;
    }
    Ok(file.finish())
}

/// Fills those states of a session from a file. Nothing is filled before all of them are found; what else is in the file is not
/// looked at.
///
/// # Errors
/// `safetensors.missing`, `safetensors.shape`, `safetensors.type` naming the state; the source's own; as [`save_states`].
pub async fn load_states<S: Session>(session: &mut S, specs: &[StateSpec], source: &impl ByteSource) -> Result<()> {
    let file = Safetensors::read(source).await?;
    let remedy = "choose a file that was saved from the same network";
    let mut found = Vec::with_capacity(specs.len());
    for spec in specs {
        let tensor = file
            .tensor(&spec.name)
            .ok_or_else(|| Error::new("safetensors.missing", format!("the file has no state {}", spec.name), remedy))?;
        if tensor.shape != spec.shape {
            let cause = format!("the state {} is {:?} in the file and {:?} here", spec.name, tensor.shape, spec.shape);
            return Err(Error::new("safetensors.shape", cause, remedy));
        }
        if tensor.dtype != dtype(spec) {
            let (file, here) = (tensor.dtype.name(), spec.dtype.name());
            let cause = format!("the state {} is {file} in the file and {here} here", spec.name);
            return Err(Error::new("safetensors.type", cause, remedy));
        }
        found.push((spec, tensor));
    }
    for (spec, tensor) in found {
        let mut bytes = vec![0; tensor.bytes as usize];
        source.read(tensor.offset, &mut bytes).await?;
        let mut values = vec![0.0; tensor.elements() as usize];
        let stored = if spec.dtype == DType::F16 { GgmlType::F16 } else { GgmlType::F32 };
        lantern_weights::dequantize(stored, &bytes, &mut values)?;
        session.write_state(&spec.name, &Value::F32(values))?;
    }
    Ok(())
}

fn dtype(spec: &StateSpec) -> SafeDtype {
    if spec.dtype == DType::F16 { SafeDtype::F16 } else { SafeDtype::F32 }
}
