//! The rewrites: what is recognised, what is not, and that both compute the same numbers.

mod common;

use common::{Tensor, assert_close, frequencies, run, seeded};
use lantern_cpu::Mode;
use lantern_graph::{
    Activation, Binary, DType, Dim, Epilogue, Graph, Index, NodeId, Op, Reduction, ResizeMode, Unary, Value, Window,
    fuse,
};
use lantern_models::nn;

/// Sums of some hundred terms, in another order or in f64: a few roundings of the largest partial sum.
const REORDERED: f32 = 5e-6;

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().filter(|node| !node.op.is_leaf()).map(|node| node.op.name()).collect()
}

fn has(graph: &Graph, name: &str) -> bool {
    names(graph).contains(&name)
}

/// Fuses to `op`, and both graphs give the same in exact, and the fast kernels too.
fn same_fused(op: &str, graph: &Graph, symbols: &[(&str, usize)], inputs: &[(&str, Value)]) -> Graph {
    let fused = fuse(graph);
    assert!(has(&fused, op), "{op} was not recognised: {:?}", names(&fused));
    let plain = run(Mode::Exact, graph, symbols, &[], inputs).unwrap();
    for (how, graph, mode) in [("exact, fused", &fused, Mode::Exact), ("fast", graph, Mode::Fast)] {
        let outputs = run(mode, graph, symbols, &[], inputs).unwrap();
        for ((plain, other), (name, _)) in plain.iter().zip(&outputs).zip(&graph.outputs) {
            let (plain, other) = (plain.clone().into_f32().unwrap(), other.clone().into_f32().unwrap());
            assert_close(&format!("{op}, {name}, {how}"), &other, &plain, REORDERED);
        }
    }
    fused
}

#[test]
fn rms_norm() {
    let mut rng = seeded(20);
    for columns in [1, 7, 64, 129] {
        let (x, w) = (Tensor::random(&mut rng, &[3, columns]), Tensor::random(&mut rng, &[columns]));
        let mut g = Graph::new();
        let (nx, nw) = (x.input(&mut g, "x"), w.input(&mut g, "w"));
        let y = nn::rms_norm(&mut g, nx, nw, 1e-5).unwrap();
        g.output("y", y);
        let fused = same_fused("rms_norm", &g, &[], &[("x", x.value()), ("w", w.value())]);
        assert_eq!(names(&fused), ["rms_norm"]);
    }
}

#[test]
fn softmax() {
    let mut rng = seeded(21);
    let mut x = Tensor::random(&mut rng, &[2, 3, 37]);
    x.data[5] = 90.0; // exp would overflow without the shift
    x.data[40] = -1e30;
    let mut g = Graph::new();
    let nx = x.input(&mut g, "x");
    let y = nn::softmax(&mut g, nx).unwrap();
    g.output("y", y);
    assert_eq!(names(&same_fused("softmax", &g, &[], &[("x", x.value())])), ["softmax"]);
}

#[test]
fn swiglu() {
    let mut rng = seeded(22);
    let (gate, up) = (Tensor::random(&mut rng, &[3, 41]), Tensor::random(&mut rng, &[3, 41]));
    let mut g = Graph::new();
    let (ng, nu) = (gate.input(&mut g, "gate"), up.input(&mut g, "up"));
    let y = nn::swiglu(&mut g, ng, nu).unwrap();
    g.output("y", y);
    assert_eq!(names(&same_fused("swiglu", &g, &[], &[("gate", gate.value()), ("up", up.value())])), ["swiglu"]);
}

#[test]
fn rope_at_a_symbol_position() {
    let mut rng = seeded(23);
    let x = Tensor::random(&mut rng, &[5, 3, 14]);
    let mut g = Graph::new();
    let (rows, start) = (g.symbol("rows", 9), g.symbol("start", 2000));
    let nx = g.input("x", [Dim::Symbol(rows), Dim::Fixed(3), Dim::Fixed(14)], DType::F32);
    let frequencies = frequencies(&mut g, 14, 10_000.0);
    let y = nn::rope(&mut g, nx, frequencies, Index::Symbol(start)).unwrap();
    g.output("y", y);
    let fused = same_fused("rope", &g, &[("rows", 5), ("start", 1999)], &[("x", x.value())]);
    assert_eq!(names(&fused), ["rope"]);
}

