//! What the executor holds: every allocation that outlives a call is entered here and struck out when it is dropped.

pub(crate) use lantern_graph::{Account, Entry};
use lantern_graph::{Error, Result};

const REMEDY: &str = "take a smaller model or a smaller picture";

/// Whether so many bytes more are within the budget.
pub(crate) fn check(memory: &Account, what: &str, bytes: u64) -> Result<()> {
    memory.check("cpu.memory", what, bytes, REMEDY)
}

/// `len` copies of `value`, or `cpu.memory` where the heap cannot give them.
pub(crate) fn filled<T: Clone>(what: &str, len: usize, value: T) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(what, &mut values, len)?;
    values.resize(len, value);
    Ok(values)
}

/// Room for `len` values altogether, or `cpu.memory`.
pub(crate) fn reserve<T>(what: &str, values: &mut Vec<T>, len: usize) -> Result<()> {
    values.try_reserve_exact(len.saturating_sub(values.len())).map_err(|_| {
        let mib = (len as u64 * size_of::<T>() as u64).div_ceil(1 << 20);
        Error::new("cpu.memory", format!("{what} needs {mib} MiB, which could not be had"), REMEDY)
    })
}
