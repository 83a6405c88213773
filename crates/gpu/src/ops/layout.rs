//! The same elements in another shape or order, or a part of them; rows into states, and halves.

use lantern_graph::{Count, Graph, Index, NodeId, Result, Shape};

use super::{Lowering, halved, one};
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::{fixed, in_halves, is_view};
use crate::step::{Param, Slot, strides};

pub fn all() -> Vec<Kernel> {
    vec![Kernel::Copy, Kernel::Range, Kernel::Pack, Kernel::Unpack]
}

pub fn copy() -> Described {
    Described {
        name: "copy".into(),
        variants: vec![Variant::software("copy.wgsl")],
        test: Test::case(|b| {
            let x = b.floats("x", [3, 5, 7]);
            b.graph().permute(x, &[2, 0, 1])
        }),
    }
}

pub fn range() -> Described {
    Described {
        name: "range".into(),
        variants: vec![Variant::software("range.wgsl")],
        test: Test::case(|b| Ok(b.graph().range(Index::Fixed(3), 70))),
    }
}

pub fn pack() -> Described {
    let variants = vec![Variant::software("pack.wgsl").with(&[Kernel::Unpack])];
    Described { name: "pack".into(), variants, test: halves() }
}

pub fn unpack() -> Described {
    let variants = vec![Variant::software("unpack.wgsl").with(&[Kernel::Pack])];
    Described { name: "unpack".into(), variants, test: halves() }
}

fn halves() -> Test {
    Test::case(|b| {
        // Halves below the normal ones too.
        let values = b.numbers.floats(78).iter().enumerate().map(|(i, v)| v * [1.0, 3e-5][i % 2]).collect();
        let x = b.given("x", [13, 6], values);
        b.halves("s", x, 2)
    })
}

/// How a block of up to four dimensions lies in a tensor: elements from one index of each dimension to the next, and where it
/// begins.
struct Walk {
    strides: Vec<Count>,
    first: Param,
}

impl Walk {
    /// The whole of a tensor, or a block in it that begins at `start` of `axis`.
    fn of(shape: &Shape, axis: usize, start: Index) -> Walk {
        let strides = strides(shape);
        let first = Param::Offset(start, strides.get(axis).cloned().unwrap_or_else(|| one(1)));
        Walk { strides, first }
    }

    fn whole(shape: &Shape) -> Walk {
        Walk::of(shape, 0, Index::Fixed(0))
    }

    fn four(&self) -> impl Iterator<Item = Param> {
        let missing = 4 - self.strides.len();
        std::iter::repeat_n(0.into(), missing).chain(self.strides.iter().cloned().map(Param::from))
    }
}

