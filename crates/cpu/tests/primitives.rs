//! Every primitive against its definition, on random odd shapes, in both modes.

mod common;

use common::{MODES, Tensor, expect, floats, run, seeded};
use lantern_graph::{Binary, DType, Dim, Graph, Index, Reduction, Unary, Value};
use rand::Rng;
use rand::rngs::SmallRng;

/// One or two roundings of f32.
const ROUNDED: f32 = 3e-7;
/// Sums of up to some fifty products of numbers below 2 in size.
const SUMMED: f32 = 2e-5;

fn dims(rng: &mut SmallRng, rank: usize) -> Vec<usize> {
    (0..rank).map(|_| rng.random_range(1..8)).collect()
}

fn shape(dims: &[usize]) -> Vec<Dim> {
    dims.iter().map(|n| Dim::Fixed(*n)).collect()
}

#[test]
fn unary_functions() {
    let mut rng = seeded(1);
    for op in Unary::ALL {
        let size = dims(&mut rng, 3);
        let mut x = Tensor::random(&mut rng, &size);
        if matches!(op, Unary::Log | Unary::Sqrt | Unary::Rsqrt | Unary::Recip) {
            x.data.iter_mut().for_each(|x| *x = x.abs() + 0.1);
        }
        let f = |x: f64| match op {
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Sqrt => x.sqrt(),
            Unary::Rsqrt => 1.0 / x.sqrt(),
            Unary::Recip => 1.0 / x,
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Unary::Relu => x.max(0.0),
        };
        let wanted: Vec<f32> = x.data.iter().map(|x| f(f64::from(*x)) as f32).collect();
        let mut g = Graph::new();
        let input = x.input(&mut g, "x");
        let y = g.unary(op, input).unwrap();
        expect(&format!("{op:?}"), &mut g, y, &[], &[("x", x.value())], &wanted, ROUNDED);
    }
}

#[test]
fn affine_and_range() {
    let mut rng = seeded(2);
    let x = Tensor::random(&mut rng, &[3, 5]);
    let mut g = Graph::new();
    let input = x.input(&mut g, "x");
    let y = g.affine(input, -1.5, 0.25).unwrap();
    let wanted: Vec<f32> = x.data.iter().map(|x| x * -1.5 + 0.25).collect();
    expect("affine", &mut g, y, &[], &[("x", x.value())], &wanted, ROUNDED);

    let mut g = Graph::new();
    let (start, len) = (g.symbol("start", 100), g.symbol("len", 9));
    let y = g.range(Index::Symbol(start), len);
    expect("range", &mut g, y, &[("start", 41), ("len", 5)], &[], &[41.0, 42.0, 43.0, 44.0, 45.0], 0.0);
}

/// Each axis is whole, 1, or missing in either side.
#[test]
fn binary_operations_broadcast() {
    let mut rng = seeded(3);
    for round in 0..60 {
        let op = Binary::ALL[round % Binary::ALL.len()];
        let rank = rng.random_range(1..5);
        let whole = dims(&mut rng, rank);
        let side = |rng: &mut SmallRng, keep_all: bool| {
            let from = if keep_all { 0 } else { rng.random_range(0..rank) };
            let dims: Vec<usize> =
                whole[from..].iter().map(|n| if !keep_all && rng.random_bool(0.3) { 1 } else { *n }).collect();
            let mut t = Tensor::random(rng, &dims);
            // Halves, so that equal ones occur.
            t.data.iter_mut().for_each(|x| *x = (*x * 2.0).round() / 2.0 + if op == Binary::Div { 0.25 } else { 0.0 });
            t
        };
        let swap = rng.random_bool(0.5);
        let (mut a, mut b) = (side(&mut rng, true), side(&mut rng, false));
        if swap {
            std::mem::swap(&mut a, &mut b);
        }
        let wanted = Tensor::from_fn(&whole, |i| {
            let (a, b) = (a.at(i), b.at(i));
            match op {
                Binary::Add => a + b,
                Binary::Sub => a - b,
                Binary::Mul => a * b,
                Binary::Div => a / b,
                Binary::Max => a.max(b),
                Binary::Greater => f32::from(u8::from(a > b)),
                Binary::Equal => f32::from(u8::from(a == b)),
            }
        });
        let mut g = Graph::new();
        let (na, nb) = (a.input(&mut g, "a"), b.input(&mut g, "b"));
        let y = g.binary(op, na, nb).unwrap();
        let what = format!("{op:?} {:?} {:?}", a.dims, b.dims);
        expect(&what, &mut g, y, &[], &[("a", a.value()), ("b", b.value())], &wanted.data, 0.0);
    }
}

