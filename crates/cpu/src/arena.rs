//! The temporaries of a session's plans: one stretch of memory, which the plans use one after another.

use std::ops::Range;

use lantern_graph::Result;

use crate::memory::{Account, Entry, check, reserve};
use crate::place::Needs;

pub(crate) struct Arena {
    pub floats: Vec<f32>,
    pub ids: Vec<u32>,
    memory: Account,
    _entry: Entry,
}

impl Arena {
    pub fn new(memory: &Account) -> Arena {
        Arena { floats: Vec::new(), ids: Vec::new(), memory: memory.clone(), _entry: memory.enter(0) }
    }

    pub fn size(&self) -> Needs {
        Needs { floats: self.floats.len(), ids: self.ids.len() }
    }

    /// Makes it as large as that, no larger. What is in it stays only where `keep` is set: otherwise the old memory is
    /// given back before the new is taken.
    ///
    /// # Errors
    /// `cpu.memory` where the heap cannot give it; the arena is then smaller than it was.
    pub fn fit(&mut self, needs: Needs, keep: bool) -> Result<()> {
        if self.size() == needs {
            return Ok(());
        }
        let present = if keep { self.size().bytes() } else { 0 };
        if !keep {
            (self.floats, self.ids) = (Vec::new(), Vec::new());
        }
        self._entry = self.memory.enter(present);
        let fitted = check(&self.memory, "a plan", needs.bytes().saturating_sub(present))
            .and_then(|()| fit(&mut self.floats, needs.floats))
            .and_then(|()| fit(&mut self.ids, needs.ids));
        self._entry = self.memory.enter(self.size().bytes());
        fitted
    }
}

fn fit<T: Copy + Default>(values: &mut Vec<T>, len: usize) -> Result<()> {
    reserve("a plan", values, len)?;
    values.resize(len, T::default());
    values.shrink_to_fit();
    Ok(())
}

/// A buffer without the part that is being written.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a, T> {
    before: &'a [T],
    after: &'a [T],
    /// Where `after` starts.
    at: usize,
}

impl<'a, T> Rest<'a, T> {
    pub fn whole(values: &'a [T]) -> Rest<'a, T> {
        Rest { before: values, after: &[], at: values.len() }
    }

    /// The part, and the rest; `None` where the part is not inside.
    pub fn split(values: &'a mut [T], part: Range<usize>) -> Option<(Rest<'a, T>, &'a mut [T])> {
        let (before, rest) = values.split_at_mut_checked(part.start)?;
        let (out, after) = rest.split_at_mut_checked(part.len())?;
        Some((Rest { before, after, at: part.end }, out))
    }

    pub fn get(&self, range: Range<usize>) -> Option<&'a [T]> {
        if range.is_empty() {
            Some(&[])
        } else if range.start < self.at {
            self.before.get(range)
        } else {
            self.after.get(range.start - self.at..range.end - self.at)
        }
    }
}
