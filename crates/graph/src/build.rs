//! Building a graph: one method per primitive, which checks shapes and says what comes out.
//!
//! Every method fails with `graph.shape` (both shapes in the cause) or `graph.dtype`; nothing panics on a wrong shape.

use std::rc::Rc;

use crate::graph::{InputSpec, WeightSpec};
use crate::op::MAX_TOP_K;
use crate::shape::{Dim, Shape};
use crate::state::{StateOptions, StateSpec};
use crate::{Binary, DType, Error, Graph, Index, NodeId, Op, Reduction, Result, StateId, Unary, WeightId};

pub(crate) fn shape_error(op: &str, cause: String) -> Error {
    Error::new("graph.shape", format!("{op}: {cause}"), "check the shapes the model was built with")
}

impl Graph {
    // Leaves.

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

    // Element by element.

    pub fn unary(&mut self, op: Unary, x: NodeId) -> Result<NodeId> {
        self.want_f32("unary", x)?;
        Ok(self.push(Op::Unary(op), &[x], self.shape(x).clone(), DType::F32))
    }

    /// `x · mul + add`.
    pub fn affine(&mut self, x: NodeId, mul: f32, add: f32) -> Result<NodeId> {
        self.want_f32("affine", x)?;
        Ok(self.push(Op::Affine { mul, add }, &[x], self.shape(x).clone(), DType::F32))
    }

