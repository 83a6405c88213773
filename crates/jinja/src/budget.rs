//! What one rendering may take: a template comes out of a file, and must not hang or fill its host.
//!
//! The counters belong to the thread, so that every operation spends, however far from the evaluator it is done.

use std::cell::Cell;

use crate::error::{Error, Kind, Result};

/// Steps: a hundred times what a long conversation needs. Handling text or lists takes a step for each [`GRAIN`].
const FUEL: u64 = 10_000_000;
const GRAIN: usize = 64;
/// Bytes of texts and lists alive at one time.
const MEMORY: usize = 64 << 20;
/// Characters written: more than any context holds.
pub(crate) const OUTPUT: usize = 4 << 20;
/// Levels of nesting in values, in the source, and of calls: stacks in a browser are small.
pub(crate) const NESTING: u16 = 100;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn begin() {
    STEPS.set(FUEL);
    LIVE.set(0);
}

/// One step, and those for handling so many characters or items.
pub(crate) fn spend(items: usize) -> Result<()> {
    let cost = 1 + (items / GRAIN) as u64;
    let left = STEPS.get().checked_sub(cost).ok_or_else(|| {
        Error::new(Kind::Limit, format!("it does not end: more than {} million steps", FUEL / 1_000_000))
    })?;
    STEPS.set(left);
    room(0)
}

/// # Errors
/// [`Kind::Limit`] where so many bytes more are too many.
pub(crate) fn room(bytes: usize) -> Result<()> {
    match LIVE.get().checked_add(bytes) {
        Some(total) if total <= MEMORY => Ok(()),
        _ => Err(Error::new(Kind::Limit, format!("it takes more than {} MiB of memory", MEMORY >> 20))),
    }
}

pub(crate) fn taken(bytes: usize) {
    LIVE.set(LIVE.get() + bytes);
}

pub(crate) fn freed(bytes: usize) {
    LIVE.set(LIVE.get().saturating_sub(bytes));
}

pub(crate) fn nesting(depth: u16) -> Result<u16> {
    if depth >= NESTING {
        return Err(Error::new(Kind::Limit, format!("more than {NESTING} levels lie within each other")));
    }
    Ok(depth + 1)
}
