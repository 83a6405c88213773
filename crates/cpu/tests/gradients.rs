//! `backward` against central differences, for every operation that has a derivative and for chains of them.
//!
//! The loss is `Σ c · y` with random c. Differences are of fourth order, `(f(x−2h) − 8 f(x−h) + 8 f(x+h) − f(x+2h)) / 12h`
//! with h = 0.02: they cut off h⁴ f⁽⁵⁾ / 30, below 2·10⁻⁴ of the largest gradient for what is differentiated here, and carry
//! the roundings of f, each at most ε of its terms: 8 ε Σ |c · y| / h is taken for them. Where there is a kink, all values
//! are 0.13 apart and at least 0.065 from zero, further than 2h.

mod common;

use common::{Tensor, floats, frequencies, seeded};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{
    Attention, Binary, Bindings, Cancel, Class, DType, Dim, Executor, Graph, Index, Mask, NodeId, Reduction,
    ResizeMode, Result, Session, Unary, Value, Window, backward,
};
use lantern_models::nn;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

const H: f32 = 0.02;

struct Case<'c> {
    what: String,
    /// Shapes of what is differentiated by.
    params: Vec<Vec<usize>>,
    /// All values positive.
    positive: bool,
    symbols: Vec<(&'c str, usize)>,
    weights: Vec<(&'c str, Vec<u8>)>,
    inputs: Vec<(&'c str, Value)>,
}

fn case(what: impl Into<String>, params: &[&[usize]]) -> Case<'static> {
    Case {
        what: what.into(),
        params: params.iter().map(|dims| dims.to_vec()).collect(),
        positive: false,
        symbols: Vec::new(),
        weights: Vec::new(),
        inputs: Vec::new(),
    }
}

impl Case<'_> {
    fn check(self, rng: &mut SmallRng, build: impl FnOnce(&mut Graph, &[NodeId]) -> Result<NodeId>) {
        let what = &self.what;
        let total: usize = self.params.iter().map(|dims| dims.iter().product::<usize>()).sum();
        let step = 0.13f32.min(5.0 / total as f32);
        let mut grid: Vec<f32> = (0..total).map(|i| (i as f32 - total as f32 / 2.0 + 0.5) * step).collect();
        grid.shuffle(rng);
        let mut params: Vec<Tensor> = Vec::new();
        for dims in &self.params {
            let count: usize = dims.iter().product();
            let mut data: Vec<f32> = grid.drain(..count).collect();
            if self.positive {
                data.iter_mut().for_each(|x| *x = x.abs() + 0.5);
            }
            params.push(Tensor { dims: dims.clone(), data });
        }

        let mut g = Graph::new();
        let states: Vec<NodeId> =
            params.iter().enumerate().map(|(i, p)| g.state(&format!("p{i}"), &p.dims).unwrap()).collect();
        let y = build(&mut g, &states).unwrap();
        let count = g.shape(y).bound(&g).iter().product();
        let c = floats(rng, count, -1.0, 1.0);
        let nc = g.constant([count], &c).unwrap();
        let flat = g.reshape(y, [count]).unwrap();
        let terms = g.mul(flat, nc).unwrap();
        let loss = g.sum(terms, 0).unwrap();
        g.output("terms", terms);
        g.output("loss", loss);
        for (i, gradient) in backward(&mut g, loss, &states).unwrap().into_iter().enumerate() {
            assert_eq!(g.shape(gradient), g.shape(states[i]), "{what}: shape of gradient {i}");
            g.output(&format!("d{i}"), gradient);
        }

        pollster::block_on(async {
            let cpu = Cpu::new(Mode::Exact);
            let store = std::rc::Rc::new(cpu.allocate_weights(&g.weights).unwrap());
            for (name, bytes) in &self.weights {
                cpu.write_rows(&store, name, 0, bytes).await.unwrap();
            }
            let mut session = cpu.session(Class::Training);
            let cancel = Cancel::new();
            let plan = session.compile(&g, &store, &cancel).await.unwrap();
            let bindings = Bindings::new(&g, &self.symbols).unwrap();
            for (i, p) in params.iter().enumerate() {
                session.write_state(&format!("p{i}"), &p.value()).unwrap();
            }
            session.run(&plan, &bindings, &self.inputs, &cancel).await.unwrap();
            let terms = session.read(&plan, "terms").await.unwrap().into_f32().unwrap();
            let size: f32 = terms.iter().map(|t| t.abs()).sum();
            let mut gradients = Vec::new();
            for i in 0..params.len() {
                gradients.push(session.read(&plan, &format!("d{i}")).await.unwrap().into_f32().unwrap());
            }
            let largest = gradients.iter().flatten().fold(0.0f32, |m, d| m.max(d.abs()));
            let tolerance = 8.0 * f32::EPSILON * size.max(1.0) / H + 2e-4 * largest;
            for (i, p) in params.iter().enumerate() {
                let name = format!("p{i}");
                for at in 0..p.data.len() {
                    let mut f = [0.0f64; 4];
                    for (f, steps) in f.iter_mut().zip([-2.0, -1.0, 1.0, 2.0]) {
                        let mut moved = p.data.clone();
                        moved[at] += steps * H;
                        session.write_state(&name, &Value::F32(moved)).unwrap();
                        session.run(&plan, &bindings, &self.inputs, &cancel).await.unwrap();
                        let loss = session.read(&plan, "loss").await.unwrap().into_f32().unwrap();
                        *f = f64::from(loss[0]);
                    }
                    let numeric = ((f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * f64::from(H))) as f32;
                    let analytic = gradients[i][at];
                    assert!(
                        (numeric - analytic).abs() <= tolerance,
                        "{what}: d/dp{i}[{at}] is {analytic}, differences give {numeric} ± {tolerance}"
                    );
                }
                session.write_state(&name, &p.value()).unwrap();
            }
            assert!(largest > 0.0 || what.contains("flat"), "{what}: every gradient is zero");
        });
    }
}

