//! States on the device: stored as their specification says, with room for the rows that were touched so far.

use lantern_graph::contract::Stored;
use lantern_graph::{DType, StateSpec};

use crate::device::Gpu;
use crate::memory::Buffer;
use crate::session::DATA;

pub struct State {
    spec: StateSpec,
    /// There is room for.
    rows: usize,
    pub buffer: Buffer,
}

impl Stored for State {
    fn spec(&self) -> &StateSpec {
        &self.spec
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

impl State {
    pub fn new(gpu: &Gpu, spec: &StateSpec) -> State {
        let rows = spec.first_rows();
        State { spec: spec.clone(), rows, buffer: gpu.buffer(&spec.name, spec.bytes(rows), DATA) }
    }

    /// Another buffer, with room for more rows. What is there moves over on the device, so that both buffers stand side by side
    /// until then.
    pub fn grow(&mut self, gpu: &Gpu, rows: usize) {
        let larger = gpu.buffer(&self.spec.name, self.spec.bytes(rows), DATA);
        let mut encoder = gpu.0.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &larger, 0, self.buffer.size());
        gpu.0.queue.submit([encoder.finish()]);
        (self.buffer, self.rows) = (larger, rows);
    }

    /// Writes whole rows that there is room for.
    pub fn write(&self, gpu: &Gpu, first_row: usize, values: &[f32]) {
        let halves: Vec<u8>;
        let bytes: &[u8] = match self.spec.dtype {
            DType::F16 => {
                halves = values.iter().flat_map(|v| half(*v).to_le_bytes()).collect();
                &halves
            }
            _ => bytemuck::cast_slice(values),
        };
        if !bytes.is_empty() {
            gpu.0.queue.write_buffer(&self.buffer, self.spec.bytes(first_row), bytes);
        }
    }

    /// Where the rows lie that there is room for, and their bytes.
    pub fn stored(&self) -> (wgpu::Buffer, u64) {
        ((*self.buffer).clone(), self.spec.bytes(self.rows))
    }

    /// Values out of their stored bytes.
    pub fn values(&self, bytes: &[u8]) -> Vec<f32> {
        match self.spec.dtype {
            DType::F16 => {
                let halves: Vec<half::f16> = bytemuck::pod_collect_to_vec(bytes);
                halves.into_iter().map(half::f16::to_f32).collect()
            }
            _ => bytemuck::pod_collect_to_vec(bytes),
        }
    }
}

/// As `pack.wgsl` rounds: what is beyond the largest half becomes that.
fn half(x: f32) -> half::f16 {
    half::f16::from_f32(if x.is_nan() { x } else { x.clamp(-65504.0, 65504.0) })
}
