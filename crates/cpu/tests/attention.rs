//! Attention against its definition, in both modes: every mask, groups of heads, more and fewer keys than queries.

mod common;

use common::{MODES, Tensor, assert_close, expect, floats, run, seeded};
use lantern_graph::{Attention, DType, Dim, Graph, Index, Mask, NodeId, Value};
use rand::Rng;
use rand::rngs::SmallRng;

/// Sums of some hundred products of f32 in another order, of weights that sum to one.
const REORDERED: f32 = 5e-6;

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    keys: usize,
    kv_heads: usize,
    group: usize,
    head_dim: usize,
}

/// The definition, in f64: which keys each row sees is asked of `sees(row, key)`.
fn defined(sizes: Sizes, scale: f32, [q, k, v]: [&Tensor; 3], sees: &dyn Fn(usize, usize) -> bool) -> Vec<f32> {
    let Sizes { rows, keys, kv_heads, group, head_dim } = sizes;
    let mut out = Vec::with_capacity(q.data.len());
    for row in 0..rows {
        for head in 0..kv_heads * group {
            let query = &q.data[(row * kv_heads * group + head) * head_dim..][..head_dim];
            let of = |x: &Tensor, j: usize, d: usize| f64::from(x.data[(j * kv_heads + head / group) * head_dim + d]);
            let dot = |j: usize| (0..head_dim).map(|d| f64::from(query[d]) * of(k, j, d)).sum::<f64>();
            let weights: Vec<f64> =
                (0..keys).map(|j| if sees(row, j) { (f64::from(scale) * dot(j)).exp() } else { 0.0 }).collect();
            let sum: f64 = weights.iter().sum();
            for d in 0..head_dim {
                let mixed: f64 = (0..keys).map(|j| weights[j] * of(v, j, d)).sum();
                out.push(if sum > 0.0 { (mixed / sum) as f32 } else { 0.0 });
            }
        }
    }
    out
}

fn operands(rng: &mut SmallRng, sizes: Sizes) -> [Tensor; 3] {
    let Sizes { rows, keys, kv_heads, group, head_dim } = sizes;
    let q = Tensor::random(rng, &[rows, kv_heads, group, head_dim]);
    let [k, v] = [0; 2].map(|_| Tensor::random(rng, &[keys, kv_heads, head_dim]));
    [q, k, v]
}

#[test]
fn every_mask_gives_the_definition() {
    let mut rng = seeded(70);
    for round in 0..24 {
        let sizes = Sizes {
            // One row, a few, more than a tile.
            rows: [1, 3, 5, 70, 130][round % 5],
            keys: rng.random_range(1..150),
            kv_heads: rng.random_range(1..4),
            group: rng.random_range(1..4),
            head_dim: [1, 3, 8, 40, 96][round % 5],
        };
        let (start, size) = (rng.random_range(0..sizes.keys + 3), rng.random_range(1..40));
        let [q, k, v] = operands(&mut rng, sizes);
        let scale = rng.random_range(0.2..2.0) / (sizes.head_dim as f32).sqrt();
        for (what, mask) in [
            ("none", Mask::None),
            ("causal", Mask::Causal { start: Index::Fixed(start) }),
            ("window", Mask::Window { start: Index::Fixed(start), size }),
        ] {
            let sees = |row: usize, key: usize| match mask {
                Mask::None => true,
                Mask::Causal { .. } => key <= start + row,
                Mask::Window { .. } => key <= start + row && start + row < key + size,
            };
            let wanted = defined(sizes, scale, [&q, &k, &v], &sees);
            let mut g = Graph::new();
            let [nq, nk, nv] = [("q", &q), ("k", &k), ("v", &v)].map(|(name, x)| x.input(&mut g, name));
            let y = g.attention(nq, nk, nv, &Attention { scale, mask }).unwrap();
            let Sizes { rows, keys, kv_heads, group, head_dim } = sizes;
            let what = format!("{what} of {rows} rows, {keys} keys, {kv_heads} · {group} heads of {head_dim}");
            let inputs = [("q", q.value()), ("k", k.value()), ("v", v.value())];
            expect(&what, &mut g, y, &[], &inputs, &wanted, REORDERED);
        }
    }
}

/// Scores are shifted before exp, a sharp one takes all, and what is not a number stays seen.
#[test]
fn large_scores_and_what_is_not_a_number() {
    for rows in [1, 9] {
        let mut g = Graph::new();
        let q = g.input("q", [rows, 1, 1, 2], DType::F32);
        let (k, v) = (g.input("k", [3, 1, 2], DType::F32), g.input("v", [3, 1, 2], DType::F32));
        let y = g.attention(q, k, v, &Attention { scale: 1.0, mask: Mask::None }).unwrap();
        g.output("y", y);
        for mode in MODES {
            let run = |q: f32, k: [f32; 6]| -> Vec<f32> {
                let v = Value::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
                let inputs = [("q", Value::F32(vec![q; 2 * rows])), ("k", Value::F32(k.to_vec())), ("v", v)];
                run(mode, &g, &[], &[], &inputs).unwrap().remove(0).into_f32().unwrap()
            };
            let sharp = run(100.0, [-1.0, -1.0, 1.0, 1.0, 0.9, 0.9]);
            assert!(sharp.chunks(2).all(|row| row == [3.0, 4.0]), "{}: {sharp:?}", mode.name());
            let broken = run(1.0, [f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]);
            assert!(broken.iter().all(|x| x.is_nan()), "{}: {broken:?}", mode.name());
        }
    }
}