#[test]
fn unary_functions() {
    let mut rng = seeded(40);
    for op in Unary::ALL {
        let mut case = case(format!("{op:?}"), &[&[3, 4]]);
        case.positive = matches!(op, Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Recip);
        case.check(&mut rng, |g, p| g.unary(op, p[0]));
    }
    case("affine", &[&[5]]).check(&mut rng, |g, p| g.affine(p[0], -2.5, 1.0));
}

#[test]
fn binary_operations_with_broadcasting() {
    let mut rng = seeded(41);
    let shapes: [(&[usize], &[usize]); 5] =
        [(&[2, 3], &[2, 3]), (&[2, 3], &[3]), (&[3], &[2, 3]), (&[3, 1], &[1, 4]), (&[2, 1, 2], &[3, 1])];
    for (a, b) in shapes {
        for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max] {
            let mut case = case(format!("{op:?} {a:?} {b:?}"), &[a, b]);
            case.positive = op == Binary::Div;
            case.check(&mut rng, |g, p| g.binary(op, p[0], p[1]));
        }
        for op in [Binary::Greater, Binary::Equal] {
            // Flat, so only the factor has a gradient.
            case(format!("{op:?} times a"), &[a, b]).check(&mut rng, |g, p| {
                let truth = g.binary(op, p[0], p[1])?;
                let truth = g.affine(truth, 1.0, 0.5)?;
                let both = g.mul(truth, p[0])?;
                g.add(both, p[1])
            });
        }
    }
}

#[test]
fn reductions() {
    let mut rng = seeded(42);
    for axis in 0..3 {
        for op in [Reduction::Sum, Reduction::Max] {
            case(format!("{op:?} over {axis}"), &[&[2, 3, 4]]).check(&mut rng, |g, p| g.reduce(op, p[0], axis));
        }
    }
}

#[test]
fn products() {
    let mut rng = seeded(43);
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let a: &[usize] = if transpose_a { &[3, 2] } else { &[2, 3] };
        let b: &[usize] = if transpose_b { &[4, 3] } else { &[3, 4] };
        let what = format!("matmul {transpose_a} {transpose_b}");
        case(&what, &[a, b]).check(&mut rng, |g, p| g.matmul(p[0], p[1], transpose_a, transpose_b));
        // Batches that broadcast either way: their gradients are summed back.
        let batched = |lead: &[usize], dims: &[usize]| [lead, dims].concat();
        let (a, b) = (batched(&[2, 1], a), batched(&[3], b));
        case(format!("{what}, batched"), &[&a, &b])
            .check(&mut rng, |g, p| g.matmul(p[0], p[1], transpose_a, transpose_b));
    }
    case("linear", &[&[2, 5], &[3, 5]]).check(&mut rng, |g, p| g.linear(p[0], p[1]));
    case("linear, transposed", &[&[2, 3], &[3, 5]]).check(&mut rng, |g, p| g.linear_transposed(p[0], p[1]));
}

