//! States on the device: stored as their specification says, with room for the rows that were touched so far.

use lantern_graph::{DType, Error, Result, StateSpec, Value, bucket};

use crate::device::Gpu;
use crate::memory::Buffer;
use crate::session::DATA;

pub struct State {
    pub spec: StateSpec,
    /// There is room for.
    rows: usize,
    pub buffer: Buffer,
}

impl State {
    pub fn new(gpu: &Gpu, spec: &StateSpec) -> State {
        let rows = spec.first_rows();
        State { spec: spec.clone(), rows, buffer: gpu.buffer(&spec.name, spec.bytes(rows), DATA) }
    }

    /// Room for `needed` rows; says whether that took another buffer. What is there moves over on the device, so that both
    /// buffers stand side by side until then.
    ///
    /// # Errors
    /// `graph.binding` when the state may not have so many.
    pub fn fit(&mut self, gpu: &Gpu, needed: usize) -> Result<bool> {
        let rows = bucket(&self.spec, self.rows, needed)?;
        if rows == self.rows {
            return Ok(false);
        }
        let larger = gpu.buffer(&self.spec.name, self.spec.bytes(rows), DATA);
        let mut encoder = gpu.0.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &larger, 0, self.buffer.size());
        gpu.0.queue.submit([encoder.finish()]);
        (self.buffer, self.rows) = (larger, rows);
        Ok(true)
    }

    /// Of what there is room for.
    pub fn bytes(&self) -> u64 {
        self.spec.bytes(self.rows)
    }

    /// The whole state out of its stored bytes: what was not touched yet is zeros.
    pub fn values(&self, bytes: &[u8]) -> Value {
        let mut values: Vec<f32> = match self.spec.dtype {
            DType::F16 => {
                let halves: Vec<half::f16> = bytemuck::pod_collect_to_vec(bytes);
                halves.into_iter().map(half::f16::to_f32).collect()
            }
            _ => bytemuck::pod_collect_to_vec(bytes),
        };
        values.resize(self.spec.rows() * self.spec.row_elements(), 0.0);
        Value::F32(values)
    }

    /// The bytes that all of its elements are stored as.
    ///
    /// # Errors
    /// `gpu.state` when they are not as many.
    pub fn stored(&self, value: &Value) -> Result<Vec<u8>> {
        let elements = self.spec.rows() * self.spec.row_elements();
        match value {
            Value::F32(v) if v.len() == elements => Ok(match self.spec.dtype {
                DType::F16 => v.iter().flat_map(|v| half(*v).to_le_bytes()).collect(),
                _ => bytemuck::pod_collect_to_vec(v),
            }),
            _ => {
                let cause = format!("{} holds {elements} f32 values", self.spec.name);
                Err(Error::new("gpu.state", cause, "write all of them"))
            }
        }
    }
}

/// As `pack.wgsl` rounds: what is beyond the largest half becomes that.
fn half(x: f32) -> half::f16 {
    half::f16::from_f32(if x.is_nan() { x } else { x.clamp(-65504.0, 65504.0) })
}