#[test]
fn fused_linear_on_either_side() {
    let mut rng = seeded(25);
    for residual_first in [false, true] {
        let (x, w) = (Tensor::random(&mut rng, &[3, 33]), Tensor::random(&mut rng, &[9, 33]));
        let r = Tensor::random(&mut rng, &[3, 9]);
        let mut g = Graph::new();
        let (nx, nw, nr) = (x.input(&mut g, "x"), w.input(&mut g, "w"), r.input(&mut g, "r"));
        let product = g.linear(nx, nw).unwrap();
        let y = if residual_first { g.add(nr, product) } else { g.add(product, nr) }.unwrap();
        g.output("y", y);
        let inputs = [("x", x.value()), ("w", w.value()), ("r", r.value())];
        assert_eq!(names(&same_fused("fused_linear", &g, &[], &inputs)), ["fused_linear"]);
    }
}

/// What a pattern went through may be used elsewhere too: it stays, and is right.
#[test]
fn inner_nodes_used_elsewhere_stay() {
    let mut rng = seeded(26);
    let (x, w) = (Tensor::random(&mut rng, &[4, 19]), Tensor::random(&mut rng, &[19]));
    let mut g = Graph::new();
    let (nx, nw) = (x.input(&mut g, "x"), w.input(&mut g, "w"));
    let squares = g.mul(nx, nx).unwrap();
    let sum = g.sum(squares, 1).unwrap();
    let mean = g.affine(sum, 1.0 / 19.0, 1e-5).unwrap();
    let scale = g.unary(Unary::Rsqrt, mean).unwrap();
    let normed = g.mul(nx, scale).unwrap();
    let y = g.mul(normed, nw).unwrap();
    let softmax = nn::softmax(&mut g, y).unwrap();
    let both = g.add(softmax, normed).unwrap();
    for (name, node) in [("y", y), ("scale", scale), ("both", both)] {
        g.output(name, node);
    }
    let fused = same_fused("rms_norm", &g, &[], &[("x", x.value()), ("w", w.value())]);
    assert!(has(&fused, "softmax"));
    assert_eq!(fused.outputs.iter().map(|(name, _)| &name[..]).collect::<Vec<_>>(), ["y", "scale", "both"]);
}

#[test]
fn writes_are_kept_and_dead_nodes_dropped() {
    let mut g = Graph::new();
    let x = g.input("x", [2, 3], DType::F32);
    let state = g.state("s", &[5, 3]).unwrap();
    let doubled = g.affine(x, 2.0, 0.0).unwrap();
    g.write(state, doubled, Index::Fixed(1)).unwrap();
    g.unary(Unary::Exp, x).unwrap();
    assert_eq!(names(&fuse(&g)), ["affine", "write"]);
}

/// A write between what a pattern reads first and where it ends would be read too early by a fused node. Other patterns of the
/// graph are fused all the same.
#[test]
fn a_state_written_inside_a_pattern_is_read_as_it_was() {
    let mut rng = seeded(27);
    let x = Tensor::random(&mut rng, &[1, 6]);
    let mut g = Graph::new();
    let nx = x.input(&mut g, "x");
    let state = g.state("s", &[1, 6]).unwrap();
    let gate = g.add(nx, nx).unwrap();
    let sigmoid = g.unary(Unary::Sigmoid, state).unwrap();
    let silu = g.mul(state, sigmoid).unwrap();
    g.assign(state, gate).unwrap();
    let y = g.mul(silu, nx).unwrap();
    g.output("y", y);
    let soft = nn::softmax(&mut g, nx).unwrap();
    g.output("softmax", soft);
    let fused = fuse(&g);
    fused.check_state_order().unwrap();
    assert!(!has(&fused, "swiglu") && has(&fused, "softmax"), "{:?}", names(&fused));
    for mode in common::MODES {
        let y = run(mode, &g, &[], &[], &[("x", x.value())]).unwrap().remove(0);
        assert_eq!(y, Value::F32(vec![0.0; 6]), "{}: silu(0) is 0", mode.name());
    }
}