    /// Both sides right-aligned; a dimension of 1 stretches.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.want_f32("binary", a)?;
        self.want_f32("binary", b)?;
        let shape = self.shape(a).broadcast(self.shape(b)).ok_or_else(|| {
            shape_error("binary", format!("{} and {} do not broadcast", self.shape(a), self.shape(b)))
        })?;
        Ok(self.push(Op::Binary(op), &[a, b], shape, DType::F32))
    }

    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Add, a, b)
    }

    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Sub, a, b)
    }

    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Mul, a, b)
    }

    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Div, a, b)
    }

    // Over an axis.

    /// The axis stays, with length 1.
    pub fn reduce(&mut self, op: Reduction, x: NodeId, axis: usize) -> Result<NodeId> {
        self.want_f32("reduce", x)?;
        let mut shape = self.axis_of("reduce", x, axis)?;
        shape.0[axis] = Dim::Fixed(1);
        Ok(self.push(Op::Reduce { op, axis }, &[x], shape, DType::F32))
    }

    pub fn sum(&mut self, x: NodeId, axis: usize) -> Result<NodeId> {
        self.reduce(Reduction::Sum, x, axis)
    }

    /// `[…, n]` → `[…]` of u32.
    pub fn argmax(&mut self, x: NodeId) -> Result<NodeId> {
        self.want_f32("argmax", x)?;
        let dims = &self.shape(x).0;
        if dims.is_empty() {
            return Err(shape_error("argmax", "a scalar has no axis".into()));
        }
        let shape = Shape(dims[..dims.len() - 1].to_vec());
        Ok(self.push(Op::Argmax, &[x], shape, DType::U32))
    }

    /// `[…, n]` → `[…, 2, k]`: the `k` largest, then their places as f32, exact below 2²⁴ as `range`'s are. `k` is 1 to
    /// [`MAX_TOP_K`] and at most n.
    pub fn top_k(&mut self, x: NodeId, k: usize) -> Result<NodeId> {
        self.want_f32("top_k", x)?;
        let shape = self.shape(x);
        let n = shape.0.last().and_then(|n| n.fixed()).filter(|n| (k.max(1)..1 << 24).contains(n));
        if n.is_none() || !(1..=MAX_TOP_K).contains(&k) {
            return Err(shape_error("top_k", format!("{k} (1 to {MAX_TOP_K}) of the last axis of {shape}")));
        }
        let mut dims = shape.0[..shape.rank() - 1].to_vec();
        dims.extend([Dim::Fixed(2), Dim::Fixed(k)]);
        Ok(self.push(Op::TopK { k }, &[x], Shape(dims), DType::F32))
    }

    // Products.

    /// `[…, m, k] × […, k, n]` → `[…, m, n]`, either side given transposed; leading dimensions broadcast.
    pub fn matmul(&mut self, a: NodeId, b: NodeId, transpose_a: bool, transpose_b: bool) -> Result<NodeId> {
        self.want_f32("matmul", a)?;
        self.want_f32("matmul", b)?;
        let (sa, sb) = (self.shape(a).clone(), self.shape(b).clone());
        let wrong =
            || shape_error("matmul", format!("{sa} (transposed: {transpose_a}) × {sb} (transposed: {transpose_b})"));
        if sa.rank() < 2 || sb.rank() < 2 {
            return Err(wrong());
        }
        let (m, ka) = if transpose_a { (sa.back(0), sa.back(1)) } else { (sa.back(1), sa.back(0)) };
        let (kb, n) = if transpose_b { (sb.back(0), sb.back(1)) } else { (sb.back(1), sb.back(0)) };
        if ka != kb {
            return Err(wrong());
        }
        let batch = |s: &Shape| Shape(s.0[..s.rank() - 2].to_vec());
        let mut shape = batch(&sa).broadcast(&batch(&sb)).ok_or_else(wrong)?;
        shape.0.extend([m, n]);
        Ok(self.push(Op::MatMul { transpose_a, transpose_b }, &[a, b], shape, DType::F32))
    }

    /// x `[rows, in]`, w `[out, in]` (any dtype) → `[rows, out]`.
    pub fn linear(&mut self, x: NodeId, w: NodeId) -> Result<NodeId> {
        self.linear_op(x, w, false)
    }

    /// x `[rows, out]`, w `[out, in]` (any dtype) → `[rows, in]`: the adjoint of `linear`.
    pub fn linear_transposed(&mut self, x: NodeId, w: NodeId) -> Result<NodeId> {
        self.linear_op(x, w, true)
    }

    fn linear_op(&mut self, x: NodeId, w: NodeId, transposed: bool) -> Result<NodeId> {
        self.want_f32("linear", x)?;
        let (sx, sw) = (self.shape(x), self.shape(w));
        let (k, n) = if transposed { (sw.back(1), sw.back(0)) } else { (sw.back(0), sw.back(1)) };
        if sx.rank() != 2 || sw.rank() != 2 || sx.0[1] != k || self.node(w).dtype == DType::U32 {
            return Err(shape_error("linear", format!("{sx} through {sw} (transposed: {transposed})")));
        }
        let shape = [sx.0[0], n].into();
        Ok(self.push(Op::Linear { transposed }, &[x, w], shape, DType::F32))
    }

    // Layout.

    /// The same elements in the same order.
    pub fn reshape(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        if self.shape(x).count() != shape.count() {
            return Err(shape_error("reshape", format!("{} has other elements than {shape}", self.shape(x))));
        }
        Ok(self.push(Op::Reshape, &[x], shape, self.node(x).dtype))
    }

    /// Stretches dimensions of 1, right-aligned.
    pub fn broadcast(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        self.want_f32("broadcast", x)?;
        if self.shape(x).broadcast(&shape).as_ref() != Some(&shape) {
            return Err(shape_error("broadcast", format!("{} to {shape}", self.shape(x))));
        }
        Ok(self.push(Op::Broadcast, &[x], shape, DType::F32))
    }

    /// Dimension `i` of the result is dimension `order[i]` of x.
    pub fn permute(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId> {
        self.want_f32("permute", x)?;
        let shape = self.shape(x);
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != (0..shape.rank()).collect::<Vec<_>>() {
            return Err(shape_error("permute", format!("{order:?} does not permute {shape}")));
        }
        let shape = Shape(order.iter().map(|&i| shape.0[i]).collect());
        Ok(self.push(Op::Permute(order.to_vec()), &[x], shape, DType::F32))
    }

    /// `len` elements of `axis` from `start`. With symbols, the caller binds them so that it stays inside.
    pub fn slice(&mut self, x: NodeId, axis: usize, start: Index, len: impl Into<Dim>) -> Result<NodeId> {
        self.want_f32("slice", x)?;
        let len = len.into();
        let mut shape = self.axis_of("slice", x, axis)?;
        if let (Index::Fixed(s), Dim::Fixed(l), Dim::Fixed(whole)) = (start, len, shape.0[axis])
            && s + l > whole
        {
            return Err(shape_error("slice", format!("{s}..{} of axis {axis} of {}", s + l, self.shape(x))));
        }
        shape.0[axis] = len;
        Ok(self.push(Op::Slice { axis, start }, &[x], shape, DType::F32))
    }

    /// Zeros with `axis` as long as `len`, and x from `start`: the adjoint of `slice`.
    pub fn pad(&mut self, x: NodeId, axis: usize, start: Index, len: impl Into<Dim>) -> Result<NodeId> {
        self.want_f32("pad", x)?;
        let mut shape = self.axis_of("pad", x, axis)?;
        shape.0[axis] = len.into();
        Ok(self.push(Op::Pad { axis, start }, &[x], shape, DType::F32))
    }

    /// Joins along a fixed axis; all else equal.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId> {
        let first = *parts.first().ok_or_else(|| shape_error("concat", "no parts".into()))?;
        let mut shape = self.axis_of("concat", first, axis)?;
        let mut total = 0;
        for &part in parts {
            self.want_f32("concat", part)?;
            let mut dims = self.axis_of("concat", part, axis)?;
            let length = dims.0[axis].fixed();
            dims.0[axis] = shape.0[axis];
            let Some(length) = length.filter(|_| dims == shape) else {
                return Err(shape_error(
                    "concat",
                    format!("{} and {} on axis {axis}", self.shape(first), self.shape(part)),
                ));
            };
            total += length;
        }
        shape.0[axis] = Dim::Fixed(total);
        Ok(self.push(Op::Concat { axis }, parts, shape, DType::F32))
    }

    // Rows by number.

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

    /// A fused operation as `fuse` would make it: executors' self-tests build single ones. Models use primitives.
    pub fn fused(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        if let Op::FusedLinear { epilogue } | Op::FusedConv2d { epilogue, .. } = op {
            let wanted = 2 + usize::from(epilogue.bias) + usize::from(epilogue.residual);
            if inputs.len() != wanted {
                return Err(shape_error("fused", format!("{} of {} inputs", op.name(), inputs.len())));
            }
            // Shaped like the primitives it stands for.
            let plain = match op {
                Op::FusedConv2d { window, groups, upsample, .. } => {
                    let x = match self.shape(inputs[0]).0[..] {
                        [_, Dim::Fixed(h), Dim::Fixed(w), _] if upsample > 1 => {
                            self.resize(inputs[0], crate::ResizeMode::Nearest, [h * upsample, w * upsample])?
                        }
                        _ => inputs[0],
                    };
                    self.conv2d(x, inputs[1], window, groups)?
                }
                _ => self.linear(inputs[0], inputs[1])?,
            };
            return Ok(self.push(op, inputs, self.shape(plain).clone(), DType::F32));
        }
        let like = match (&op, inputs.len()) {
            (Op::Softmax, 1) | (Op::RmsNorm { .. } | Op::Rope { .. } | Op::SwiGlu, 2) | (Op::GroupNorm { .. }, 3) => {
                inputs[0]
            }
            (op, n) => return Err(shape_error("fused", format!("{} of {n} inputs", op.name()))),
        };
        Ok(self.push(op, inputs, self.shape(like).clone(), DType::F32))
    }

    pub(crate) fn want_f32(&self, op: &str, x: NodeId) -> Result<()> {
        let dtype = self.node(x).dtype;
        if dtype == DType::F32 {
            return Ok(());
        }
        Err(Error::new(
            "graph.dtype",
            format!("{op} takes f32, not {}", dtype.name()),
            "gather or linear read other types",
        ))
    }

    fn axis_of(&self, op: &str, x: NodeId, axis: usize) -> Result<Shape> {
        let shape = self.shape(x);
        if axis < shape.rank() {
            return Ok(shape.clone());
        }
        Err(shape_error(op, format!("{shape} has no axis {axis}")))
    }
}