/// A quantized weight is a constant: only what goes through it has a gradient.
#[test]
fn linear_through_a_quantized_weight() {
    let mut rng = seeded(44);
    for (dtype, transposed) in [(DType::Q8_0, false), (DType::Q4_0, false), (DType::Q8_0, true)] {
        let w = floats(&mut rng, 3 * 32, -1.0, 1.0);
        let bytes = match dtype {
            DType::Q8_0 => lantern_weights::quantize_q8_0(&w),
            _ => lantern_weights::quantize_q4_0(&w),
        };
        let x: &[usize] = if transposed { &[2, 3] } else { &[2, 32] };
        let mut case = case(format!("linear through {}", dtype.name()), &[x]);
        case.weights = vec![("w", bytes)];
        case.check(&mut rng, |g, p| {
            let w = g.weight("w", &[3, 32], dtype)?;
            if transposed { g.linear_transposed(p[0], w) } else { g.linear(p[0], w) }
        });
    }
}

#[test]
fn layout_operations() {
    let mut rng = seeded(45);
    case("reshape", &[&[2, 3, 2]]).check(&mut rng, |g, p| g.reshape(p[0], [4, 3]));
    case("broadcast", &[&[2, 1]]).check(&mut rng, |g, p| g.broadcast(p[0], [3, 2, 4]));
    case("permute", &[&[2, 3, 4]]).check(&mut rng, |g, p| g.permute(p[0], &[2, 0, 1]));
    for axis in 0..3 {
        let mut sliced = case(format!("slice of axis {axis} from a symbol"), &[&[3, 4, 5]]);
        sliced.symbols = vec![("start", 1)];
        sliced.check(&mut rng, |g, p| {
            let start = g.symbol("start", 3);
            g.slice(p[0], axis, Index::Symbol(start), 2)
        });
        let mut padded = case(format!("pad of axis {axis} from a symbol"), &[&[2, 2, 3]]);
        padded.symbols = vec![("start", 2)];
        padded.check(&mut rng, |g, p| {
            let start = g.symbol("start", 3);
            g.pad(p[0], axis, Index::Symbol(start), 6)
        });
        let mut part = [2, 2, 2];
        part[axis] = 3;
        case(format!("concat on axis {axis}"), &[&[2, 2, 2], &part])
            .check(&mut rng, |g, p| g.concat(&[p[0], p[1], p[0]], axis));
    }
}

#[test]
fn rows_by_number() {
    let mut rng = seeded(46);
    // Repeated, out of order, and one past the table.
    let ids = || vec![("ids", Value::U32(vec![3, 0, 3, 9, 1, 3]))];
    let mut gathered = case("gather", &[&[4, 3]]);
    gathered.inputs = ids();
    gathered.check(&mut rng, |g, p| {
        let ids = g.input("ids", [6], DType::U32);
        g.gather(p[0], ids)
    });
    let mut gathered = case("gather by a matrix of ids", &[&[4, 3]]);
    gathered.inputs = ids();
    gathered.check(&mut rng, |g, p| {
        let ids = g.input("ids", [2, 3], DType::U32);
        g.gather(p[0], ids)
    });
    let mut scattered = case("scatter_add", &[&[6, 2]]);
    scattered.inputs = ids();
    scattered.check(&mut rng, |g, p| {
        let ids = g.input("ids", [6], DType::U32);
        g.scatter_add(ids, p[0], 4)
    });
}

#[test]
fn a_node_used_several_times_gathers_its_gradients() {
    let mut rng = seeded(47);
    case("x² + x sin x", &[&[6]]).check(&mut rng, |g, p| {
        let sin = g.unary(Unary::Sin, p[0])?;
        let (square, turned) = (g.mul(p[0], p[0])?, g.mul(p[0], sin)?);
        g.add(square, turned)
    });
}