#[test]
fn near_misses_are_left_alone() {
    // (what, is it still recognised, the graph)
    let left_alone = |what: &str, name: &str, build: &dyn Fn(&mut Graph) -> NodeId| {
        let mut g = Graph::new();
        let y = build(&mut g);
        g.output("y", y);
        assert!(!has(&fuse(&g), name), "{what}: {:?}", names(&fuse(&g)));
    };
    let square = |g: &mut Graph| g.input("x", [6, 6], DType::F32);
    for (what, axis, mean, weight) in [
        ("a sum over the other axis", 0, 1.0 / 6.0, vec![6]),
        ("not the mean", 1, 1.0 / 5.0, vec![6]),
        ("a weight per row", 1, 1.0 / 6.0, vec![6, 1]),
        ("a weight per element", 1, 1.0 / 6.0, vec![6, 6]),
    ] {
        left_alone(what, "rms_norm", &|g| {
            let x = square(g);
            let squares = g.mul(x, x).unwrap();
            let sum = g.sum(squares, axis).unwrap();
            let mean = g.affine(sum, mean, 1e-5).unwrap();
            let scale = g.unary(Unary::Rsqrt, mean).unwrap();
            let normed = g.mul(x, scale).unwrap();
            let dims: Vec<Dim> = weight.iter().map(|n| Dim::Fixed(*n)).collect();
            let weight = g.input("w", dims, DType::F32);
            g.mul(normed, weight).unwrap()
        });
    }
    for (what, max_axis, sum_axis) in [("maximum over rows", 0, 1), ("sum over rows", 1, 0)] {
        left_alone(what, "softmax", &|g| {
            let x = square(g);
            let max = g.reduce(Reduction::Max, x, max_axis).unwrap();
            let shifted = g.sub(x, max).unwrap();
            let exp = g.unary(Unary::Exp, shifted).unwrap();
            let sum = g.sum(exp, sum_axis).unwrap();
            g.div(exp, sum).unwrap()
        });
    }
    left_alone("sigmoid of another gate", "swiglu", &|g| {
        let (x, other) = (square(g), square(g));
        let sigmoid = g.unary(Unary::Sigmoid, other).unwrap();
        let silu = g.mul(x, sigmoid).unwrap();
        g.mul(silu, other).unwrap()
    });
    left_alone("an up that is stretched", "swiglu", &|g| {
        let (x, up) = (square(g), g.input("up", [1, 6], DType::F32));
        let silu = nn::silu(g, x).unwrap();
        g.mul(silu, up).unwrap()
    });
    left_alone("a residual that is stretched", "fused_linear", &|g| {
        let (x, w, column) = (square(g), square(g), g.input("b", [6, 1], DType::F32));
        let product = g.linear(x, w).unwrap();
        g.add(product, column).unwrap()
    });
    left_alone("a transposed product", "fused_linear", &|g| {
        let (x, w) = (square(g), square(g));
        let product = g.linear_transposed(x, w).unwrap();
        g.add(product, x).unwrap()
    });
    left_alone("the first half turned by the second's sign", "rope", &|g| {
        let x = g.input("x", [3, 2, 4], DType::F32);
        let frequencies = frequencies(g, 4, 100.0);
        let y = nn::rope(g, x, frequencies, Index::Fixed(0)).unwrap();
        // Swap the sine's sign in both halves: a rotation the other way.
        for node in &mut g.nodes {
            node.op = match node.op {
                Op::Binary(Binary::Sub) => Op::Binary(Binary::Add),
                Op::Binary(Binary::Add) => Op::Binary(Binary::Sub),
                ref op => op.clone(),
            };
        }
        y
    });
}