#[test]
fn reductions_over_every_axis() {
    let mut rng = seeded(4);
    for rank in 1..5 {
        for axis in 0..rank {
            let size = dims(&mut rng, rank);
            let x = Tensor::random(&mut rng, &size);
            let mut kept = size.clone();
            kept[axis] = 1;
            for op in [Reduction::Sum, Reduction::Max] {
                let wanted = Tensor::from_fn(&kept, |i| {
                    let along = (0..size[axis]).map(|n| {
                        let mut i = i.to_vec();
                        i[axis] = n;
                        x.at(&i)
                    });
                    match op {
                        Reduction::Sum => along.sum(),
                        Reduction::Max => along.fold(f32::NEG_INFINITY, f32::max),
                    }
                });
                let mut g = Graph::new();
                let input = x.input(&mut g, "x");
                let y = g.reduce(op, input, axis).unwrap();
                let what = format!("{op:?} of {size:?} over {axis}");
                expect(&what, &mut g, y, &[], &[("x", x.value())], &wanted.data, SUMMED);
            }
        }
    }
}

#[test]
fn argmax_takes_the_first_of_equals() {
    let mut g = Graph::new();
    let rows = g.symbol("rows", 4);
    let x = g.input("x", [Dim::Symbol(rows), Dim::Fixed(5)], DType::F32);
    let y = g.argmax(x).unwrap();
    g.output("y", y);
    let mut x = vec![1.0, 3.0, 3.0, -1.0, 3.0, -5.0, -5.0, -4.5, -9.0, -4.5, f32::NEG_INFINITY, -1e30, 0.0, -0.0, 0.0];
    // And none where one is no number.
    x.extend([1.0, 2.0, f32::NAN, 0.0, 5.0]);
    for mode in MODES {
        let got = run(mode, &g, &[("rows", 4)], &[], &[("x", Value::F32(x.clone()))]).unwrap();
        assert_eq!(got, [Value::U32(vec![1, 2, 2, u32::MAX])], "{}", mode.name());
    }
}

/// Either side transposed, batches that broadcast; one is large enough for the thread pool.
#[test]
fn matrix_products() {
    let mut rng = seeded(5);
    let batches: [(&[usize], &[usize], &[usize]); 5] = [
        (&[], &[], &[]),
        (&[3], &[3], &[3]),
        (&[2, 3], &[2, 1], &[2, 3]),
        (&[3], &[], &[3]),
        (&[1, 2], &[4, 1], &[4, 2]),
    ];
    for (round, (a_batch, b_batch, batch)) in batches.into_iter().cycle().take(40).enumerate() {
        let (transpose_a, transpose_b) = (round % 2 == 1, round / 2 % 2 == 1);
        let (m, k, n) = match round {
            39 => (67, 129, 83),
            _ => (rng.random_range(1..9), rng.random_range(1..40), rng.random_range(1..11)),
        };
        let of = |batch: &[usize], r: usize, c: usize, t: bool| -> Vec<usize> {
            batch.iter().copied().chain(if t { [c, r] } else { [r, c] }).collect()
        };
        let a = Tensor::random(&mut rng, &of(a_batch, m, k, transpose_a));
        let b = Tensor::random(&mut rng, &of(b_batch, k, n, transpose_b));
        let pick = |t: &Tensor, i: &[usize], r: usize, c: usize, transposed: bool| {
            let lead = &i[..i.len() - 2];
            let lead = &lead[lead.len() - (t.dims.len() - 2)..];
            t.at(&of(lead, r, c, transposed))
        };
        let wanted = Tensor::from_fn(&of(batch, m, n, false), |i| {
            let (r, c) = (i[i.len() - 2], i[i.len() - 1]);
            let sum: f64 = (0..k)
                .map(|p| f64::from(pick(&a, i, r, p, transpose_a)) * f64::from(pick(&b, i, p, c, transpose_b)))
                .sum();
            sum as f32
        });
        let mut g = Graph::new();
        let (na, nb) = (a.input(&mut g, "a"), b.input(&mut g, "b"));
        let y = g.matmul(na, nb, transpose_a, transpose_b).unwrap();
        let what = format!("{:?} ({transpose_a}) by {:?} ({transpose_b})", a.dims, b.dims);
        expect(&what, &mut g, y, &[], &[("a", a.value()), ("b", b.value())], &wanted.data, SUMMED);
    }
}

