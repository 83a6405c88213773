//! One dispatch as data: what it binds, its numbers as expressions over symbols, and its grid.

use std::rc::Rc;

use lantern_graph::{Bindings, Count, Dim, Index, NodeId, Shape};

use crate::memory::ALIGNMENT;
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

/// What a dispatch binds: a slot, or a run of its elements where the whole is too large to bind or not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub slot: Slot,
    /// First element and how many; `None` is all of it.
    run: Option<(u64, u64)>,
}

/// Elements between the places where a binding may begin.
const ALIGNED_ELEMENTS: u64 = ALIGNMENT / 4;

impl Part {
    pub fn run(slot: Slot, first: usize, len: usize) -> Part {
        Part { slot, run: Some((first as u64, len as u64)) }
    }

    /// Elements of the binding before the run begins: a binding begins at an aligned place.
    pub fn base(&self) -> usize {
        self.run.map_or(0, |(first, _)| (first % ALIGNED_ELEMENTS) as usize)
    }

    /// Byte offset and size of the binding inside a slot of `whole` bytes.
    pub fn bytes(&self, whole: u64) -> (u64, u64) {
        self.run.map_or((0, whole), |(first, len)| {
            let start = first / ALIGNED_ELEMENTS * ALIGNMENT;
            (start, ((first + len) * 4 - start).next_multiple_of(16))
        })
    }
}

impl From<Slot> for Part {
    fn from(slot: Slot) -> Part {
        Part { slot, run: None }
    }
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
    /// Its bits, where they are the same whatever the symbols are.
    pub fn fixed_bits(&self) -> Option<u32> {
        let count = |count: &Count| count.symbols.is_empty().then_some(count.factor);
        let index = |index: &Index| match index {
            Index::Fixed(n) => Some(*n),
            Index::Symbol(_) => None,
        };
        let number = match self {
            Param::U32(n) => return Some(*n),
            Param::F32(x) => return Some(x.to_bits()),
            Param::Dim(dim) => dim.fixed()?,
            Param::Index(i) => index(i)?,
            Param::Count(c) => count(c)?,
            Param::Offset(i, c) => index(i)? * count(c)?,
        };
        // Every buffer is under 2³² elements: the largest binding is under 4 GiB.
        Some(number as u32)
    }

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
    pub storage: Vec<Part>,
    /// In the order of the shader's `Params`.
    pub params: Vec<Param>,
    /// Units of work per grid dimension; the shader says how many a workgroup covers, and it covers one of a third.
    pub grid: Vec<Count>,
    /// How often that, where it depends on how long a row of keys is.
    pub times: Times,
    pub node: NodeId,
    pub flops: u64,
}

impl Step {
    pub fn workgroups(&self, bindings: &Bindings) -> usize {
        let covers = self.pipeline.shader.covers.into_iter().chain(std::iter::repeat(1));
        let once: usize = self.grid.iter().zip(covers).map(|(n, covers)| n.eval(bindings).div_ceil(covers)).product();
        once * self.times.eval(bindings)
    }
}

/// How often a dispatch's grid is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Once,
    /// Once for each piece.
    Each(Pieces),
    /// Once where there are several pieces to join, else not at all.
    Join(Pieces),
}

impl Times {
    fn eval(self, bindings: &Bindings) -> usize {
        match self {
            Times::Once => 1,
            Times::Each(pieces) => pieces.count(bindings),
            Times::Join(pieces) => usize::from(pieces.count(bindings) > 1),
        }
    }
}

/// A row of keys, cut so that each workgroup of a dispatch has a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    pub keys: Dim,
    /// Keys that are seen of them.
    pub seen: usize,
    pub most: usize,
}

impl Pieces {
    /// Keys a workgroup takes at once.
    pub const BLOCK: usize = 64;
    /// So many it takes alone: they are done before a dispatch that joins could begin.
    pub const ALONE: usize = 128;

    /// As `attention_pieces.wgsl` counts.
    pub fn count(self, bindings: &Bindings) -> usize {
        let keys = self.keys.eval(bindings).min(self.seen);
        if keys <= Pieces::ALONE { 1 } else { keys.div_ceil(Pieces::BLOCK).clamp(1, self.most) }
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
    fn a_run_is_bound_from_an_aligned_place_and_reaches_its_end() {
        for (first, len) in [(0, 10), (63, 1), (64, 64), (1000, 37)] {
            let part = Part::run(Slot::Input(0), first, len);
            let (offset, size) = part.bytes(1 << 20);
            assert_eq!(offset % ALIGNMENT, 0);
            assert_eq!(offset as usize / 4 + part.base(), first);
            assert!(offset + size >= (first + len) as u64 * 4 && size % 16 == 0, "{first}, {len}: {offset}, {size}");
        }
    }

    #[test]
    fn a_folded_grid_holds_every_workgroup() {
        for n in [0, 1, 65_535, 65_536, 131_071, 10_000_019] {
            let [x, y] = fold(n, 65_535);
            assert!(x <= 65_535 && y <= 65_535 && x as usize * y as usize >= n, "{n} as {x} × {y}");
        }
    }
}