/// The one fused product of a graph, and that nothing else is left of it.
fn epilogue_of(fused: &Graph) -> (Epilogue, usize) {
    let mut found = fused.nodes.iter().filter_map(|node| match node.op {
        Op::FusedLinear { epilogue } => Some((epilogue, 1)),
        Op::FusedConv2d { epilogue, upsample, .. } => Some((epilogue, upsample)),
        _ => None,
    });
    let first = found.next().unwrap_or_else(|| panic!("nothing was fused: {:?}", names(fused)));
    assert_eq!(names(fused).len(), 1, "{:?}", names(fused));
    first
}

fn activate(g: &mut Graph, x: NodeId, activation: Option<Activation>) -> NodeId {
    match activation {
        None => x,
        Some(Activation::Relu) => g.unary(Unary::Relu, x).unwrap(),
        Some(Activation::Silu) => nn::silu(g, x).unwrap(),
        Some(Activation::Tanh) => g.unary(Unary::Tanh, x).unwrap(),
        Some(Activation::Sigmoid) => g.unary(Unary::Sigmoid, x).unwrap(),
    }
}

/// Every epilogue, in both orders of its additions, of products, of convolutions, and of convolutions of an enlarged
/// picture.
#[test]
fn products_take_what_follows_them() {
    let mut rng = seeded(28);
    let tensors = |rng: &mut _, dims: [&[usize]; 4]| dims.map(|dims| Tensor::random(rng, dims));
    let linear = tensors(&mut rng, [&[5, 33], &[9, 33], &[9], &[5, 9]]);
    let conv = tensors(&mut rng, [&[2, 5, 7, 4], &[6, 3, 3, 4], &[6], &[2, 5, 7, 6]]);
    let grouped = tensors(&mut rng, [&[1, 5, 7, 4], &[6, 3, 3, 2], &[6], &[1, 5, 7, 6]]);
    let depthwise = tensors(&mut rng, [&[1, 5, 7, 4], &[4, 3, 3, 1], &[4], &[1, 5, 7, 4]]);
    let enlarged = tensors(&mut rng, [&[1, 4, 3, 4], &[6, 3, 3, 4], &[6], &[1, 12, 9, 6]]);
    let row = tensors(&mut rng, [&[1, 33], &[130, 33], &[130], &[1, 130]]);
    let cases = [(&linear, 0, 1), (&row, 0, 1), (&conv, 1, 1), (&grouped, 2, 1), (&depthwise, 4, 1), (&enlarged, 1, 3)];
    let activations = Activation::ALL.map(Some).into_iter().chain([None]);
    for activation in activations {
        for (bias, residual, residual_first) in
            [(true, false, false), (false, true, false), (true, true, false), (true, true, true), (false, false, false)]
        {
            let epilogue = Epilogue { bias, residual, activation };
            for (tensors, groups, times) in cases {
                let op = if groups == 0 { "fused_linear" } else { "fused_conv2d" };
                if epilogue == Epilogue::default() && times == 1 {
                    continue;
                }
                let mut g = Graph::new();
                let [x, w, b, r] = [0, 1, 2, 3].map(|i| tensors[i].input(&mut g, ["x", "w", "b", "r"][i]));
                let mut y = if groups == 0 {
                    g.linear(x, w).unwrap()
                } else {
                    let [h, w_] = [tensors[0].dims[1] * times, tensors[0].dims[2] * times];
                    let x = if times > 1 { g.resize(x, ResizeMode::Nearest, [h, w_]).unwrap() } else { x };
                    g.conv2d(x, w, Window::same(3), groups).unwrap()
                };
                for is_bias in [!residual_first, residual_first] {
                    y = match is_bias {
                        true if bias => g.add(y, b).unwrap(),
                        // From the left, too.
                        false if residual => g.add(r, y).unwrap(),
                        _ => y,
                    };
                }
                let y = activate(&mut g, y, activation);
                g.output("y", y);
                let inputs = ["x", "w", "b", "r"].into_iter().zip(tensors.iter().map(Tensor::value));
                let fused = same_fused(op, &g, &[], &inputs.collect::<Vec<_>>());
                assert_eq!(epilogue_of(&fused), (epilogue, times), "{op}");
            }
        }
    }
}

