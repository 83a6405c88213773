//! States: what they are, how they are stored, and how much of them a run touches.

use crate::shape::{Bindings, Dim};
use crate::{DType, Error, Graph, Index, NodeId, Op, Result};

/// Storage that outlives a run and is written in place: KV caches, Adam moments, trained parameters. Starts as zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpec {
    pub name: String,
    /// Its first dimension counts rows.
    pub shape: Vec<usize>,
    /// What it is stored as: `F32` or `F16`. Values are rounded to halves when they are written, to the nearest and of two
    /// equally near to the even one; what is beyond ±65504 becomes that. Readers get f32.
    pub dtype: DType,
    /// Has memory only for the rows that were touched so far, in buckets.
    pub growing: bool,
}

impl StateSpec {
    /// Elements behind the first dimension.
    pub fn row_elements(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    pub fn elements(&self) -> usize {
        self.rows() * self.row_elements()
    }

    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Rows there is room for before anything ran.
    pub fn first_rows(&self) -> usize {
        if self.growing { self.rows().min(BUCKET_ROWS) } else { self.rows() }
    }

    /// Bytes of so many rows as the state is stored.
    pub fn bytes(&self, rows: usize) -> u64 {
        let (_, element) = self.dtype.block();
        rows as u64 * self.row_elements() as u64 * element as u64
    }
}

/// How a state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateOptions {
    /// `F32` or `F16`.
    pub storage: DType,
    /// See [`StateSpec::growing`].
    pub growing: bool,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self { storage: DType::F32, growing: false }
    }
}

/// Rows of a growing state before it first grows: a short chat fits.
pub const BUCKET_ROWS: usize = 256;

/// Rows to make room for where there is room for `have` and `needed` are: twice as many until it suffices, at most `most`.
///
/// # Errors
/// `graph.binding` when more are needed than the state may have.
pub fn bucket(spec: &StateSpec, have: usize, needed: usize) -> Result<usize> {
    let most = spec.rows();
    if needed > most {
        return Err(past_end(spec, needed));
    }
    let mut rows = have.max(1);
    while rows < needed {
        rows = rows.saturating_mul(2);
    }
    Ok(rows.min(most).max(have))
}

/// `graph.binding` for a write that ends at that row.
pub(crate) fn past_end(spec: &StateSpec, end: usize) -> Error {
    let cause = format!("{end} rows of the state {}, which has {}", spec.name, spec.rows());
    Error::new("graph.binding", cause, "bind symbols so that it stays inside")
}

/// Rows of a growing state that a node reads or writes: there must be room for all before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Index into `Graph::states`.
    pub state: usize,
    start: Index,
    rows: Dim,
}

impl Touch {
    pub fn end(&self, bindings: &Bindings) -> usize {
        self.start.eval(bindings) + self.rows.eval(bindings)
    }
}

impl Graph {
    /// Which rows of its growing states the graph touches: of a write what it writes, of a slice what it takes, of anything
    /// else all of them.
    pub fn touches(&self) -> Vec<Touch> {
        let mut touches = Vec::new();
        let mut add = |touch: Touch| {
            if self.states[touch.state].growing && !touches.contains(&touch) {
                touches.push(touch);
            }
        };
        let whole = |state: usize| Touch { state, start: Index::Fixed(0), rows: Dim::Fixed(self.states[state].rows()) };
        let live = self.live();
        for id in self.ids().filter(|id| live[id.0 as usize]) {
            let node = self.node(id);
            for (i, input) in node.inputs.iter().enumerate() {
                let Some(state) = self.state_behind(*input) else { continue };
                add(match (&node.op, i) {
                    (Op::Write { start }, 0) => Touch { state, start: *start, rows: self.shape(node.inputs[1]).0[0] },
                    (Op::Slice { axis: 0, start }, _) => Touch { state, start: *start, rows: node.shape.0[0] },
                    _ => whole(state),
                });
            }
        }
        for state in self.outputs.iter().filter_map(|(_, id)| self.state_behind(*id)) {
            add(whole(state));
        }
        touches
    }

    /// The state that a node is, as it was or as it is after a write.
    pub(crate) fn state_behind(&self, id: NodeId) -> Option<usize> {
        let node = self.node(id);
        match node.op {
            Op::State(state) => Some(state.0 as usize),
            Op::Write { .. } => self.state_behind(node.inputs[0]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(rows: usize) -> StateSpec {
        StateSpec { name: "k".into(), shape: vec![rows, 2, 4], dtype: DType::F16, growing: true }
    }

    #[test]
    fn buckets_double_up_to_the_bound() {
        let k = spec(1000);
        assert_eq!((k.first_rows(), k.bytes(256)), (256, 256 * 8 * 2));
        for (have, needed, rows) in
            [(256, 256, 256), (256, 257, 512), (256, 900, 1000), (512, 3, 512), (1000, 1000, 1000)]
        {
            assert_eq!(bucket(&k, have, needed).unwrap(), rows, "{needed} of {have}");
        }
        assert_eq!(bucket(&k, 512, 1001).unwrap_err().code, "graph.binding");
        assert_eq!(spec(40).first_rows(), 40);
    }

    #[test]
    fn a_graph_touches_what_it_writes_and_slices_and_else_the_whole() {
        let mut g = Graph::new();
        let (past, len) = (g.symbol("past", 1000), g.symbol("len", 1000));
        let options = StateOptions { storage: DType::F16, growing: true };
        let x = g.input("x", [3, 2, 4], DType::F32);
        let k = g.state_with("k", &[1000, 2, 4], options).unwrap();
        let after = g.write(k, x, Index::Symbol(past)).unwrap();
        let seen = g.slice(after, 0, Index::Fixed(0), len).unwrap();
        g.output("seen", seen);
        let ends = |g: &Graph| {
            let bindings = Bindings::new(g, &[("past", 500), ("len", 7)]).unwrap();
            g.touches().iter().map(|touch| touch.end(&bindings)).collect::<Vec<_>>()
        };
        assert_eq!(ends(&g), [503, 7]);
        g.output("all", after);
        assert_eq!(ends(&g), [503, 7, 1000]);
        // A state of the same name is stored one way.
        assert_eq!(g.state("k", &[1000, 2, 4]).unwrap_err().code, "graph.shape");
        assert_eq!(g.state_with("odd", &[4, 3], options).unwrap_err().code, "graph.shape");
        let as_ids = StateOptions { storage: DType::U32, growing: false };
        assert_eq!(g.state_with("ids", &[4], as_ids).unwrap_err().code, "graph.dtype");
    }
}
