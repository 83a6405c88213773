//! States as the processor keeps them: f32 whatever a state is stored as, since they are read in place; those of a state of
//! halves are rounded.

use lantern_graph::contract::Stored;
use lantern_graph::{DType, Result, StateSpec, f16};

use crate::memory::{Account, Entry, check, filled, reserve};

pub struct State {
    spec: StateSpec,
    /// Of the rows there is room for.
    pub values: Vec<f32>,
    entry: Entry,
}

impl Stored for State {
    fn spec(&self) -> &StateSpec {
        &self.spec
    }

    fn rows(&self) -> usize {
        self.values.len() / self.spec.row_elements().max(1)
    }
}

impl State {
    pub(crate) fn new(spec: &StateSpec, memory: &Account) -> Result<State> {
        check(memory, &spec.name, spec.first_rows() as u64 * spec.row_elements() as u64 * 4)?;
        let values = filled(&spec.name, spec.first_rows() * spec.row_elements(), 0.0)?;
        let entry = memory.enter(size_of_val(&values[..]) as u64);
        Ok(State { spec: spec.clone(), values, entry })
    }

    /// Makes room for so many rows, as zeros.
    pub(crate) fn grow(&mut self, rows: usize, memory: &Account) -> Result<()> {
        let len = rows * self.spec.row_elements();
        // What is there stays until it has moved.
        check(memory, &self.spec.name, len as u64 * 4)?;
        reserve(&self.spec.name, &mut self.values, len)?;
        self.values.resize(len.max(self.values.len()), 0.0);
        self.entry = memory.enter(size_of_val(&self.values[..]) as u64);
        Ok(())
    }

    /// Writes whole rows that there is room for.
    pub fn write(&mut self, first_row: usize, values: &[f32]) {
        let rows = &mut self.values[first_row * self.spec.row_elements()..][..values.len()];
        rows.copy_from_slice(values);
        if self.spec.dtype == DType::F16 {
            f16::round(rows);
        }
    }
}
