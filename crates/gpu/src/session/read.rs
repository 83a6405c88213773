//! Results back to the host.

use lantern_graph::{Bindings, Error, Later, NodeId, Result, Value, contract};

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
        Ok(value(lower::is_u32(&plan.graph, id), &data))
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

    /// Copies an output into an input of a plan, and to where the host will find it.
    pub(super) fn copy_over(
        &mut self,
        from: &Plan,
        id: NodeId,
        bindings: &Bindings,
        to: &Plan,
        input: usize,
    ) -> Result<Option<Later>> {
        self.gpu.check()?;
        let slot = from.output(id)?;
        let bytes = from.graph.shape(id).count().eval(bindings) as u64 * 4;
        // A weight may be cut into several, and an input is not copied to itself.
        if bytes == 0 || matches!(slot, Slot::Words(..) | Slot::Input(_)) {
            return Ok(None);
        }
        let kept = self.landing.borrow_mut().pop().filter(|buffer| buffer.size() >= bytes);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = kept.unwrap_or_else(|| self.gpu.buffer("staging", bytes, usage));
        let (buffer, offset, _) = self.whole(from, slot)?;
        let inner = self.gpu.0.clone();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &to.inputs[input], 0, bytes);
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        let submission = inner.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot();
        staging.slice(0..bytes).map_async(wgpu::MapMode::Read, move |result| sender.send(result.is_ok()));
        let (gpu, landing, landed) = (self.gpu.clone(), self.landing.clone(), self.slices.landing());
        let ids = lower::is_u32(&from.graph, id);
        Ok(Some(Box::pin(async move {
            let is_mapped = receiver.receive_after(&gpu.0.device, submission).await == Some(true);
            gpu.check()?;
            landed.now();
            let data = mapped(&staging, bytes, is_mapped)?;
            landing.borrow_mut().push(staging);
            Ok(value(ids, &data))
        })))
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
        let buffer = match staging.take().filter(|staging| staging.size() >= bytes) {
            Some(staging) => staging,
            None => self.buffer("staging", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        let inner = &self.0;
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, offset, &buffer, 0, bytes);
        inner.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot();
        buffer.slice(0..bytes).map_async(wgpu::MapMode::Read, move |result| sender.send(result.is_ok()));
        let is_mapped = receiver.receive(&inner.device).await == Some(true);
        self.check()?;
        let data = mapped(&buffer, bytes, is_mapped)?;
        *staging = Some(buffer);
        Ok(data)
    }
}

/// What a mapped buffer holds, unmapped.
fn mapped(buffer: &Buffer, bytes: u64, is_mapped: bool) -> Result<Vec<u8>> {
    let unread = || {
        let remedy = "start again; if it is lost again, use the processor";
        Error::new("gpu.lost", "the graphics device gave no answer", remedy)
    };
    if !is_mapped {
        return Err(unread());
    }
    let data = buffer.slice(0..bytes).get_mapped_range().map_err(|_| unread())?.to_vec();
    buffer.unmap();
    Ok(data)
}

fn value(ids: bool, data: &[u8]) -> Value {
    match ids {
        true => Value::U32(bytemuck::pod_collect_to_vec(data)),
        false => Value::F32(bytemuck::pod_collect_to_vec(data)),
    }
}
