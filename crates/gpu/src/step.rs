//! One dispatch as data: what it binds, its numbers as expressions over symbols, and its grid.

use std::rc::Rc;

use lantern_graph::{Bindings, Count, Dim, Index, NodeId, Shape};

use crate::pipeline::Pipeline;

/// Where a value lies. Every value starts at the beginning of its slot: reshapes and leading slices are the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Placed in an arena by the memory plan.
    Temporary(usize),
    Input(usize),
    State(usize),
    Constant(usize),
    /// Values of a weight's shard.
    Words(usize, usize),
    /// Scales of a weight's shard.
    Scales(usize, usize),
}

/// One 32-bit number of a kernel's uniforms, evaluated when the plan is encoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    U32(u32),
    F32(f32),
    Dim(Dim),
    Index(Index),
    Count(Count),
    /// `index · count`: where a slice starts.
    Offset(Index, Count),
}

impl Param {
    pub fn bits(&self, bindings: &Bindings) -> u32 {
        let number = match self {
            Param::U32(n) => return *n,
            Param::F32(x) => return x.to_bits(),
            Param::Dim(d) => d.eval(bindings),
            Param::Index(i) => i.eval(bindings),
            Param::Count(c) => c.eval(bindings),
            Param::Offset(i, c) => i.eval(bindings) * c.eval(bindings),
        };
        // Every buffer is under 2³² elements: the largest binding is under 4 GiB.
        number as u32
    }
}

impl From<usize> for Param {
    fn from(n: usize) -> Self {
        Param::U32(n as u32)
    }
}

impl From<Dim> for Param {
    fn from(d: Dim) -> Self {
        Param::Dim(d)
    }
}

impl From<Count> for Param {
    fn from(c: Count) -> Self {
        Param::Count(c)
    }
}

pub struct Step {
    pub pipeline: Rc<Pipeline>,
    /// In the order of the shader's storage bindings.
    pub storage: Vec<Slot>,
    /// In the order of the shader's `Params`.
    pub params: Vec<Param>,
    /// Units of work per grid dimension; the shader says how many a workgroup covers.
    pub grid: Vec<Count>,
    pub node: NodeId,
    pub flops: u64,
}

impl Step {
    pub fn workgroups(&self, bindings: &Bindings) -> usize {
        self.grid.iter().zip(self.pipeline.shader.covers).map(|(n, covers)| n.eval(bindings).div_ceil(covers)).product()
    }
}

/// A grid of workgroups as WebGPU takes it: at most `limit` in a dimension.
pub fn fold(workgroups: usize, limit: u32) -> [u32; 2] {
    let limit = limit as usize;
    if workgroups <= limit {
        return [workgroups as u32, 1];
    }
    let y = workgroups.div_ceil(limit);
    [workgroups.div_ceil(y) as u32, y as u32]
}

/// Elements to the next index of each dimension of a contiguous tensor.
pub fn strides(shape: &Shape) -> Vec<Count> {
    (0..shape.rank()).map(|i| Count::product(&shape.0[i + 1..])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_grid_holds_every_workgroup() {
        for n in [0, 1, 65_535, 65_536, 131_071, 10_000_019] {
            let [x, y] = fold(n, 65_535);
            assert!(x <= 65_535 && y <= 65_535 && x as usize * y as usize >= n, "{n} as {x} × {y}");
        }
    }
}
