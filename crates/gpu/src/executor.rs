//! The executor's face: weights, sessions, and what a visitor should hear of this driver.

use lantern_graph::{
    Account, Cancel, Class, Description, Error, Executor, FEW_ROWS, Graph, MANY_ROWS, Result, WeightSpec, fuse,
};

use crate::device::Gpu;
use crate::session::{GpuSession, make_ready};
use crate::weights::GpuWeights;

impl Executor for Gpu {
    type Weights = GpuWeights;
    type Session = GpuSession;

    fn describe(&self) -> Description {
        Gpu::describe(self)
    }

    /// `gpu.step_down` for kernels that failed their self-test on this driver.
    fn notices(&self) -> Vec<Error> {
        let downs = self.step_downs();
        let named: Vec<String> = downs.iter().map(|s| format!("{} ({}: {})", s.kernel, s.choice, s.reason)).collect();
        let cause = format!(
            "kernels failed their check on this driver, and plainer ones took their places: {}",
            named.join("; ")
        );
        let notice = || Error::new("gpu.step_down", cause, "results are right but slower; update the graphics driver");
        if downs.is_empty() { Vec::new() } else { vec![notice()] }
    }

    fn allocate_weights(&self, specs: &[WeightSpec]) -> Result<GpuWeights> {
        GpuWeights::allocate(self, specs)
    }

    async fn write_rows(&self, weights: &GpuWeights, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        weights.write_rows(self, name, first_row, bytes)
    }

    async fn warm(&self, graph: &Graph, cancel: &Cancel) -> Result<()> {
        make_ready(self, &fuse(graph), cancel).await
    }

    fn session(&self, class: Class) -> GpuSession {
        GpuSession::new(self, class)
    }

    fn rows_at_once(&self) -> usize {
        if self.capabilities().is_cpu { FEW_ROWS } else { MANY_ROWS }
    }

    fn account(&self) -> &Account {
        &self.1
    }

    fn weights_account<'w>(&self, weights: &'w GpuWeights) -> &'w Account {
        weights.account()
    }

    fn check_weights(&self, bytes: u64) -> Result<()> {
        self.check_memory("the model", bytes)
    }
}
