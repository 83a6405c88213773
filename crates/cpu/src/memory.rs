//! What the executor holds: every allocation that outlives a call is entered here and struck out when it is dropped.

use std::cell::Cell;
use std::rc::Rc;

use lantern_graph::{Error, Result};

#[derive(Debug, Clone, Default)]
pub(crate) struct Account(Rc<Cell<u64>>);

impl Account {
    pub fn bytes(&self) -> u64 {
        self.0.get()
    }

    pub fn enter(&self, bytes: u64) -> Entry {
        self.0.set(self.0.get() + bytes);
        Entry { account: self.clone(), bytes }
    }
}

/// An entry in the account, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Entry {
    account: Account,
    bytes: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.account.0.set(self.account.0.get() - self.bytes);
    }
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
        let remedy = "take a smaller model or a smaller picture";
        Error::new("cpu.memory", format!("{what} needs {mib} MiB, which could not be had"), remedy)
    })
}
