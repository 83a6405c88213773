//! How long each dispatch of a run takes: what a profile and the benchmarks are made of.

use std::rc::Rc;

use lantern_graph::{Bindings, Result, Value, contract};

use super::{GpuSession, Plan};
use crate::device::Gpu;
use crate::memory::Buffer;
use crate::step::fold;

/// Dispatches that are timed in one submission. A query set has room for 4,096 stamps, two each.
const AT_ONCE: usize = 1024;

/// Pairs of timestamps, and where they are resolved to.
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
            count: 2 * AT_ONCE as u32,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        Stamps { query_set, resolved: Rc::new(gpu.buffer("timestamps", 16 * AT_ONCE as u64, usage)) }
    }

    /// Around the pass of that number.
    fn writes(&self, pass: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.query_set,
            beginning_of_pass_write_index: Some(2 * pass as u32),
            end_of_pass_write_index: Some(2 * pass as u32 + 1),
        }
    }
}

/// What a run took, dispatch by dispatch, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct DispatchTimes {
    /// Of each, in the plan's order.
    pub each_ms: Vec<f64>,
    /// From the first's beginning to the last's end; of a run in several submissions, without what lies between them.
    pub whole_ms: f64,
}

impl GpuSession {
    /// The time of every dispatch. With timestamps where the adapter has them: in order, each in a pass of its own, as many in
    /// a submission as a slice has, so that the device is as busy as in any run. Else by the host's clock (`now_ms`), each
    /// submitted and awaited alone, which counts the round trip too.
    ///
    /// # Errors
    /// As `run`.
    pub async fn profile(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        now_ms: &dyn Fn() -> f64,
    ) -> Result<DispatchTimes> {
        let inputs = contract::begin(self, plan, bindings, inputs)?;
        self.start(plan, bindings, &inputs)?;
        self.finish().await?;
        let groups = plan.bind_groups.borrow().groups.clone();
        let dispatches: Vec<_> = plan
            .steps
            .iter()
            .zip(&groups)
            .map(|(step, group)| (&step.pipeline.pipeline, group, step.workgroups(bindings)))
            .collect();
        let mut times = DispatchTimes { each_ms: Vec::with_capacity(dispatches.len()), whole_ms: 0.0 };
        let budget = self.slices.budget(&plan.pace);
        let mut next = 0;
        while next < dispatches.len() {
            let first = next;
            let mut spent = 0;
            while next < dispatches.len() && next - first < AT_ONCE && (next == first || spent < budget) {
                spent += plan.steps[next].flops;
                next += 1;
            }
            if let Some(stamps) = self.stamps() {
                let stamped = self.stamped(&stamps, &dispatches[first..next]).await?;
                times.each_ms.extend(stamped.iter().map(|[begin, end]| end - begin));
                times.whole_ms += stamped[stamped.len() - 1][1] - stamped[0][0];
                continue;
            }
            for (pipeline, group, workgroups) in &dispatches[first..next] {
                let ms = self.time_dispatches(pipeline, group, (*workgroups, 1), now_ms).await?;
                times.each_ms.push(ms);
                times.whole_ms += ms;
            }
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

    fn stamps(&mut self) -> Option<Stamps> {
        if self.stamps.is_none() && self.gpu.0.caps.timestamps {
            self.stamps = Some(Stamps::new(&self.gpu));
        }
        self.stamps.clone()
    }

    /// When each of some dispatches began and ended, in milliseconds of the device.
    async fn stamped(
        &mut self,
        stamps: &Stamps,
        dispatches: &[(&wgpu::ComputePipeline, &wgpu::BindGroup, usize)],
    ) -> Result<Vec<[f64; 2]>> {
        let inner = self.gpu.0.clone();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        for (number, (pipeline, bind_group, workgroups)) in dispatches.iter().enumerate() {
            let timestamp_writes = Some(stamps.writes(number));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            dispatch(&mut pass, pipeline, bind_group, fold(*workgroups, inner.workgroups_limit));
        }
        self.resolve(stamps, encoder, dispatches.len()).await
    }

    /// Milliseconds of a dispatch `times` over, behind each other in one pass, submitted and awaited alone.
    pub(crate) async fn time_dispatches(
        &mut self,
        pipeline: &wgpu::ComputePipeline,
        bind_group: &wgpu::BindGroup,
        (workgroups, times): (usize, usize),
        now_ms: &dyn Fn() -> f64,
    ) -> Result<f64> {
        let inner = self.gpu.0.clone();
        let stamps = self.stamps();
        let start = now_ms();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let timestamp_writes = stamps.as_ref().map(|stamps| stamps.writes(0));
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
        for _ in 0..times {
            dispatch(&mut pass, pipeline, bind_group, fold(workgroups, inner.workgroups_limit));
        }
        drop(pass);
        if let Some(stamps) = stamps {
            let stamped = self.resolve(&stamps, encoder, 1).await?;
            return Ok(stamped[0][1] - stamped[0][0]);
        }
        inner.queue.submit([encoder.finish()]);
        self.finish().await?;
        Ok(now_ms() - start)
    }

    /// Submits, and reads the first so many pairs of timestamps, in milliseconds.
    async fn resolve(
        &mut self,
        stamps: &Stamps,
        mut encoder: wgpu::CommandEncoder,
        pairs: usize,
    ) -> Result<Vec<[f64; 2]>> {
        let inner = self.gpu.0.clone();
        encoder.resolve_query_set(&stamps.query_set, 0..2 * pairs as u32, &stamps.resolved, 0);
        inner.queue.submit([encoder.finish()]);
        let bytes = self.read_buffer(&stamps.resolved, 0, 16 * pairs as u64).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let period_ms = f64::from(inner.queue.get_timestamp_period()) / 1e6;
        let first = ticks.first().copied().unwrap_or(0);
        // A clock that was set back in between tells nothing.
        let ms = |tick: u64| tick.saturating_sub(first) as f64 * period_ms;
        Ok(ticks.as_chunks::<2>().0.iter().map(|[begin, end]| [ms(*begin), ms(*end).max(ms(*begin))]).collect())
    }
}

fn dispatch(
    pass: &mut wgpu::ComputePass,
    pipeline: &wgpu::ComputePipeline,
    bind_group: &wgpu::BindGroup,
    [x, y]: [u32; 2],
) {
    if x > 0 {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
    }
}
