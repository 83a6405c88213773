//! Single dispatches by themselves: what a profile and the benchmarks are made of.

use std::rc::Rc;

use lantern_graph::{Bindings, Result, Value, contract};

use super::{GpuSession, Plan};
use crate::device::Gpu;
use crate::memory::Buffer;
use crate::step::fold;

/// Two timestamps, and where they are resolved to.
#[derive(Clone)]
pub(super) struct Stamps {
    query_set: wgpu::QuerySet,
    resolved: Rc<Buffer>,
}

impl Stamps {
    fn new(gpu: &Gpu) -> Stamps {
        let query_set = gpu.0.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: None,
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        Stamps { query_set, resolved: Rc::new(gpu.buffer("timestamps", 16, usage)) }
    }
}

impl GpuSession {
    /// Time of every dispatch in milliseconds, each submitted and awaited alone: with timestamps where the adapter has
    /// them, else by the host's clock (`now_ms`), which counts the round trip too.
    ///
    /// # Errors
    /// As `run`.
    pub async fn profile(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        now_ms: &dyn Fn() -> f64,
    ) -> Result<Vec<f64>> {
        let inputs = contract::begin(self, plan, bindings, inputs)?;
        self.start(plan, bindings, &inputs)?;
        self.finish().await?;
        let groups = plan.bind_groups.borrow().groups.clone();
        let mut times = Vec::with_capacity(plan.steps.len());
        for (step, bind_group) in plan.steps.iter().zip(&groups) {
            let workgroups = step.workgroups(bindings);
            times.push(self.time_dispatch(&step.pipeline.pipeline, bind_group, workgroups, now_ms).await?);
        }
        contract::end(self, plan, bindings);
        Ok(times)
    }

    /// Milliseconds of so many runs of a plan, submitted at once, by the host's clock; one wait at the end is counted too.
    ///
    /// # Errors
    /// As `run`.
    pub(crate) async fn time_runs(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        times: u32,
    ) -> Result<f64> {
        let inputs = contract::begin(self, plan, bindings, inputs)?;
        self.start(plan, bindings, &inputs)?;
        self.finish().await?;
        let start = self.slices.queue.now_ms();
        for _ in 0..times {
            self.submit(plan, bindings, 0, u64::MAX);
        }
        self.finish().await?;
        let ms = self.slices.queue.now_ms() - start;
        contract::end(self, plan, bindings);
        Ok(ms)
    }

    /// Milliseconds of one dispatch, submitted and awaited alone.
    pub(crate) async fn time_dispatch(
        &mut self,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
        workgroups: usize,
        now_ms: &dyn Fn() -> f64,
    ) -> Result<f64> {
        let inner = self.gpu.0.clone();
        if self.stamps.is_none() && inner.caps.timestamps {
            self.stamps = Some(Stamps::new(&self.gpu));
        }
        let stamps = self.stamps.clone();
        let start = now_ms();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let timestamp_writes = stamps.as_ref().map(|stamps| wgpu::ComputePassTimestampWrites {
            query_set: &stamps.query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
        let [x, y] = fold(workgroups, inner.workgroups_limit);
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        drop(pass);
        if let Some(stamps) = &stamps {
            encoder.resolve_query_set(&stamps.query_set, 0..2, &stamps.resolved, 0);
        }
        inner.queue.submit([encoder.finish()]);
        let Some(stamps) = stamps else {
            self.finish().await?;
            return Ok(now_ms() - start);
        };
        let bytes = self.read_buffer(&stamps.resolved, 0, 16).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let period_ns = f64::from(inner.queue.get_timestamp_period());
        Ok(ticks[1].saturating_sub(ticks[0]) as f64 * period_ns / 1e6)
    }
}
