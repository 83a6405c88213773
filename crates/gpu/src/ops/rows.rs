//! Rows by number.

use lantern_graph::{Count, Graph, NodeId, Result};

use super::{Lowering, weight_of};
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::step::Slot;

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::ScatterAdd];
    all.extend(Format::aligned().map(|(format, aligned)| Kernel::Gather { format, aligned }));
    all
}

pub fn gather(format: Format, aligned: bool) -> Described {
    Described {
        name: format!("gather_{}{}", format.name(), if aligned { "" } else { "_odd" }),
        variants: vec![Variant::software("gather.wgsl").defines(format.defines()).flag("ALIGNED", aligned)],
        test: Test::case(move |b| {
            let ids = b.ids(vec![4, 0, 44, 99, 4]);
            let w = b.weight(&[45, b.columns(format, aligned)], format)?;
            b.graph().gather(w, ids)
        }),
    }
}

pub fn scatter_add() -> Described {
    Described {
        name: "scatter_add".into(),
        variants: vec![Variant::software("scatter_add.wgsl")],
        test: Test::case(|b| {
            let ids = b.ids(vec![4, 0, 4, 6, 4]);
            let x = b.floats("x", [5, 37]);
            b.graph().scatter_add(ids, x, 7)
        }),
    }
}

pub(super) fn gather_kernel(graph: &Graph, id: NodeId) -> Kernel {
    let (format, aligned) = weight_of(graph, graph.node(id).inputs[0]);
    Kernel::Gather { format, aligned }
}

impl Lowering<'_> {
    pub(super) fn gather(&mut self, id: NodeId) -> Result<Slot> {
        let node = self.graph.node(id);
        let (table, ids) = (node.inputs[0], node.inputs[1]);
        let rows = self.shape(ids).count();
        let grid = |chunks: usize| vec![Count { factor: rows.factor * chunks, symbols: rows.symbols.clone() }];
        self.by_shards(id, gather_kernel(self.graph, id), [table, ids], &rows, &grid)
    }

    pub(super) fn scatter_add(&mut self, id: NodeId) -> Result<Slot> {
        let node = self.graph.node(id);
        let columns = Count::product(&[node.shape.0[1]]);
        let params = vec![columns.clone().into(), self.shape(node.inputs[0]).0[0].into(), node.shape.0[0].into()];
        self.plain(id, Kernel::ScatterAdd, params, columns)
    }
}
