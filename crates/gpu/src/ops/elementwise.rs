//! Element by element. Operands may be as large as a picture: then they are worked on in runs.

use lantern_graph::{Binary, Dim, NodeId, Op, Result, Shape, Unary};

use super::{Lowering, known, one};
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::lower::bands::runs;
use crate::lower::unsupported;
use crate::step::{Param, Part, Slot, strides};

pub fn all() -> Vec<Kernel> {
    let mut all = vec![Kernel::Affine, Kernel::SwiGlu];
    all.extend(Unary::ALL.map(Kernel::Unary));
    all.extend(Binary::ALL.map(Kernel::Binary));
    all
}

pub fn unary(op: Unary) -> Described {
    let expression = match op {
        Unary::Exp => "exp(v)",
        Unary::Log => "log(v)",
        Unary::Sqrt => "sqrt(v)",
        Unary::Rsqrt => "inverseSqrt(v)",
        Unary::Recip => "1.0 / v",
        Unary::Sin => "sin(v)",
        Unary::Cos => "cos(v)",
        // Some drivers compute tanh through exp(2x) and give NaN past its range.
        Unary::Tanh => "tanh(clamp(v, -15.0, 15.0))",
        Unary::Sigmoid => "1.0 / (1.0 + exp(-v))",
        Unary::Relu => "max(v, 0.0)",
    };
    let mut test = Test::case(move |b| {
        let positive = matches!(op, Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Recip);
        let values = b.numbers.floats(111).into_iter().map(|v| if positive { v.abs() + 0.1 } else { 3.0 * v });
        let values = values.collect();
        let x = b.given("x", [3, 37], values);
        b.graph().unary(op, x)
    });
    // WGSL allows sin and cos an absolute error of 2⁻¹¹.
    if let (Unary::Sin | Unary::Cos, Test::Case(_, tolerance)) = (op, &mut test) {
        *tolerance = 2e-3;
    }
    let variants = vec![Variant::software("unary.wgsl").define("EXPRESSION", expression)];
    Described { name: format!("unary_{op:?}").to_lowercase(), variants, test }
}

pub fn affine() -> Described {
    Described {
        name: "affine".into(),
        variants: vec![Variant::software("unary.wgsl").define("EXPRESSION", "v * p.mul + p.add")],
        test: Test::case(|b| {
            let x = b.floats("x", [3, 37]);
            b.graph().affine(x, -2.5, 0.75)
        }),
    }
}

pub fn binary(op: Binary) -> Described {
    let expression = match op {
        Binary::Add => "l + r",
        Binary::Sub => "l - r",
        Binary::Mul => "l * r",
        Binary::Div => "l / r",
        Binary::Max => "max(l, r)",
        Binary::Greater => "select(0.0, 1.0, l > r)",
        Binary::Equal => "select(0.0, 1.0, l == r)",
    };
    Described {
        name: format!("binary_{op:?}").to_lowercase(),
        variants: vec![Variant::software("binary.wgsl").define("EXPRESSION", expression)],
        test: Test::case(move |b| {
            // Few different values, none of them zero, so that comparisons meet ties and divisions are mild.
            let [left, right] = [105, 5].map(|n| b.numbers.floats(n).iter().map(|v| (v * 3.0).floor() + 0.5).collect());
            let l = b.given("l", [3, 5, 7], left);
            let r = b.given("r", [5, 1], right);
            b.graph().binary(op, l, r)
        }),
    }
}

pub fn swiglu() -> Described {
    Described {
        name: "swiglu".into(),
        variants: vec![Variant::software("swiglu.wgsl")],
        test: Test::case(|b| {
            let (gate, up) = (b.floats("gate", [3, 37]), b.floats("up", [3, 37]));
            b.graph().fused(Op::SwiGlu, &[gate, up])
        }),
    }
}

impl Lowering<'_> {
    /// Operations whose operands all have the result's shape; `mul` and `add` are what `affine` wants.
    pub(super) fn elements(&mut self, id: NodeId, kernel: Kernel, [mul, add]: [f32; 2]) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let numbers = |n: Param| vec![n, Param::F32(mul), Param::F32(add)];
        let out = self.result(id);
        let mut storage = node.inputs.iter().map(|i| self.slot(*i)).collect::<Result<Vec<_>>>()?;
        storage.push(out);
        let count = node.shape.count();
        let at_once = self.rows_at_once(&[1], 1);
        if count.bound(graph) <= at_once {
            self.simple(id, kernel, storage, numbers(count.clone().into()), count)?;
            return Ok(out);
        }
        let total = known(&count)?;
        let pipeline = self.gpu.chosen(kernel)?;
        for (first, len) in runs(total, at_once, 64) {
            let parts = storage.iter().map(|slot| Part::run(*slot, first, len)).collect();
            self.step(id, pipeline.clone(), parts, numbers(len.into()), vec![one(len)]);
        }
        Ok(out)
    }

    /// Two operands, each stretched where it is 1 long; cut along the result's outermost axis where it is too large.
    pub(super) fn binary(&mut self, id: NodeId, op: Binary) -> Result<Slot> {
        let graph = self.graph;
        let node = graph.node(id);
        let kernel = Kernel::Binary(op);
        let shape = &node.shape;
        let (l, r) = (self.shape(node.inputs[0]), self.shape(node.inputs[1]));
        let slots = [self.slot(node.inputs[0])?, self.slot(node.inputs[1])?];
        let out = self.result(id);
        let count = shape.count();
        let at_once = self.rows_at_once(&[1], 1);
        let operands: Vec<Param> = [l, r].iter().flat_map(|from| self.strides4(from, shape)).collect();
        if count.bound(graph) <= at_once {
            let mut params = self.dims4(shape)?;
            params.extend(operands);
            params.push(count.clone().into());
            self.simple(id, kernel, vec![slots[0], slots[1], out], params, count)?;
            return Ok(out);
        }
        known(&count)?;
        let mut dims: Vec<usize> = shape.bound(graph);
        let Some(axis) = dims.iter().position(|d| *d > 1) else {
            return Err(unsupported(format!("{shape} has no axis to cut")));
        };
        // Elements from one index of that axis to the next, in each operand and in the result: 0 where it is stretched.
        let step_of = |from: &Shape| {
            let own = (axis + from.rank()).checked_sub(shape.rank());
            own.filter(|a| from.0[*a] == shape.0[axis]).map_or(0, |a| strides(from)[a].bound(graph))
        };
        let steps = [step_of(l), step_of(r), step_of(shape)];
        // Bindings of these kernels have no base, so runs begin where every operand is aligned.
        let unit = if steps.iter().all(|s| s % 64 == 0) { 1 } else { 64 };
        let pipeline = self.gpu.chosen(kernel)?;
        let length = dims[axis];
        for (first, len) in runs(length, at_once / steps[2].max(1), unit) {
            dims[axis] = len;
            let part = |slot: Slot, step: usize| match step {
                0 => slot.into(),
                _ => Part::run(slot, first * step, len * step),
            };
            let storage = vec![part(slots[0], steps[0]), part(slots[1], steps[1]), part(out, steps[2])];
            let here = Shape(dims.iter().map(|d| Dim::Fixed(*d)).collect());
            let mut params = self.dims4(&here)?;
            params.extend(operands.clone());
            params.push(here.count().into());
            self.step(id, pipeline.clone(), storage, params, vec![here.count()]);
        }
        Ok(out)
    }
}