#[test]
fn group_norm_with_and_without_silu() {
    let mut rng = seeded(29);
    let (x, w, b) =
        (Tensor::random(&mut rng, &[2, 5, 3, 6]), Tensor::random(&mut rng, &[6]), Tensor::random(&mut rng, &[6]));
    for (silu, groups) in [(false, 1), (true, 3), (true, 6)] {
        let mut g = Graph::new();
        let (nx, nw, nb) = (x.input(&mut g, "x"), w.input(&mut g, "w"), b.input(&mut g, "b"));
        let y = nn::group_norm(&mut g, nx, nw, nb, groups, 1e-6).unwrap();
        let y = if silu { nn::silu(&mut g, y).unwrap() } else { y };
        g.output("y", y);
        let fused = same_fused("group_norm", &g, &[], &[("x", x.value()), ("w", w.value()), ("b", b.value())]);
        assert_eq!(names(&fused), ["group_norm"]);
        assert_eq!(fused.nodes.last().unwrap().op, Op::GroupNorm { groups, eps: 1e-6, silu });
    }
}

/// One is the other's residual, and is computed once.
#[test]
fn two_convolutions_added() {
    let mut rng = seeded(30);
    let (x, a, b) = (
        Tensor::random(&mut rng, &[1, 6, 5, 4]),
        Tensor::random(&mut rng, &[4, 3, 3, 4]),
        Tensor::random(&mut rng, &[4, 1, 1, 4]),
    );
    let mut g = Graph::new();
    let (nx, na, nb) = (x.input(&mut g, "x"), a.input(&mut g, "a"), b.input(&mut g, "b"));
    let three = g.conv2d(nx, na, Window::same(3), 1).unwrap();
    let one = g.conv2d(nx, nb, Window::same(1), 1).unwrap();
    let both = g.add(three, one).unwrap();
    let y = g.unary(Unary::Relu, both).unwrap();
    g.output("y", y);
    let fused = same_fused("fused_conv2d", &g, &[], &[("x", x.value()), ("a", a.value()), ("b", b.value())]);
    assert_eq!(names(&fused), ["conv2d", "fused_conv2d"]);
}

