//! Products of many rows: tiles of the result, so that what is read is used many times.

use lantern_graph::{Count, Epilogue, Graph, NodeId, Result, Shape};

use super::tiles::{self, Reads};
use super::{Adds, Band, linear};
use crate::caps::Tier;
use crate::format::Format;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::{Lowering, fixed};
use crate::ops::{one, weight_of};
use crate::step::{Part, Slot};

/// Many rows, few tiles.
pub fn gemm(format: Format, adds: Adds, aligned: bool) -> Described {
    linear(true, format, adds, aligned, tiles::plain(format, Reads::Rows { aligned }, adds))
}

pub fn matmul() -> Described {
    Described {
        name: "matmul".into(),
        variants: vec![
            Variant::software("matmul.wgsl"),
            Variant::core("product_tiled.wgsl").define("OPERANDS", "matmul_operands"),
        ],
        test: Test::case(|b| {
            let (l, r) = (b.floats("l", [2, 69, 37]), b.floats("r", [67, 37]));
            b.graph().matmul(l, r, false, true)
        }),
    }
}

pub fn linear_transposed(format: Format, aligned: bool) -> Described {
    let variant = |variant: Variant| variant.defines(format.defines()).flag("ALIGNED", aligned);
    let tiled = Variant::core("product_tiled.wgsl").define("OPERANDS", "linear_transposed_operands");
    Described {
        name: format!("linear_transposed_{}{}", format.name(), if aligned { "" } else { "_odd" }),
        variants: vec![variant(Variant::software("linear_transposed.wgsl")), variant(tiled)],
        test: Test::case(move |b| {
            let columns = b.columns(format, aligned);
            // More than a tile of rows or of columns.
            let x = b.floats("x", [if columns > 96 { 5 } else { 67 }, 45]);
            let w = b.weight(&[45, columns], format)?;
            b.graph().linear_transposed(x, w)
        }),
    }
}

pub(in crate::ops) fn linear_transposed_kernel(graph: &Graph, id: NodeId) -> Kernel {
    let (format, aligned) = weight_of(graph, graph.node(id).inputs[1]);
    Kernel::LinearTransposed { format, aligned }
}

impl Lowering<'_> {
    /// Bands of a product of `rows` rows of `k` to rows of `n`.
    pub(in crate::ops) fn row_bands(
        &self,
        id: NodeId,
        epilogue: &Epilogue,
        out: Slot,
        [rows, k, n]: [usize; 3],
    ) -> Result<Vec<Band>> {
        let x = self.slot(self.graph.node(id).inputs[0])?;
        let step = self.rows_at_once(&[k, n], 2 * (k * n) as u64);
        if step >= rows {
            return Ok(vec![self.whole(id, epilogue, [x, out], &[rows.into()], Vec::new())?]);
        }
        runs(rows, step, if step >= 64 { 64 } else { 1 })
            .map(|(first, count)| {
                Ok(Band {
                    x: Part::run(x, first * k, count * k),
                    residual: self.residual(id, epilogue, Some((first * n, count * n)))?,
                    y: Part::run(out, first * n, count * n),
                    rows: one(count),
                    window: Vec::new(),
                })
            })
            .collect()
    }

    pub(in crate::ops) fn linear_transposed(&mut self, id: NodeId) -> Result<Slot> {
        let node = self.graph.node(id);
        let rows = Count::product(&[node.shape.0[0]]);
        let kernel = linear_transposed_kernel(self.graph, id);
        let is_tiled = self.is_tiled(kernel)?;
        let columns = fixed(node.shape.back(0), "a weight's row")?;
        let grid = |chunks: usize| vec![one(if is_tiled { columns } else { chunks }), rows.clone()];
        self.by_shards(id, kernel, [node.inputs[1], node.inputs[0]], &rows, &grid)
    }

    /// Whether it runs in tiles here, and not a result an invocation.
    fn is_tiled(&self, kernel: Kernel) -> Result<bool> {
        Ok(self.gpu.chosen(kernel)?.choice.tier > Tier::Software)
    }

    /// A batch of products of two computed matrices.
    pub(in crate::ops) fn matmul(&mut self, id: NodeId, transpose: [bool; 2]) -> Result<Slot> {
        let node = self.graph.node(id);
        let shape = &node.shape;
        let (a, b) = (self.shape(node.inputs[0]), self.shape(node.inputs[1]));
        let mut params = self.dims4(shape)?;
        let (m, n) = (shape.back(1), shape.back(0));
        let k = a.back(usize::from(transpose[0]));
        for (operand, transposed, rows, columns) in [(a, transpose[0], m, k), (b, transpose[1], k, n)] {
            // The operand as the product sees it, broadcast over the batch; its own strides, swapped if transposed.
            let mut seen = Shape(shape.0[..shape.rank() - 2].to_vec());
            seen.0.extend(if transposed { [columns, rows] } else { [rows, columns] });
            let mut four = self.strides4(operand, &seen);
            // A dimension of 1 that is not stretched has stride 0 here, which reads the same element.
            if transposed {
                four.swap(2, 3);
            }
            params.extend(four);
        }
        params.extend([shape.count().into(), k.into()]);
        if !self.is_tiled(Kernel::MatMul)? {
            return self.plain(id, Kernel::MatMul, params, shape.count());
        }
        let (out, pipeline) = (self.result(id), self.gpu.chosen(Kernel::MatMul)?);
        let storage = vec![self.slot(node.inputs[0])?.into(), self.slot(node.inputs[1])?.into(), out.into()];
        let batches = Count::product(&shape.0[..shape.rank() - 2]);
        self.step(id, pipeline, storage, params, vec![Count::product(&[n]), Count::product(&[m]), batches]);
        Ok(out)
    }
}