/// Grouped queries over a state that is written first, as a decoder does it, in chunks of several lengths.
#[test]
fn over_a_written_state() {
    let mut rng = seeded(24);
    let (kv_heads, group, head_dim, capacity) = (2, 3, 10, 24);
    let windows = [None, Some(1), Some(4), Some(19)];
    for (window, (rows, start)) in windows.into_iter().flat_map(|w| [(1, 0), (1, 13), (5, 0), (6, 18)].map(|r| (w, r)))
    {
        let mut g = Graph::new();
        let (s_rows, s_start, s_len) = (g.symbol("rows", 8), g.symbol("start", capacity), g.symbol("kv_len", capacity));
        let (heads, dim) = (Dim::Fixed(kv_heads), Dim::Fixed(head_dim));
        let q = g.input("q", [Dim::Symbol(s_rows), heads, Dim::Fixed(group), dim], DType::F32);
        let cache = |g: &mut Graph, name: &str| -> NodeId {
            let new = g.input(name, [Dim::Symbol(s_rows), heads, dim], DType::F32);
            let past = g.input(&format!("{name}.past"), [capacity, kv_heads, head_dim], DType::F32);
            // What earlier runs left there stands in as a write of the whole, then of the new rows.
            let padded = g.slice(past, 0, Index::Fixed(0), s_start).unwrap();
            let state = g.state(&format!("{name}.state"), &[capacity, kv_heads, head_dim]).unwrap();
            let zero = g.pad(padded, 0, Index::Fixed(0), capacity).unwrap();
            let rows = g.pad(new, 0, Index::Symbol(s_start), capacity).unwrap();
            let whole = g.add(zero, rows).unwrap();
            let state = g.assign(state, whole).unwrap();
            g.slice(state, 0, Index::Fixed(0), s_len).unwrap()
        };
        let (k, v) = (cache(&mut g, "k"), cache(&mut g, "v"));
        let start_index = Index::Symbol(s_start);
        let mask = match window {
            Some(size) => Mask::Window { start: start_index, size },
            None => Mask::Causal { start: start_index },
        };
        let y = g.attention(q, k, v, &Attention { scale: 0.4, mask }).unwrap();
        g.output("y", y);
        let row = kv_heads * head_dim;
        let mut of = |len: usize| floats(&mut rng, len, -2.0, 2.0);
        let (q, fresh_k, fresh_v) = (of(rows * group * row), of(rows * row), of(rows * row));
        let (past_k, past_v) = (of(capacity * row), of(capacity * row));
        let inputs = [
            ("q", Value::F32(q.clone())),
            ("k", Value::F32(fresh_k.clone())),
            ("v", Value::F32(fresh_v.clone())),
            ("k.past", Value::F32(past_k.clone())),
            ("v.past", Value::F32(past_v.clone())),
        ];
        let keys = start + rows;
        let seen = |past: &[f32], fresh: &[f32]| -> Tensor {
            Tensor { dims: vec![keys, kv_heads, head_dim], data: [&past[..start * row], fresh].concat() }
        };
        let q = Tensor { dims: vec![rows, kv_heads, group, head_dim], data: q };
        let sees =
            |row: usize, key: usize| key <= start + row && window.is_none_or(|window| start + row < key + window);
        let sizes = Sizes { rows, keys, kv_heads, group, head_dim };
        let wanted = defined(sizes, 0.4, [&q, &seen(&past_k, &fresh_k), &seen(&past_v, &fresh_v)], &sees);
        for mode in MODES {
            let symbols = [("rows", rows), ("start", start), ("kv_len", keys)];
            let got = run(mode, &g, &symbols, &[], &inputs).unwrap().remove(0).into_f32().unwrap();
            assert_close(&format!("{}, window {window:?}, {rows} from {start}", mode.name()), &got, &wanted, REORDERED);
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let mut g = Graph::new();
    let n = Dim::Symbol(g.symbol("n", 5));
    let mut x = |dims: &[Dim]| g.input("x", dims.to_vec(), DType::F32);
    let f = Dim::Fixed;
    let (q, k) = (x(&[n, f(2), f(3), f(4)]), x(&[n, f(2), f(4)]));
    let wrong = [
        [q, k, x(&[n, f(2), f(5)])],
        [q, x(&[n, f(3), f(4)]), k],
        [x(&[n, f(2), f(3), f(5)]), k, k],
        [x(&[n, f(2), f(4)]), k, k],
        [x(&[f(2), f(2), n, f(4)]), k, k],
        [q, k, x(&[f(5), f(2), f(4)])],
    ];
    let plain = Attention { scale: 1.0, mask: Mask::None };
    for [q, k, v] in wrong {
        assert_eq!(g.attention(q, k, v, &plain).unwrap_err().code, "graph.shape");
    }
    for size in [0, (1 << 24) + 1] {
        let mask = Mask::Window { start: Index::Fixed(0), size };
        assert_eq!(g.attention(q, k, k, &Attention { mask, ..plain }).unwrap_err().code, "graph.shape", "{size}");
    }
    g.attention(q, k, k, &plain).unwrap();
}