#[test]
fn layout_operations() {
    let mut rng = seeded(6);
    for round in 0..24 {
        let rank = rng.random_range(1..5);
        let size = dims(&mut rng, rank);
        let x = Tensor::random(&mut rng, &size);
        let inputs = [("x", x.value())];
        let axis = rng.random_range(0..rank);

        let mut g = Graph::new();
        let input = x.input(&mut g, "x");
        let mut order: Vec<usize> = (0..rank).collect();
        order.rotate_left(round % rank);
        if round % 3 == 0 {
            order.swap(0, rank - 1);
        }
        let turned: Vec<usize> = order.iter().map(|&i| size[i]).collect();
        let wanted = Tensor::from_fn(&turned, |i| {
            let mut from = vec![0; rank];
            order.iter().zip(i).for_each(|(&axis, &i)| from[axis] = i);
            x.at(&from)
        });
        let y = g.permute(input, &order).unwrap();
        expect(&format!("permute {size:?} {order:?}"), &mut g, y, &[], &inputs, &wanted.data, 0.0);

        let mut g = Graph::new();
        let input = x.input(&mut g, "x");
        let y = g.reshape(input, [x.data.len()]).unwrap();
        expect(&format!("reshape {size:?}"), &mut g, y, &[], &inputs, &x.data, 0.0);

        // A part of an axis, from a symbol.
        let len = rng.random_range(1..=size[axis]);
        let from = rng.random_range(0..=size[axis] - len);
        let mut g = Graph::new();
        let start = g.symbol("start", size[axis]);
        let input = x.input(&mut g, "x");
        let mut part = size.clone();
        part[axis] = len;
        let wanted = Tensor::from_fn(&part, |i| {
            let mut i = i.to_vec();
            i[axis] += from;
            x.at(&i)
        });
        let y = g.slice(input, axis, Index::Symbol(start), len).unwrap();
        let what = format!("slice {size:?} axis {axis} {from}..{}", from + len);
        expect(&what, &mut g, y, &[("start", from)], &inputs, &wanted.data, 0.0);

        let mut g = Graph::new();
        let start = g.symbol("start", 3);
        let input = x.input(&mut g, "x");
        let mut longer = size.clone();
        longer[axis] += 4;
        let wanted = Tensor::from_fn(&longer, |i| {
            let mut i = i.to_vec();
            if i[axis] < 3 || i[axis] - 3 >= size[axis] {
                return 0.0;
            }
            i[axis] -= 3;
            x.at(&i)
        });
        let y = g.pad(input, axis, Index::Symbol(start), longer[axis]).unwrap();
        expect(&format!("pad {size:?} axis {axis}"), &mut g, y, &[("start", 3)], &inputs, &wanted.data, 0.0);
    }
}

#[test]
fn broadcast_stretches_ones_and_adds_axes() {
    let mut rng = seeded(7);
    for (from, to) in
        [(vec![1, 3, 1], vec![2, 3, 4]), (vec![5], vec![2, 5]), (vec![1], vec![3, 2]), (vec![2, 1], vec![2, 7])]
    {
        let x = Tensor::random(&mut rng, &from);
        let mut g = Graph::new();
        let input = x.input(&mut g, "x");
        let y = g.broadcast(input, shape(&to)).unwrap();
        let wanted = Tensor::from_fn(&to, |i| x.at(i));
        expect(&format!("broadcast {from:?} to {to:?}"), &mut g, y, &[], &[("x", x.value())], &wanted.data, 0.0);
    }
}

#[test]
fn concat_on_every_axis() {
    let mut rng = seeded(8);
    for axis in 0..3 {
        let parts: Vec<Tensor> = [2, 1, 3]
            .into_iter()
            .map(|len| {
                let mut size = vec![3, 4, 2];
                size[axis] = len;
                Tensor::random(&mut rng, &size)
            })
            .collect();
        let mut g = Graph::new();
        let names = ["a", "b", "c"];
        let nodes: Vec<_> = parts.iter().zip(names).map(|(part, name)| part.input(&mut g, name)).collect();
        let y = g.concat(&nodes, axis).unwrap();
        let mut size = vec![3, 4, 2];
        size[axis] = 6;
        let wanted = Tensor::from_fn(&size, |i| {
            let (part, before) = [(0, 0), (0, 0), (1, 2), (2, 3), (2, 3), (2, 3)][i[axis]];
            let mut i = i.to_vec();
            i[axis] -= before;
            parts[part].at(&i)
        });
        let inputs: Vec<_> = names.into_iter().zip(parts.iter().map(Tensor::value)).collect();
        expect(&format!("concat axis {axis}"), &mut g, y, &[], &inputs, &wanted.data, 0.0);
    }
}

