//! A run: inputs and numbers up, then the recorded dispatches again, in slices.

use lantern_graph::{Bindings, Cancel, Result, Value};

use super::{GpuSession, Plan};
use crate::step::fold;
use crate::wait::{oneshot, yield_now};

impl GpuSession {
    /// What every run begins with: bind groups, inputs and numbers.
    pub(super) fn start(&mut self, plan: &Plan, bindings: &Bindings, inputs: &[Option<&Value>]) -> Result<()> {
        self.gpu.check()?;
        self.bind(plan)?;
        let queue = &self.gpu.0.queue;
        for (buffer, value) in plan.inputs.iter().zip(inputs) {
            let bytes: &[u8] = match value {
                Some(Value::F32(values)) => bytemuck::cast_slice(values),
                Some(Value::U32(values)) => bytemuck::cast_slice(values),
                None => continue,
            };
            if !bytes.is_empty() {
                queue.write_buffer(buffer, 0, bytes);
            }
        }
        plan.params.write(queue, bindings);
        Ok(())
    }

    /// All dispatches. The last slice is not awaited: whoever reads waits for it.
    pub(super) async fn replay(
        &mut self,
        plan: &Plan,
        bindings: &Bindings,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let total: u64 = plan.steps.iter().map(|step| step.flops).sum();
        let (mut next, mut done) = (0, 0);
        let mut pause = None;
        while next < plan.steps.len() {
            let turn = self.slices.queue.clone().turn(self.slices.class(), cancel).await?;
            drop(pause.take());
            let budget = self.slices.budget(&plan.pace);
            if self.slices.is_full(budget.min(total - done), budget) {
                self.finish().await?;
            }
            let first = next;
            next = self.submit(plan, bindings, first, budget);
            let flops = plan.steps[first..next].iter().map(|step| step.flops).sum();
            self.slices.submitted(&plan.pace, flops);
            done += flops;
            if next < plan.steps.len() {
                self.finish().await?;
                pause = Some(turn.pause());
                // Where waiting for the device blocks the thread, those who share it are heard here.
                yield_now().await;
                cancel.check()?;
            }
            progress(done, total);
        }
        self.gpu.check()
    }

    /// Encodes dispatches `from..` until a slice of so many operations is full, submits them, and gives the next one.
    pub(super) fn submit(&self, plan: &Plan, bindings: &Bindings, from: usize, budget: u64) -> usize {
        let inner = &self.gpu.0;
        let bound = plan.bind_groups.borrow();
        let mut encoder = inner.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut spent = 0;
        let mut next = from;
        while next < plan.steps.len() && (next == from || spent < budget) {
            let (step, bind_group) = (&plan.steps[next], &bound.groups[next]);
            let [x, y] = fold(step.workgroups(bindings), inner.workgroups_limit);
            if x > 0 {
                pass.set_pipeline(&step.pipeline.pipeline);
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
            spent += step.flops;
            next += 1;
        }
        drop(pass);
        inner.queue.submit([encoder.finish()]);
        next
    }

    /// Waits until the device has done all that was submitted.
    pub(super) async fn finish(&mut self) -> Result<()> {
        let (sender, receiver) = oneshot();
        self.gpu.0.queue.on_submitted_work_done(move || sender.send(()));
        receiver.receive(&self.gpu.0.device).await;
        self.slices.finished();
        self.gpu.check()
    }
}
