//! Which variant of a kernel a device runs: the best that passes its self-test there.

use std::rc::Rc;

use lantern_graph::{Error, Result};

use crate::caps::Tier;
use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::pipeline::Pipeline;
use crate::selftest;

impl Gpu {
    /// Compiles and tests what is missing of these kernels, each at the best tier that works here.
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
        let mut reasons = Vec::new();
        for tier in kernel.tiers(self.0.tier, &self.0.caps) {
            match self.try_tier(kernel, tier).await {
                Ok(()) => return Ok(()),
                Err(e) if e.code == "gpu.lost" => return Err(e),
                Err(e) => {
                    reasons.push(format!("{tier}: {}", e.cause));
                    self.0.pipelines.step_down(kernel, tier, e.cause);
                }
            }
        }
        Err(Error::new(
            "gpu.kernel",
            format!("the kernel {} works at no tier here ({})", kernel.name(), reasons.join("; ")),
            "use the processor, or update the graphics driver, and please report it",
        ))
    }

    async fn try_tier(&self, kernel: Kernel, tier: Tier) -> Result<()> {
        let (pipelines, device) = (&self.0.pipelines, &self.0.device);
        for other in kernel.variant(tier).map_or(&[][..], |variant| variant.with) {
            pipelines.choose(device, *other, Tier::Software).await?;
        }
        pipelines.choose(device, kernel, tier).await?;
        selftest::passes(self, kernel).await
    }
}
