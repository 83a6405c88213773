//! Leaves, which hold data before the plan runs, and writes into states.

use std::rc::Rc;

use super::shape_error;
use crate::graph::{InputSpec, WeightSpec};
use crate::shape::{Dim, Shape};
use crate::state::{StateOptions, StateSpec};
use crate::{DType, Error, Graph, Index, NodeId, Op, Result, StateId, WeightId};

impl Graph {
    /// A value given anew at each run.
    pub fn input(&mut self, name: &str, shape: impl Into<Shape>, dtype: DType) -> NodeId {
        let shape = shape.into();
        self.inputs.push(InputSpec { name: name.into(), shape: shape.clone(), dtype });
        self.push(Op::Input(self.inputs.len() - 1), &[], shape, dtype)
    }

    /// A slot for constant parameters, `[out, in]` for matrices. Asking again for a name gives the same slot.
    pub fn weight(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<NodeId> {
        let spec = WeightSpec { name: name.into(), shape: shape.to_vec(), dtype };
        let (elements, _) = dtype.block();
        if shape.is_empty() || shape.contains(&0) || !spec.columns().is_multiple_of(elements) {
            return Err(shape_error(
                "weight",
                format!("{name} {shape:?} has rows that are not whole {} blocks of {elements}", dtype.name()),
            ));
        }
        let index = match self.weights.iter().position(|w| w.name == name) {
            Some(i) if self.weights[i] == spec => i,
            Some(i) => {
                let known = &self.weights[i];
                return Err(shape_error("weight", format!("{name} is {:?} and also {shape:?}", known.shape)));
            }
            None => {
                self.weights.push(spec);
                self.weights.len() - 1
            }
        };
        Ok(self.push(Op::Weight(WeightId(index as u32)), &[], Self::dims(shape), dtype))
    }

    /// Storage that outlives the run; f32, zeros at first. Asking again for a name gives the same storage.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> Result<NodeId> {
        self.state_with(name, shape, StateOptions::default())
    }

    /// A state that is stored another way, or takes its memory as it is written. The node is f32 either way.
    pub fn state_with(&mut self, name: &str, shape: &[usize], options: StateOptions) -> Result<NodeId> {
        let StateOptions { storage, growing } = options;
        let spec = StateSpec { name: name.into(), shape: shape.to_vec(), dtype: storage, growing };
        if !matches!(storage, DType::F32 | DType::F16) {
            let cause = format!("the state {name} cannot be stored as {}", storage.name());
            return Err(Error::new("graph.dtype", cause, "store states as f32 or f16"));
        }
        // Halves lie two to a word, and rows begin with one.
        if storage == DType::F16 && !spec.row_elements().is_multiple_of(2) {
            return Err(shape_error("state", format!("{name} {shape:?} has rows of an odd number of halves")));
        }
        let index = match self.states.iter().position(|s| s.name == name) {
            Some(i) if self.states[i] == spec => i,
            Some(i) => return Err(shape_error("state", format!("{name} is {:?} and also {spec:?}", self.states[i]))),
            None => {
                self.states.push(spec);
                self.states.len() - 1
            }
        };
        Ok(self.push(Op::State(StateId(index as u32)), &[], Self::dims(shape), DType::F32))
    }

    /// Numbers known when the graph is built.
    pub fn constant(&mut self, shape: impl Into<Shape>, values: &[f32]) -> Result<NodeId> {
        let shape = shape.into();
        let count = shape.count();
        if !count.symbols.is_empty() || count.factor != values.len() {
            return Err(shape_error("constant", format!("{} values for {shape}", values.len())));
        }
        Ok(self.push(Op::Constant(Rc::from(values)), &[], shape, DType::F32))
    }

    pub fn scalar(&mut self, value: f32) -> NodeId {
        self.push(Op::Constant(Rc::from([value])), &[], [1usize].into(), DType::F32)
    }

    /// `[len]`: `start, start + 1, …` as f32.
    pub fn range(&mut self, start: Index, len: impl Into<Dim>) -> NodeId {
        self.push(Op::Range { start }, &[], [len.into()].into(), DType::F32)
    }

    /// Writes value `[r, …]` into rows `start ..` of a state `[n, …]`, in place; gives the state as it is afterwards.
    pub fn write(&mut self, state: NodeId, value: NodeId, start: Index) -> Result<NodeId> {
        self.want_f32("write", value)?;
        let (ss, sv) = (self.shape(state).clone(), self.shape(value));
        let rows_fit = ss.rank() == sv.rank() && ss.rank() > 0 && ss.0[1..] == sv.0[1..];
        if !matches!(self.node(state).op, Op::State(_)) || !rows_fit {
            return Err(shape_error("write", format!("{sv} into rows of the state {ss}")));
        }
        Ok(self.push(Op::Write { start }, &[state, value], ss, DType::F32))
    }

    /// Replaces a whole state.
    pub fn assign(&mut self, state: NodeId, value: NodeId) -> Result<NodeId> {
        if self.shape(state) != self.shape(value) {
            return Err(shape_error("assign", format!("{} to the state {}", self.shape(value), self.shape(state))));
        }
        self.write(state, value, Index::Fixed(0))
    }
}
