//! Which variant of a kernel a device runs: the fastest of a race (`race.rs`), or else the best guess, that passes its self-test
//! there.

use std::rc::Rc;

use lantern_graph::{Error, Result};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::kernel::{Choice, Kernel};
use crate::pipeline::Pipeline;
use crate::selftest;

impl Gpu {
    /// Compiles and tests what is missing of these kernels, each in the best variant that works here.
    ///
    /// # Errors
    /// `gpu.kernel` when a kernel fails at every tier; `gpu.lost`.
    pub async fn prepare(&self, kernels: &[Kernel]) -> Result<()> {
        for kernel in kernels {
            if !self.0.pipelines.is_chosen(*kernel) {
                self.choose(*kernel).await?;
            }
        }
        Ok(())
    }

    /// The variant a prepared kernel runs with.
    pub(crate) fn chosen(&self, kernel: Kernel) -> Result<Rc<Pipeline>> {
        self.0.pipelines.chosen(kernel)
    }

    async fn choose(&self, kernel: Kernel) -> Result<()> {
        let choices = kernel.choices_from(self.0.tier, &self.0.caps);
        let fastest = if choices.len() > 1 { self.fastest(kernel, &choices).await? } else { None };
        let others = choices.into_iter().filter(|choice| Some(*choice) != fastest);
        for choice in fastest.into_iter().chain(others) {
            if self.is_right(kernel, choice).await? {
                return self.0.pipelines.choose(&self.0.device, kernel, choice).await;
            }
        }
        let failed = self.step_downs().into_iter().filter(|down| down.kernel == kernel.name());
        let reasons: Vec<String> = failed.map(|down| format!("{}: {}", down.choice, down.reason)).collect();
        Err(Error::new(
            "gpu.kernel",
            format!("the kernel {} works at no tier here ({})", kernel.name(), reasons.join("; ")),
            "use the processor, or update the graphics driver, and please report it",
        ))
    }

    /// Whether a variant compiles and passes its self-test here; asked once. One that does not is noted as a step down.
    ///
    /// # Errors
    /// `gpu.lost`.
    pub(crate) async fn is_right(&self, kernel: Kernel, choice: Choice) -> Result<bool> {
        let pipelines = &self.0.pipelines;
        if let Some(right) = pipelines.tested(kernel, choice) {
            return Ok(right);
        }
        match self.test(kernel, choice).await {
            Ok(()) => pipelines.passed(kernel, choice),
            Err(e) if e.code == "gpu.lost" => return Err(e),
            Err(e) => pipelines.step_down(kernel, choice, e.cause),
        }
        Ok(pipelines.tested(kernel, choice) == Some(true))
    }

    async fn test(&self, kernel: Kernel, choice: Choice) -> Result<()> {
        let (pipelines, device) = (&self.0.pipelines, &self.0.device);
        let with = kernel.variant(choice).map_or(&[][..], |variant| variant.with);
        // Those that may run otherwise go on as before: they have tests of their own.
        let before = with.iter().filter(|other| other.choices().len() > 1);
        let before: Vec<_> = before.map(|other| (*other, pipelines.chosen(*other).ok())).collect();
        for other in with {
            // As good as this one, so that they do together what they will do.
            let tier = choice.tier.steps_down().find(|tier| other.is_written_for(*tier));
            pipelines.choose(device, *other, tier.unwrap_or(Tier::Software).into()).await?;
        }
        pipelines.choose(device, kernel, choice).await?;
        let outcome = selftest::passes(self, kernel).await;
        for (other, pipeline) in before {
            pipelines.restore(other, pipeline);
        }
        outcome
    }
}
