//! Which buffers a dispatch binds.

use lantern_graph::{Error, Result};

use super::GpuSession;
use super::plan::{PARAMS_BYTES, Plan};
use crate::memory::Buffer;
use crate::shader::Binding;
use crate::step::{Part, Slot, Step};
use crate::weights::Region;

/// One for each step, over the buffers of one generation.
#[derive(Default)]
pub(super) struct BindGroups {
    generation: u64,
    pub groups: Vec<wgpu::BindGroup>,
}

impl GpuSession {
    /// Makes a plan's bind groups, unless those it has are over the buffers there are.
    pub(super) fn bind(&self, plan: &Plan) -> Result<()> {
        let mut bound = plan.bind_groups.borrow_mut();
        if bound.generation == self.generation && bound.groups.len() == plan.steps.len() {
            return Ok(());
        }
        bound.groups.clear();
        for (step, block) in plan.steps.iter().zip(&plan.params.blocks) {
            let mut storage = step.storage.iter();
            let mut entries = Vec::new();
            for (binding, kind) in step.pipeline.shader.bindings.iter().enumerate() {
                let (buffer, offset, size) = match kind {
                    Binding::Uniform => (&*plan.params.buffer, (block * PARAMS_BYTES) as u64, PARAMS_BYTES as u64),
                    Binding::Read | Binding::ReadWrite => match storage.next() {
                        Some(part) => self.range(plan, part)?,
                        None => return Err(miscounted(step)),
                    },
                };
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: wgpu::BufferSize::new(size),
                });
                entries.push(wgpu::BindGroupEntry { binding: binding as u32, resource });
            }
            if storage.next().is_some() {
                return Err(miscounted(step));
            }
            bound.groups.push(self.gpu.0.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &step.pipeline.layout,
                entries: &entries,
            }));
        }
        bound.generation = self.generation;
        Ok(())
    }

    /// The buffer a part lies in, its offset there and its size.
    fn range<'p>(&'p self, plan: &'p Plan, part: &Part) -> Result<(&'p wgpu::Buffer, u64, u64)> {
        let (buffer, offset, bytes) = self.whole(plan, part.slot)?;
        let (first, size) = part.bytes(bytes);
        Ok((buffer, offset + first, size))
    }

    /// The buffer a slot lies in, its offset there and its size.
    pub(super) fn whole<'p>(&'p self, plan: &'p Plan, slot: Slot) -> Result<(&'p Buffer, u64, u64)> {
        let all = |buffer: &'p Buffer| (buffer, 0, buffer.size());
        let region = |region: &'p Region| (&*region.buffer, region.offset, region.size);
        Ok(match slot {
            Slot::Temporary(t) => {
                let place = plan.layout.places[t];
                (self.arenas.at(place), place.offset, plan.temporary_bytes(t))
            }
            Slot::Input(i) => all(&plan.inputs[i]),
            Slot::State(s) => all(&self.ledger.states()[plan.states[s]].buffer),
            Slot::Constant(node) => {
                let (offset, bytes) = plan.constants.places[&node];
                (&plan.constants.buffer, offset, bytes)
            }
            Slot::Words(w, s) => region(&plan.weights.get(&plan.graph.weights[w])?.shards[s].words),
            Slot::Scales(w, s) => {
                let shard = &plan.weights.get(&plan.graph.weights[w])?.shards[s];
                region(shard.scales.as_ref().unwrap_or(&shard.words))
            }
        })
    }
}

fn miscounted(step: &Step) -> Error {
    Error::new(
        "gpu.graph",
        format!("{} binds {} buffers, not what its shader has", step.pipeline.kernel.name(), step.storage.len()),
        "this is a mistake; please report it",
    )
}
