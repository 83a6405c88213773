//! Results back to the host.

use lantern_graph::{Bindings, Error, NodeId, Result, Value, contract};

use super::{GpuSession, Plan};
use crate::device::Gpu;
use crate::lower;
use crate::memory::Buffer;
use crate::step::Slot;
use crate::wait::oneshot;

impl GpuSession {
    /// An output of the plan's run with these symbols.
    pub(super) async fn read_output(&mut self, plan: &Plan, id: NodeId, bindings: &Bindings) -> Result<Value> {
        let slot = plan.output(id)?;
        let bytes = plan.graph.shape(id).count().eval(bindings) * 4;
        let data = match slot {
            // A weight may be cut into several.
            Slot::Words(weight, _) => {
                let shards = &plan.weights.get(&plan.graph.weights[weight])?.shards;
                let mut data = Vec::with_capacity(bytes);
                for shard in shards {
                    let part = shard.words.size.min((bytes - data.len()) as u64);
                    data.extend(self.read_buffer(&shard.words.buffer, shard.words.offset, part).await?);
                }
                data
            }
            _ => {
                let (buffer, offset, _) = self.whole(plan, slot)?;
                let buffer: wgpu::Buffer = (**buffer).clone();
                self.read_buffer(&buffer, offset, bytes as u64).await?
            }
        };
        Ok(if lower::is_u32(&plan.graph, id) {
            Value::U32(bytemuck::pod_collect_to_vec(&data))
        } else {
            Value::F32(bytemuck::pod_collect_to_vec(&data))
        })
    }

    /// The shape of an output of f32, and where it lies after the plan's run.
    ///
    /// # Errors
    /// As `Session::read`; `graph.dtype` for ids.
    pub(crate) fn output(&self, plan: &Plan, output: &str) -> Result<(Vec<usize>, wgpu::Buffer, u64)> {
        let (id, bindings) = contract::find_output(self, plan, output)?;
        if lower::is_u32(&plan.graph, id) {
            return Err(Error::new("graph.dtype", format!("{output} is u32"), "paint an output of f32"));
        }
        let (buffer, offset, _) = self.whole(plan, plan.output(id)?)?;
        Ok((plan.graph.shape(id).eval(&bindings), (**buffer).clone(), offset))
    }

    pub(super) async fn read_buffer(&mut self, from: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        self.gpu.read_buffer(&mut self.staging, from, offset, bytes).await
    }
}

impl Gpu {
    /// Copies a buffer to the host. What it is copied to first is kept in `staging`, for those who read often.
    pub(crate) async fn read_buffer(
        &self,
        staging: &mut Option<Buffer>,
        from: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        // Taken out: a read that is dropped while it waits leaves none behind that is still being mapped.
        let mapped = match staging.take().filter(|staging| staging.size() >= bytes) {
            Some(staging) => staging,
            None => self.buffer("staging", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        let inner = &self.0;
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, offset, &mapped, 0, bytes);
        inner.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot();
        let slice = mapped.slice(0..bytes);
        slice.map_async(wgpu::MapMode::Read, move |result| sender.send(result.is_ok()));
        let is_mapped = receiver.receive(&inner.device).await == Some(true);
        self.check()?;
        let unread = || {
            Error::new(
                "gpu.lost",
                "the graphics device gave no answer",
                "start again; if it is lost again, use the processor",
            )
        };
        if !is_mapped {
            return Err(unread());
        }
        let data = slice.get_mapped_range().map_err(|_| unread())?.to_vec();
        mapped.unmap();
        *staging = Some(mapped);
        Ok(data)
    }
}