/// What would have to be computed twice, or is not what it looks like.
#[test]
fn products_leave_alone_what_they_must() {
    let mut rng = seeded(31);
    let (x, w) = (Tensor::random(&mut rng, &[1, 4, 6, 3]), Tensor::random(&mut rng, &[3, 3, 3, 3]));
    // (what, the operations that stay, the graph)
    type Build = fn(&mut Graph, NodeId, NodeId) -> NodeId;
    fn conv(g: &mut Graph, x: NodeId, w: NodeId) -> NodeId {
        g.conv2d(x, w, Window::same(3), 1).unwrap()
    }
    let cases: [(&str, &[&str], Build); 11] = [
        ("a convolution alone", &["conv2d"], conv),
        ("a result that is read twice", &["conv2d", "unary", "add"], |g, x, w| {
            let y = conv(g, x, w);
            let relu = g.unary(Unary::Relu, y).unwrap();
            g.add(relu, y).unwrap()
        }),
        ("an output before the activation", &["conv2d", "unary"], |g, x, w| {
            let y = conv(g, x, w);
            g.output("between", y);
            g.unary(Unary::Relu, y).unwrap()
        }),
        ("a gate that is an output", &["conv2d", "unary", "mul"], |g, x, w| {
            let y = conv(g, x, w);
            let gate = g.unary(Unary::Sigmoid, y).unwrap();
            g.output("gate", gate);
            g.mul(y, gate).unwrap()
        }),
        ("a residual that is stretched", &["conv2d", "add"], |g, x, w| {
            let y = conv(g, x, w);
            let line = g.slice(x, 1, Index::Fixed(0), 1).unwrap();
            g.add(y, line).unwrap()
        }),
        ("a sum that stretches the result", &["conv2d", "add"], |g, x, w| {
            let y = conv(g, x, w);
            let twice = g.constant([2, 4, 6, 3], &[0.5; 144]).unwrap();
            g.add(y, twice).unwrap()
        }),
        ("another function", &["conv2d", "unary"], |g, x, w| {
            let y = conv(g, x, w);
            g.unary(Unary::Cos, y).unwrap()
        }),
        ("bilinear enlarging", &["resize", "conv2d"], |g, x, w| {
            let x = g.resize(x, ResizeMode::Bilinear, [8, 12]).unwrap();
            conv(g, x, w)
        }),
        ("not a whole number of times", &["resize", "conv2d"], |g, x, w| {
            let x = g.resize(x, ResizeMode::Nearest, [6, 9]).unwrap();
            conv(g, x, w)
        }),
        ("other times on each axis", &["resize", "conv2d"], |g, x, w| {
            let x = g.resize(x, ResizeMode::Nearest, [8, 18]).unwrap();
            conv(g, x, w)
        }),
        ("an enlarged picture that is read twice", &["resize", "fused_conv2d"], |g, x, w| {
            let x = g.resize(x, ResizeMode::Nearest, [8, 12]).unwrap();
            let y = conv(g, x, w);
            g.add(y, x).unwrap()
        }),
    ];
    for (what, stay, build) in cases {
        let mut g = Graph::new();
        let (nx, nw) = (x.input(&mut g, "x"), w.input(&mut g, "w"));
        let y = build(&mut g, nx, nw);
        g.output("y", y);
        let fused = fuse(&g);
        let named: Vec<_> = names(&fused)
            .into_iter()
            .filter(|name| *name != "slice")
            .zip(fused.nodes.iter().filter(|node| !node.op.is_leaf() && node.op.name() != "slice"))
            .map(|(name, node)| match node.op {
                Op::Binary(Binary::Add) => "add",
                Op::Binary(Binary::Mul) => "mul",
                _ => name,
            })
            .collect();
        assert_eq!(named, stay, "{what}");
        let inputs = [("x", x.value()), ("w", w.value())];
        let plain = run(Mode::Exact, &g, &[], &[], &inputs).unwrap();
        let fast = run(Mode::Fast, &g, &[], &[], &inputs).unwrap();
        for (plain, fast) in plain.into_iter().zip(fast) {
            assert_close(what, &fast.into_f32().unwrap(), &plain.into_f32().unwrap(), REORDERED);
        }
    }

    // Group norm: neighbours of the pattern, and a value that is read before the SiLU.
    let near = |what: &str, wanted: &[&str], build: &dyn Fn(&mut Graph, NodeId, NodeId) -> NodeId| {
        let mut g = Graph::new();
        let (nx, row) = (x.input(&mut g, "x"), g.input("row", [3], DType::F32));
        let y = build(&mut g, nx, row);
        g.output("y", y);
        assert_eq!(names(&fuse(&g)), wanted, "{what}");
    };
    near("read before the silu", &["group_norm", "unary", "binary", "binary"], &|g, x, row| {
        let normed = nn::group_norm(g, x, row, row, 3, 1e-5).unwrap();
        let y = nn::silu(g, normed).unwrap();
        g.add(y, normed).unwrap()
    });
    near("relu is not silu", &["group_norm", "unary"], &|g, x, row| {
        let normed = nn::group_norm(g, x, row, row, 3, 1e-5).unwrap();
        g.unary(Unary::Relu, normed).unwrap()
    });
    let mut g = Graph::new();
    let (nx, row) = (x.input(&mut g, "x"), g.input("row", [3], DType::F32));
    let y = nn::group_norm(&mut g, nx, row, row, 3, 1e-5).unwrap();
    g.output("y", y);
    assert!(has(&fuse(&g), "group_norm"));
    for node in &mut g.nodes {
        // Not the mean any more.
        if let Op::Affine { mul, add: 0.0 } = &mut node.op {
            *mul *= 2.0;
        }
    }
    assert!(!has(&fuse(&g), "group_norm"), "half the mean is taken off");
}