#[test]
fn gather_beyond_the_table_is_zero_and_scatter_sums() {
    let mut rng = seeded(9);
    let table = Tensor::random(&mut rng, &[5, 3]);
    let ids = [4u32, 0, 5, 4, u32::MAX, 2];
    let mut g = Graph::new();
    let count = g.symbol("count", 8);
    let (t, i) = (table.input(&mut g, "table"), g.input("ids", [Dim::Symbol(count)], DType::U32));
    let y = g.gather(t, i).unwrap();
    let wanted =
        Tensor::from_fn(&[6, 3], |at| if ids[at[0]] < 5 { table.at(&[ids[at[0]] as usize, at[1]]) } else { 0.0 });
    let inputs = [("table", table.value()), ("ids", Value::U32(ids.to_vec()))];
    expect("gather", &mut g, y, &[("count", 6)], &inputs, &wanted.data, 0.0);

    let rows = Tensor::random(&mut rng, &[6, 3]);
    let mut g = Graph::new();
    let (i, r) = (g.input("ids", [6], DType::U32), rows.input(&mut g, "rows"));
    let y = g.scatter_add(i, r, 5).unwrap();
    let wanted =
        Tensor::from_fn(&[5, 3], |at| (0..6).filter(|r| ids[*r] as usize == at[0]).map(|r| rows.at(&[r, at[1]])).sum());
    let inputs = [("rows", rows.value()), ("ids", Value::U32(ids.to_vec()))];
    expect("scatter_add", &mut g, y, &[], &inputs, &wanted.data, ROUNDED);
}

/// A symbol in a leading dimension: only the bound rows count, run after run, longer and shorter.
#[test]
fn symbols_may_change_between_runs() {
    use lantern_graph::{Bindings, Cancel, Class, Executor, Session};
    let mut rng = seeded(10);
    let mut g = Graph::new();
    let rows = g.symbol("rows", 7);
    let x = g.input("x", [Dim::Symbol(rows), Dim::Fixed(3)], DType::F32);
    let doubled = g.affine(x, 2.0, 0.0).unwrap();
    let total = g.sum(doubled, 0).unwrap();
    let square = g.matmul(doubled, x, false, true).unwrap();
    g.output("doubled", doubled);
    g.output("total", total);
    g.output("square", square);
    for mode in MODES {
        pollster::block_on(async {
            let cpu = lantern_cpu::Cpu::new(mode);
            let mut session = cpu.session(Class::Picture);
            let cancel = Cancel::new();
            let plan = session.compile(&g, &std::rc::Rc::default(), &cancel).await.unwrap();
            for n in [3, 7, 1, 5, 0] {
                let x = floats(&mut rng, n * 3, -1.0, 1.0);
                let bindings = Bindings::new(&g, &[("rows", n)]).unwrap();
                session.run(&plan, &bindings, &[("x", Value::F32(x.clone()))], &cancel).await.unwrap();
                let read = session.read(&plan, "doubled").await.unwrap().into_f32().unwrap();
                assert_eq!(read, x.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
                let total = session.read(&plan, "total").await.unwrap().into_f32().unwrap();
                let wanted: Vec<f32> = (0..3).map(|c| x.iter().skip(c).step_by(3).map(|x| 2.0 * x).sum()).collect();
                common::assert_close("total", &total, &wanted, ROUNDED * 4.0);
                assert_eq!(session.read(&plan, "square").await.unwrap().into_f32().unwrap().len(), n * n);
            }
        });
    }
}

#[test]
fn the_largest_and_their_places() {
    let mut rng = seeded(31);
    for (rows, n, k) in [(1, 1, 1), (3, 7, 7), (2, 300, 64), (5, 41, 6)] {
        // Few different numbers, so that most are tied; the odd ones are no number, least, and zeros of both signs.
        let mut x: Vec<f32> = (0..rows * n).map(|_| rng.random_range(-3i32..4) as f32).collect();
        for (i, odd) in [f32::NAN, f32::NEG_INFINITY, -0.0, 0.0, f32::INFINITY].into_iter().enumerate() {
            if rows * n > 8 {
                x[i * 7 % (rows * n)] = odd;
            }
        }
        let rank = |x: f32| (x.is_nan(), if x.is_nan() { 0.0 } else { x });
        let mut wanted = Vec::new();
        for row in x.chunks(n) {
            let mut places: Vec<usize> = (0..n).collect();
            // A stable sort: the first of equals stays before.
            places.sort_by(|a, b| rank(row[*b]).partial_cmp(&rank(row[*a])).unwrap());
            wanted.extend(places[..k].iter().map(|place| row[*place]));
            wanted.extend(places[..k].iter().map(|place| *place as f32));
        }
        let mut g = Graph::new();
        let input = g.input("x", [rows, n], DType::F32);
        let y = g.top_k(input, k).unwrap();
        g.output("y", y);
        for mode in MODES {
            let got = run(mode, &g, &[], &[], &[("x", Value::F32(x.clone()))]).unwrap().remove(0).into_f32().unwrap();
            let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
            assert!(got.len() == wanted.len() && got.iter().zip(&wanted).all(same), "{rows} × {n}, {k}: {got:?}");
        }
    }
    let mut g = Graph::new();
    let x = g.input("x", [3usize, 200], DType::F32);
    for k in [0, 65, 201] {
        assert_eq!(g.top_k(x, k).unwrap_err().code, "graph.shape", "{k}");
    }
}
