//! Rows by number.

use super::{Back, Gradients, shape_error};
use crate::shape::{Dim, Shape};
use crate::{DType, Graph, NodeId, Op, Result};

impl Graph {
    /// table `[n, d]` (any dtype), ids `[…]` u32 → `[…, d]` f32. An id past the table gives a row of zeros.
    pub fn gather(&mut self, table: NodeId, ids: NodeId) -> Result<NodeId> {
        let (st, si) = (self.shape(table), self.shape(ids));
        if st.rank() != 2 || self.node(ids).dtype != DType::U32 {
            return Err(shape_error("gather", format!("rows of {st} by ids {si}")));
        }
        let mut dims = si.0.clone();
        dims.push(st.0[1]);
        Ok(self.push(Op::Gather, &[table, ids], Shape(dims), DType::F32))
    }

    /// ids `[n]` u32, rows `[n, d]` → `[len, d]`: rows of equal id are summed, the others are zero. The adjoint of `gather`.
    pub fn scatter_add(&mut self, ids: NodeId, rows: NodeId, len: usize) -> Result<NodeId> {
        self.want_f32("scatter_add", rows)?;
        let (si, sr) = (self.shape(ids), self.shape(rows));
        if si.rank() != 1 || sr.rank() != 2 || si.0[0] != sr.0[0] || self.node(ids).dtype != DType::U32 {
            return Err(shape_error("scatter_add", format!("rows {sr} by ids {si}")));
        }
        let shape = [Dim::Fixed(len), sr.0[1]].into();
        Ok(self.push(Op::ScatterAdd, &[ids, rows], shape, DType::F32))
    }
}

pub(crate) fn gather_gradient(g: &mut Graph, at: &Back) -> Result<Gradients> {
    if !at.wants(0) {
        return Ok(Vec::new());
    }
    let (table, ids) = (at.inputs[0], at.inputs[1]);
    let (rows, columns) = (g.shape(table).0[0].bound(g), g.shape(table).0[1]);
    let count = match g.shape(ids).0[..] {
        [n] => n,
        _ => Dim::Fixed(g.shape(ids).count().bound(g)),
    };
    let flat_ids = g.reshape(ids, [count])?;
    let flat_dy = g.reshape(at.dy, [count, columns])?;
    Ok(vec![(0, g.scatter_add(flat_ids, flat_dy, rows)?)])
}

pub(crate) fn scatter_add_gradient(g: &mut Graph, at: &Back) -> Result<Gradients> {
    Ok(if at.wants(1) { vec![(1, g.gather(at.dy, at.inputs[0])?)] } else { Vec::new() })
}