#[test]
fn chains_that_networks_are_made_of() {
    let mut rng = seeded(48);
    case("softmax", &[&[2, 5]]).check(&mut rng, |g, p| nn::softmax(g, p[0]));
    case("rms_norm", &[&[2, 5], &[5]]).check(&mut rng, |g, p| nn::rms_norm(g, p[0], p[1], 1e-5));
    case("swiglu", &[&[2, 3], &[2, 3]]).check(&mut rng, |g, p| nn::swiglu(g, p[0], p[1]));
    let mut crossed = case("cross_entropy", &[&[3, 4]]);
    crossed.inputs = vec![("targets", Value::F32(vec![2.0, 0.0, 2.0]))];
    crossed.check(&mut rng, |g, p| {
        let targets = g.input("targets", [3, 1], DType::F32);
        nn::cross_entropy(g, p[0], targets)
    });
    let mut turned = case("rope", &[&[3, 2, 4]]);
    turned.symbols = vec![("start", 5)];
    turned.check(&mut rng, |g, p| {
        let start = g.symbol("start", 9);
        let frequencies = frequencies(g, 4, 100.0);
        nn::rope(g, p[0], frequencies, Index::Symbol(start))
    });
}

#[test]
fn attention_under_every_mask() {
    let mut rng = seeded(54);
    // (first position, of so many a query sees one; the last of which sees nothing of four keys)
    for (what, start, mask) in
        [("without a mask", 0, 0), ("causal", 1, 1), ("in a window", 2, 2), ("with rows that see nothing", 4, 2)]
    {
        let mut attended = case(format!("attention {what}"), &[&[3, 2, 2, 3], &[4, 2, 3], &[4, 2, 3]]);
        attended.symbols = vec![("start", start)];
        attended.check(&mut rng, |g, p| {
            let start = Index::Symbol(g.symbol("start", 4));
            let mask = [Mask::None, Mask::Causal { start }, Mask::Window { start, size: 2 }][mask];
            g.attention(p[0], p[1], p[2], &Attention { scale: 0.6, mask })
        });
    }
}

/// In all three: a convolution and its two adjoints are each other's derivatives.
#[test]
fn convolutions() {
    let mut rng = seeded(49);
    let uneven = Window { kernel: [3, 2], stride: [2, 1], dilation: [1, 2], padding: [[1, 0], [0, 2]] };
    // (window, groups, height and width, input and output channels of a group)
    let cases = [
        (Window::same(3), 1, [3, 4], [2, 3]),
        (uneven, 1, [5, 4], [3, 2]),
        (uneven, 2, [4, 3], [2, 1]),
        (Window::square(2, 2, 1), 3, [3, 3], [1, 1]),
        (Window::square(3, 1, 1), 2, [3, 2], [1, 2]),
        (Window::square(1, 1, 0), 1, [2, 3], [3, 4]),
    ];
    for (window, groups, size, [per_group, out_per_group]) in cases {
        let what = format!("{window:?} in {groups} groups");
        let [oh, ow] = [0, 1].map(|axis| window.positions(axis, size[axis]).unwrap());
        let x: &[usize] = &[1, size[0], size[1], groups * per_group];
        let y: &[usize] = &[1, oh, ow, groups * out_per_group];
        let w: &[usize] = &[groups * out_per_group, window.kernel[0], window.kernel[1], per_group];
        case(format!("conv2d {what}"), &[x, w]).check(&mut rng, |g, p| g.conv2d(p[0], p[1], window, groups));
        case(format!("conv2d_transposed {what}"), &[y, w])
            .check(&mut rng, |g, p| g.conv2d_transposed(p[0], p[1], window, groups, size));
        case(format!("conv2d_filter {what}"), &[x, y])
            .check(&mut rng, |g, p| g.conv2d_filter(p[0], p[1], window, groups));
    }
    case("conv2d of two pictures", &[&[2, 3, 3, 2], &[2, 3, 3, 2]])
        .check(&mut rng, |g, p| g.conv2d(p[0], p[1], Window::same(3), 1));
}

