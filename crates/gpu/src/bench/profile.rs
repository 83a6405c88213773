//! A plan taken apart: what each kind of operation in it takes, beside what the adapter would need for its work.

use std::collections::HashMap;

use lantern_graph::{Bindings, Result, Value};

use super::{Limits, clock, median};
use crate::session::{GpuSession, Plan, Work};

/// What a plan's dispatches took, those of the same work together.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// `timestamps`: the GPU's own clock; `host`: the host's, each dispatch alone and its round trip included.
    pub clock: &'static str,
    /// That have anything to do with these symbols.
    pub dispatches: usize,
    /// Of all dispatches: the sum of their medians.
    pub ms: f64,
    /// Median from the first dispatch's beginning to the last's end.
    pub whole_ms: f64,
    /// What takes longest first.
    pub operations: Vec<Operation>,
}

/// Dispatches of one kind: the same operation of the same shape by the same kernel, whichever block it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// One of them; in its scope a block's number is an asterisk.
    pub work: Work,
    pub count: usize,
    /// Of all of them.
    pub ms: f64,
    pub bytes: u64,
    pub flops: u64,
    /// Of the whole profile's time.
    pub share: f64,
    /// What the bytes take at the copy bandwidth, the operations at the register-only rate, and so many dispatches one behind
    /// the other.
    pub bytes_ms: f64,
    pub flops_ms: f64,
    pub dispatch_ms: f64,
}

impl Operation {
    /// No kernel needs less, by what was measured: its bytes or its arithmetic, whichever takes longer, behind the dispatches.
    pub fn limit_ms(&self) -> f64 {
        self.bytes_ms.max(self.flops_ms) + self.dispatch_ms
    }

    pub fn us_each(&self) -> f64 {
        self.ms * 1e3 / self.count as f64
    }
}

impl Profile {
    pub fn limit_ms(&self) -> f64 {
        self.operations.iter().map(Operation::limit_ms).sum()
    }
}

/// Runs a plan so often, after once to warm up, and takes the median of each dispatch.
///
/// # Errors
/// As `Session::run`.
pub async fn profile(
    session: &mut GpuSession,
    plan: &Plan,
    bindings: &Bindings,
    inputs: &[(&str, Value)],
    (runs, limits): (usize, &Limits),
    now_ms: &dyn Fn() -> f64,
) -> Result<Profile> {
    let mut taken = Vec::new();
    for run in 0..=runs {
        let times = session.profile(plan, bindings, inputs, now_ms).await?;
        if run > 0 {
            taken.push(times);
        }
    }
    let whole: Vec<f64> = taken.iter().map(|times| times.whole_ms).collect();
    let each = |at: usize| median(&taken.iter().map(|times| times.each_ms[at]).collect::<Vec<_>>());
    let work = plan.work(bindings);
    let dispatched = work.into_iter().enumerate().filter(|(_, work)| work.workgroups > 0);
    let timed: Vec<(Work, f64)> = dispatched.map(|(at, work)| (work, each(at))).collect();
    Ok(Profile {
        clock: clock(session.gpu()),
        dispatches: timed.len(),
        ms: timed.iter().map(|(_, ms)| ms).sum(),
        whole_ms: median(&whole),
        operations: operations(timed, limits),
    })
}

fn operations(timed: Vec<(Work, f64)>, limits: &Limits) -> Vec<Operation> {
    let all_ms: f64 = timed.iter().map(|(_, ms)| ms).sum();
    let mut found = HashMap::new();
    let mut operations: Vec<Operation> = Vec::new();
    for (mut work, ms) in timed {
        work.scope = any_block(&work.scope);
        let kind = (work.scope.clone(), work.operation, work.shape.clone(), work.kernel.clone(), work.workgroups);
        let at = *found.entry(kind).or_insert(operations.len());
        if at == operations.len() {
            let zeros = Operation {
                work: work.clone(),
                count: 0,
                ms: 0.0,
                bytes: 0,
                flops: 0,
                share: 0.0,
                bytes_ms: 0.0,
                flops_ms: 0.0,
                dispatch_ms: 0.0,
            };
            operations.push(zeros);
        }
        let operation = &mut operations[at];
        operation.count += 1;
        operation.ms += ms;
        operation.bytes += work.bytes;
        operation.flops += work.flops;
    }
    for operation in &mut operations {
        operation.share = if all_ms > 0.0 { operation.ms / all_ms } else { 0.0 };
        operation.bytes_ms = operation.bytes as f64 / limits.copy_gb_per_s / 1e6;
        operation.flops_ms = operation.flops as f64 / limits.fma_gflop_per_s / 1e6;
        operation.dispatch_ms = operation.count as f64 * limits.dispatch_ms;
    }
    operations.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    operations
}

/// `blk.3.attention` and `blk.4.attention` are one kind of place; `3` alone is a place by itself.
fn any_block(scope: &str) -> String {
    let parts: Vec<&str> = scope.split('.').collect();
    if parts.len() == 1 {
        return scope.to_owned();
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.into_iter().map(|part| if is_number(part) { "*" } else { part }).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::Tier;

    #[test]
    fn equal_work_of_all_blocks_stands_in_one_line_and_shares_are_of_the_whole() {
        let work = |scope: &str, operation| Work {
            scope: scope.into(),
            operation,
            shape: vec![1, 8],
            kernel: "gemv".into(),
            variant: Tier::Core.into(),
            workgroups: 4,
            bytes: 1000,
            flops: 500,
        };
        let timed = vec![
            (work("blk.0.attention", "linear"), 1.0),
            (work("blk.1.attention", "linear"), 2.0),
            (work("blk.11.attention", "rope"), 5.0),
            (work("3", "linear"), 2.0),
        ];
        let limits = Limits { copy_gb_per_s: 1e-3, fma_gflop_per_s: 1e-3, dispatch_ms: 0.25 };
        let operations = operations(timed, &limits);
        let lines: Vec<_> = operations.iter().map(|o| (&*o.work.scope, o.work.operation, o.count, o.ms)).collect();
        let wanted =
            [("blk.*.attention", "rope", 1, 5.0), ("blk.*.attention", "linear", 2, 3.0), ("3", "linear", 1, 2.0)];
        assert_eq!(lines, wanted);
        assert!((operations.iter().map(|o| o.share).sum::<f64>() - 1.0).abs() < 1e-12);
        let two = &operations[1];
        assert_eq!((two.bytes, two.flops, two.bytes_ms, two.flops_ms), (2000, 1000, 2.0, 1.0));
        assert_eq!((two.limit_ms(), two.us_each()), (2.5, 1500.0));
    }
}