impl Lowering<'_> {
    /// Copies a block from node `from` into `out`.
    fn copy(&mut self, id: NodeId, from: NodeId, out: Slot, block: &Shape, [source, to]: [Walk; 2]) -> Result<()> {
        let mut params = self.dims4(block)?;
        params.extend(source.four());
        params.extend(to.four());
        params.extend([block.count().into(), source.first, to.first]);
        let from = self.slot(from)?;
        self.simple(id, Kernel::Copy, vec![from, out], params, block.count())
    }

    /// `[len]`: start, start + 1, …
    pub(super) fn range(&mut self, id: NodeId, start: Index) -> Result<Slot> {
        let (out, count) = (self.result(id), self.shape(id).count());
        let params = vec![count.clone().into(), Param::Index(start), 1.into()];
        self.simple(id, Kernel::Range, vec![out], params, count)?;
        Ok(out)
    }

    /// Its input's slot, unless that is overwritten while this is still read.
    pub(super) fn reshape(&mut self, id: NodeId) -> Result<Slot> {
        let from = self.graph.node(id).inputs[0];
        if is_view(self.graph, id) {
            return self.stored(from);
        }
        let (out, shape) = (self.result(id), self.shape(id));
        self.copy(id, from, out, shape, [Walk::whole(shape), Walk::whole(shape)])?;
        Ok(out)
    }

    pub(super) fn broadcast(&mut self, id: NodeId) -> Result<Slot> {
        let (from, shape) = (self.graph.node(id).inputs[0], self.shape(id));
        let (source, out) = (self.slot(from)?, self.result(id));
        let mut params = self.dims4(shape)?;
        params.extend(self.strides4(self.shape(from), shape));
        params.extend(self.strides4(shape, shape));
        params.extend([shape.count().into(), 0.into(), 0.into()]);
        self.simple(id, Kernel::Copy, vec![source, out], params, shape.count())?;
        Ok(out)
    }

    pub(super) fn permute(&mut self, id: NodeId, order: &[usize]) -> Result<Slot> {
        let (from, shape, out) = (self.graph.node(id).inputs[0], self.shape(id), self.result(id));
        let own = strides(self.shape(from));
        let source = Walk { strides: order.iter().map(|i| own[*i].clone()).collect(), first: 0.into() };
        self.copy(id, from, out, shape, [source, Walk::whole(shape)])?;
        Ok(out)
    }

    pub(super) fn slice(&mut self, id: NodeId, axis: usize, start: Index) -> Result<Slot> {
        let from = self.graph.node(id).inputs[0];
        if is_view(self.graph, id) {
            return self.stored(from);
        }
        let (shape, out) = (self.shape(id), self.result(id));
        self.copy(id, from, out, shape, [Walk::of(self.shape(from), axis, start), Walk::whole(shape)])?;
        Ok(out)
    }

    pub(super) fn pad(&mut self, id: NodeId, axis: usize, start: Index) -> Result<Slot> {
        let (from, shape, out) = (self.graph.node(id).inputs[0], self.shape(id), self.result(id));
        let zeros = vec![shape.count().into(), 0.into(), 0.into()];
        self.simple(id, Kernel::Range, vec![out], zeros, shape.count())?;
        let block = self.shape(from);
        self.copy(id, from, out, block, [Walk::whole(block), Walk::of(shape, axis, start)])?;
        Ok(out)
    }

    pub(super) fn concat(&mut self, id: NodeId, axis: usize) -> Result<Slot> {
        let (graph, shape, out) = (self.graph, self.shape(id), self.result(id));
        let mut start = 0;
        for part in &graph.node(id).inputs {
            let block = self.shape(*part);
            self.copy(id, *part, out, block, [Walk::whole(block), Walk::of(shape, axis, Index::Fixed(start))])?;
            start += fixed(block.0[axis], "a concatenated axis")?;
        }
        Ok(out)
    }

    /// Rows into a state, in place: its slot is the state's.
    pub(super) fn write(&mut self, id: NodeId, start: Index) -> Result<Slot> {
        let graph = self.graph;
        let (state, value) = (graph.node(id).inputs[0], graph.node(id).inputs[1]);
        let n = self.shape(value).count();
        let row = Count::product(&self.shape(id).0[1..]);
        let from = self.slot(value)?;
        if in_halves(graph, id) {
            let (state, pairs) = (self.stored(state)?, halved(n));
            let params = vec![pairs.clone().into(), Param::Offset(start, halved(row))];
            self.simple(id, Kernel::Pack, vec![from, state], params, pairs)?;
            return Ok(state);
        }
        let state = self.slot(state)?;
        // One after another, as if there were one dimension.
        let mut params: Vec<Param> = vec![1.into(), 1.into(), 1.into(), n.clone().into()];
        params.extend([0, 0, 0, 1, 0, 0, 0, 1].map(Param::from));
        params.extend([n.clone().into(), 0.into(), Param::Offset(start, row)]);
        self.simple(id, Kernel::Copy, vec![from, state], params, n)?;
        Ok(state)
    }

    /// Halves of a state as floats.
    pub(crate) fn unpack(&mut self, id: NodeId, halves: Slot) -> Result<Slot> {
        let floats = self.result(id);
        let pairs = halved(self.shape(id).count());
        self.simple(id, Kernel::Unpack, vec![halves, floats], vec![pairs.clone().into()], pairs)?;
        Ok(floats)
    }
}

/// The kernels of a write.
pub(super) fn write_kernels(graph: &Graph, id: NodeId) -> Vec<Kernel> {
    vec![if in_halves(graph, id) { Kernel::Pack } else { Kernel::Copy }]
}