/// A quantized filter is a constant.
#[test]
fn convolution_through_a_quantized_filter() {
    let mut rng = seeded(51);
    for transposed in [false, true] {
        let w = floats(&mut rng, 3 * 4 * 8, -1.0, 1.0);
        let x: &[usize] = if transposed { &[1, 2, 2, 3] } else { &[1, 3, 3, 8] };
        let mut case = case(format!("through q8_0, transposed {transposed}"), &[x]);
        case.weights = vec![("w", lantern_weights::quantize_q8_0(&w))];
        case.check(&mut rng, |g, p| {
            let (w, window) = (g.weight("w", &[3, 2, 2, 8], DType::Q8_0)?, Window::square(2, 1, 0));
            if transposed { g.conv2d_transposed(p[0], w, window, 1, [3, 3]) } else { g.conv2d(p[0], w, window, 1) }
        });
    }
}

#[test]
fn pooling_and_resizing() {
    let mut rng = seeded(52);
    // At most 38 elements, so that they are 0.13 apart: a pool has kinks where two are equal.
    for (window, dims) in [
        (Window::square(2, 2, 0), [1, 4, 4, 2]),
        (Window::square(3, 1, 1), [1, 3, 4, 3]),
        (Window { kernel: [1, 3], stride: [1, 2], dilation: [1, 1], padding: [[0, 0], [2, 1]] }, [2, 2, 4, 2]),
    ] {
        case(format!("max_pool {window:?}"), &[&dims]).check(&mut rng, |g, p| g.max_pool(p[0], window));
        case(format!("average_pool {window:?}"), &[&dims]).check(&mut rng, |g, p| nn::average_pool(g, p[0], window));
    }
    for mode in [ResizeMode::Nearest, ResizeMode::Bilinear] {
        for to in [[6, 8], [5, 3], [1, 9], [3, 4]] {
            case(format!("{mode:?} to {to:?}"), &[&[2, 3, 4, 2]]).check(&mut rng, |g, p| g.resize(p[0], mode, to));
        }
    }
}

#[test]
fn what_picture_networks_are_made_of() {
    let mut rng = seeded(53);
    for groups in [1, 2, 4] {
        case(format!("group_norm in {groups} groups"), &[&[2, 2, 3, 4], &[4], &[4]])
            .check(&mut rng, |g, p| nn::group_norm(g, p[0], p[1], p[2], groups, 1e-5));
    }
    case("silu", &[&[3, 4]]).check(&mut rng, |g, p| nn::silu(g, p[0]));
    case("a block", &[&[1, 3, 3, 2], &[2, 3, 3, 2], &[2]]).check(&mut rng, |g, p| {
        let y = g.conv2d(p[0], p[1], Window::same(3), 1)?;
        let y = g.add(y, p[2])?;
        let y = g.add(y, p[0])?;
        let y = nn::silu(g, y)?;
        let y = g.resize(y, ResizeMode::Nearest, [6, 6])?;
        g.conv2d(y, p[1], Window::square(3, 2, 1), 1)
    });
}

#[test]
fn what_has_no_derivative_is_refused() {
    let refused = |build: &dyn Fn(&mut Graph, NodeId) -> NodeId| {
        let mut g = Graph::new();
        let x = g.state("x", &[2, 2]).unwrap();
        let loss = build(&mut g, x);
        assert_eq!(backward(&mut g, loss, &[x]).unwrap_err().code, "graph.grad");
    };
    let total = |g: &mut Graph, x: NodeId| {
        let rows = g.sum(x, 0).unwrap();
        g.sum(rows, 1).unwrap()
    };
    refused(&|_, x| x);
    refused(&|g, x| {
        let y = g.affine(x, 2.0, 0.0).unwrap();
        let written = g.assign(x, y).unwrap();
        total(g, written)
    });
    refused(&|g, x| {
        let ids = g.argmax(x).unwrap();
        let table = g.input("table", [3, 2], DType::F32);
        let rows = g.gather(table, ids).unwrap();
        total(g, rows)
    });
    refused(&|g, _| g.scalar(1.0));

    // A matrix per row of n · h lines, and no dimension is a product of a symbol.
    let mut g = Graph::new();
    let n = g.symbol("n", 3);
    let x = g.input("x", [Dim::Symbol(n), 2.into(), 2.into(), 1.into()], DType::F32);
    let mut y = g.resize(x, ResizeMode::Bilinear, [3, 3]).unwrap();
    for axis in 0..4 {
        y = g.sum(y, axis).unwrap();
    }
    assert_eq!(backward(&mut g, y, &[x]).unwrap_err().code, "graph.grad");
}
