//! Every operation on the GPU against `cpu exact`, on random shapes, odd sizes and symbols included, at every tier.

mod common;

use common::{
    Work, adapters_and_tiers, close, dense, each_adapter_and_tier, fixed, floats, input, one_device, open, random,
    weight,
};
use lantern_gpu::{Gpu, GpuOptions, Tier};
use lantern_graph::{Activation, Attention, Binary, DType, Dim, Epilogue, Index, Mask, Op, Reduction, Unary, Value};
use rand::Rng;
use rand::rngs::SmallRng;

/// f32 sums of a few hundred terms in another order; products and exp differ by ulps.
const F32: f32 = 1e-4;
/// WGSL allows sin and cos an absolute error of 2⁻¹¹ = 4.9e-4.
const TRIGONOMETRY: f32 = 2e-3;
/// Activations rounded to 1/254 of the largest of their group of 32, so at most 0.4 % of it each; errors of a sum of k terms
/// grow with √k as the sum itself does.
const INT8_ACTIVATIONS: f32 = 3e-2;

#[test]
fn elementwise_operations_broadcast() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for op in Binary::ALL {
            let (a, b, c, d) =
                (rng.random_range(1..5), rng.random_range(1..9), rng.random_range(1..40), rng.random_range(1..70));
            let mut work = Work::new();
            let full = dense(&mut work, rng, "full", &[a, b, c, d]);
            let full = work.graph.affine(full, 1.0, 2.0).unwrap();
            for (i, shape) in [vec![d], vec![c, 1], vec![a, 1, 1, d], vec![1]].iter().enumerate() {
                let other = dense(&mut work, rng, &format!("other{i}"), shape);
                let other = work.graph.affine(other, 1.0, 2.0).unwrap();
                let right = work.graph.binary(op, full, other).unwrap();
                work.graph.output(&format!("right{i}"), right);
                let left = work.graph.binary(op, other, full).unwrap();
                work.graph.output(&format!("left{i}"), left);
            }
            work.compare(gpu, F32, &format!("{op:?} of {:?}", [a, b, c, d]));
        }
        let mut work = Work::new();
        let n = rng.random_range(1..300);
        let x = dense(&mut work, rng, "x", &[n]);
        let x = work.graph.affine(x, 0.9, 1.0).unwrap();
        for op in Unary::ALL {
            let y = work.graph.unary(op, x).unwrap();
            work.graph.output(&format!("{op:?}"), y);
        }
        work.compare(gpu, TRIGONOMETRY, &format!("unary of {n}"));
    });
}

#[test]
fn layout_operations_move_elements_exactly() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for _ in 0..3 {
            let mut work = Work::new();
            let shape: Vec<usize> = (0..4).map(|_| rng.random_range(1..9)).collect();
            let x = dense(&mut work, rng, "x", &shape);
            let rows = work.graph.symbol("rows", 9);
            let start = work.graph.symbol("start", 9);
            let taken = rng.random_range(1..=shape[1]);
            work.symbols = vec![("rows", taken), ("start", rng.random_range(0..=shape[1] - taken))];
            let row = dense(&mut work, rng, "row", &[shape[2], 1]);
            let outputs = [
                work.graph.broadcast(row, fixed(&shape)).unwrap(),
                work.graph.permute(x, &[3, 1, 0, 2]).unwrap(),
                work.graph.permute(x, &[0, 2, 1, 3]).unwrap(),
                work.graph.slice(x, 1, Index::Symbol(start), rows).unwrap(),
                work.graph.slice(x, 0, Index::Fixed(0), 1).unwrap(),
                work.graph.concat(&[x, x, x], 2).unwrap(),
                work.graph.concat(&[x, x], 0).unwrap(),
                work.graph.pad(x, 3, Index::Fixed(2), shape[3] + 5).unwrap(),
            ];
            for (i, id) in outputs.into_iter().enumerate() {
                work.graph.output(&i.to_string(), id);
            }
            work.compare(gpu, 0.0, &format!("layout of {shape:?}"));
        }
    });
}

#[test]
fn reductions_and_rows_by_number() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        let shape = [rng.random_range(1..6), rng.random_range(1..200), rng.random_range(1..30)];
        let mut work = Work::new();
        let x = dense(&mut work, rng, "x", &shape);
        for axis in 0..3 {
            for op in [Reduction::Sum, Reduction::Max] {
                let y = work.graph.reduce(op, x, axis).unwrap();
                work.graph.output(&format!("{op:?}{axis}"), y);
            }
        }
        let best = work.graph.argmax(x).unwrap();
        work.graph.output("argmax", best);
        let (n, d, ids) = (rng.random_range(1..40), rng.random_range(1..70), rng.random_range(1..20));
        let table = dense(&mut work, rng, "table", &[n, d]);
        let numbers = (0..ids).map(|_| rng.random_range(0..n as u32 + 3)).collect();
        work.inputs.push(("ids".into(), Value::U32(numbers)));
        let ids = work.graph.input("ids", [ids], DType::U32);
        let rows = work.graph.gather(table, ids).unwrap();
        work.graph.output("gather", rows);
        let sums = work.graph.scatter_add(ids, rows, n).unwrap();
        work.graph.output("scatter_add", sums);
        work.compare(gpu, F32, &format!("reductions of {shape:?}"));
    });
}

#[test]
fn products_of_every_transposition_and_batch() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let (b, m, k, n) =
                (rng.random_range(1..4), rng.random_range(1..20), rng.random_range(1..70), rng.random_range(1..20));
            let mut work = Work::new();
            let sa = if ta { [2, b, k, m] } else { [2, b, m, k] };
            let sb = if tb { [1, b, n, k] } else { [1, b, k, n] };
            let (l, r) = (dense(&mut work, rng, "l", &sa), dense(&mut work, rng, "r", &sb));
            let y = work.graph.matmul(l, r, ta, tb).unwrap();
            work.graph.output("y", y);
            work.compare(gpu, F32, &format!("matmul {sa:?} {ta} × {sb:?} {tb}"));
        }
    });
}

/// What weights may err by beside sums in another order, relative to the largest of a result. In `K` blocks a block's factor
/// times a group's is rounded to f16, by at most 2⁻¹¹ = 4.9e-4 of what is scaled and of the minimum. Up to three of these make a
/// weight of magnitude one where scaled value and minimum are opposite, and in a sum they partly cancel.
fn weight_error(dtype: DType) -> f32 {
    if dtype.block().0 == 256 { 1.5e-3 } else { F32 }
}

#[test]
fn linear_layers_of_every_weight_type() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for dtype in DType::WEIGHTS {
            let block = dtype.block().0;
            for rows in [1, rng.random_range(2..40)] {
                // What a tier takes from the tier below is tested there.
                if rows > 1 && gpu.tier() > Tier::Core {
                    continue;
                }
                let columns = match block {
                    1 => rng.random_range(1..300),
                    32 => rng.random_range(1..9) * 32,
                    _ => rng.random_range(1..4) * block,
                };
                let n = rng.random_range(1..150);
                let mut work = Work::new();
                let many = work.graph.symbol("rows", 48);
                work.symbols = vec![("rows", rows)];
                let first = if rows == 1 { Dim::Fixed(1) } else { Dim::Symbol(many) };
                let x = input(&mut work, rng, "x", &[first, Dim::Fixed(columns)], rows * columns);
                let w = weight(&mut work, rng, "w", &[n, columns], dtype);
                let r = input(&mut work, rng, "r", &[first, Dim::Fixed(n)], rows * n);
                let product = work.graph.linear(x, w).unwrap();
                work.graph.output("linear", product);
                // Of the layouts, some stand for all: a residual is added to what any of them gives.
                if matches!(dtype, DType::F32 | DType::F16 | DType::Q8_0 | DType::Q4_0 | DType::Q4K) {
                    let again = work.graph.linear(x, w).unwrap();
                    let sum = work.graph.add(r, again).unwrap();
                    work.graph.output("fused_linear", sum);
                }
                if gpu.tier() <= Tier::Core {
                    let back = work.graph.linear_transposed(r, w).unwrap();
                    work.graph.output("linear_transposed", back);
                    let numbers = (0..7).map(|_| rng.random_range(0..n as u32 + 1)).collect();
                    work.inputs.push(("ids".into(), Value::U32(numbers)));
                    let ids = work.graph.input("ids", [7], DType::U32);
                    let picked = work.graph.gather(w, ids).unwrap();
                    work.graph.output("gather", picked);
                }
                let int8 = gpu.tier() == Tier::Dot && block > 1;
                let tolerance = if int8 { INT8_ACTIVATIONS } else { weight_error(dtype) };
                work.compare(gpu, tolerance, &format!("linear {} [{n}, {columns}] of {rows} rows", dtype.name()));
            }
        }
    });
}

/// Few tiles over a long k, which workgroups share, and so many that they are large; with all that may be added.
#[test]
fn products_of_many_rows_in_every_kind_of_tile() {
    each_adapter_and_tier(|gpu| {
        // What a tier takes from the tier below is tested there.
        if gpu.tier() != Tier::Core {
            return;
        }
        let rng = &mut random();
        for (rows, n, k, dtype) in [(70, 130, 1120, DType::Q4_0), (1030, 2050, 32, DType::F16)] {
            let mut work = Work::new();
            let many = work.graph.symbol("rows", rows + 3);
            work.symbols = vec![("rows", rows)];
            let x = input(&mut work, rng, "x", &[Dim::Symbol(many), Dim::Fixed(k)], rows * k);
            let w = weight(&mut work, rng, "w", &[n, k], dtype);
            let bias = dense(&mut work, rng, "bias", &[n]);
            let r = input(&mut work, rng, "r", &[Dim::Symbol(many), Dim::Fixed(n)], rows * n);
            let epilogue = Epilogue { bias: true, residual: true, activation: Some(Activation::Relu) };
            let y = work.graph.fused(Op::FusedLinear { epilogue }, &[x, w, bias, r]).unwrap();
            work.graph.output("y", y);
            work.compare(gpu, F32, &format!("{} [{n}, {k}] of {rows} rows", dtype.name()));
        }
    });
}

#[test]
fn fused_operations_of_odd_sizes() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for head_dim in [4, 12, 32, 80, 128, 256] {
            let (rows, heads, past) = (rng.random_range(1..9), rng.random_range(1..4), rng.random_range(0..150));
            let mut work = Work::new();
            let start = work.graph.symbol("past", 200);
            work.symbols = vec![("past", past)];
            let x = dense(&mut work, rng, "x", &[rows, heads, head_dim]);
            let frequencies = dense(&mut work, rng, "f", &[head_dim / 2, 1]);
            let turned = work.graph.fused(Op::Rope { start: Index::Symbol(start) }, &[x, frequencies]).unwrap();
            work.graph.output("rope", turned);
            let columns = rng.random_range(1..600);
            let (a, b) = (dense(&mut work, rng, "a", &[rows, columns]), dense(&mut work, rng, "b", &[rows, columns]));
            let scale = dense(&mut work, rng, "scale", &[columns]);
            let normed = work.graph.fused(Op::RmsNorm { eps: 1e-5 }, &[a, scale]).unwrap();
            work.graph.output("rms_norm", normed);
            let soft = work.graph.fused(Op::Softmax, &[a]).unwrap();
            work.graph.output("softmax", soft);
            let glu = work.graph.fused(Op::SwiGlu, &[a, b]).unwrap();
            work.graph.output("swiglu", glu);
            work.compare(gpu, F32, &format!("fused, head_dim {head_dim}, past {past}, rows {rows}"));
        }
    });
}

/// Every mask, on more and fewer keys than queries.
fn masks(rng: &mut SmallRng, start: Index, keys: usize) -> [Mask; 3] {
    [Mask::None, Mask::Causal { start }, Mask::Window { start, size: rng.random_range(1..keys + 2) }]
}

/// Heads of every size that is listed, and the smallest and the largest there can be; lengths known when the graph is built, and
/// when it runs.
#[test]
fn attention_of_every_head_size_and_mask() {
    each_adapter_and_tier(|gpu| {
        // These kernels have nothing of their own above.
        if gpu.tier() > Tier::Core {
            return;
        }
        let rng = &mut random();
        for head_dim in [4, 12, 32, 40, 48, 64, 72, 80, 96, 112, 128, 160, 256, 512] {
            let mut work = Work::new();
            let (kv_heads, group) = (rng.random_range(1..4), rng.random_range(1..5));
            let (start, rows, keys) = (rng.random_range(0..150), rng.random_range(2..40), rng.random_range(1..200));
            let symbols = ["start", "rows", "keys"].map(|name| work.graph.symbol(name, 220));
            work.symbols = vec![("start", start), ("rows", rows), ("keys", keys)];
            for (what, n, m) in [
                ("known", Dim::Fixed(rows), Dim::Fixed(keys)),
                ("bound", Dim::Symbol(symbols[1]), Dim::Symbol(symbols[2])),
                ("one row", Dim::Fixed(1), Dim::Symbol(symbols[2])),
            ] {
                let (heads, group, dim) = (Dim::Fixed(kv_heads), Dim::Fixed(group), Dim::Fixed(head_dim));
                let row = kv_heads * head_dim;
                let rows = if n.is_one() { 1 } else { rows };
                let name = |x: &str| format!("{x} {what}");
                let q = input(&mut work, rng, &name("q"), &[n, heads, group, dim], rows * row * group.fixed().unwrap());
                let k = input(&mut work, rng, &name("k"), &[m, heads, dim], keys * row);
                let v = input(&mut work, rng, &name("v"), &[m, heads, dim], keys * row);
                for mask in masks(rng, Index::Symbol(symbols[0]), keys) {
                    let y = work.graph.attention(q, k, v, &Attention { scale: 0.6, mask }).unwrap();
                    work.graph.output(&format!("{what}, {mask:?}"), y);
                }
            }
            let sizes = format!("{rows} rows at {start}, {keys} keys, {kv_heads} · {group} heads of {head_dim}");
            work.compare(gpu, F32, &sizes);
        }
    });
}

/// Rows in runs where all of them cannot be bound, and keys in runs where they are too much work for one dispatch.
#[test]
fn attention_in_parts_gives_the_numbers_of_the_whole() {
    let _device = one_device();
    for (name, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier <= Tier::Core) {
        println!("{name}, tier {tier}");
        let open_with = |binding_limit: Option<u64>| -> Gpu {
            let options =
                GpuOptions { tier: Some(tier), adapter: Some(name.clone()), binding_limit, ..Default::default() };
            open(&options).unwrap()
        };
        let rng = &mut random();
        for (rows, keys, kv_heads, group, head_dim) in [(110, 40, 2, 3, 12), (290, 33, 1, 1, 32)] {
            let mut work = Work::new();
            let q = dense(&mut work, rng, "q", &[rows, kv_heads, group, head_dim]);
            let k = dense(&mut work, rng, "k", &[keys, kv_heads, head_dim]);
            let v = dense(&mut work, rng, "v", &[keys, kv_heads, head_dim]);
            for mask in masks(rng, Index::Fixed(3), keys) {
                let y = work.graph.attention(q, k, v, &Attention { scale: 0.6, mask }).unwrap();
                work.graph.output(&format!("{mask:?}"), y);
            }
            // Queries take 31,680 and 37,120 bytes, keys 3,840 and 4,224; a tensor fits twice the limit.
            let capped = open_with(Some(20_000));
            let whole = work.run(&open_with(None)).unwrap();
            let parts = work.run(&capped).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(capped.step_downs(), []);
            for (whole, parts) in whole.iter().zip(&parts) {
                close(parts, whole, 1e-6, "in parts");
            }
            work.compare(&capped, F32, "in parts, against the CPU");
        }
        let gpu = open_with(None);
        if gpu.capabilities().is_cpu {
            // 102 MFLOP a row where a slice has 50: three runs of keys for each.
            let (rows, keys) = (2, 50_000);
            let mut work = Work::new();
            let q = dense(&mut work, rng, "q", &[rows, 1, 2, 256]);
            let (k, v) = (dense(&mut work, rng, "k", &[keys, 1, 256]), dense(&mut work, rng, "v", &[keys, 1, 256]));
            for mask in [Mask::None, Mask::Window { start: Index::Fixed(40_000), size: 39_000 }] {
                let y = work.graph.attention(q, k, v, &Attention { scale: 0.3, mask }).unwrap();
                work.graph.output(&format!("{mask:?}"), y);
            }
            work.compare(&gpu, F32, "many keys");
        }
    }
}

/// What one invocation walks alone at the lowest tier: llvmpipe ends an invocation's loops after 65,535 steps, silently.
#[test]
fn long_rows_and_long_contexts_are_walked_to_their_end() {
    each_adapter_and_tier(|gpu| {
        // These kernels have nothing of their own above.
        if gpu.tier() > Tier::Core {
            return;
        }
        let rng = &mut random();
        let mut work = Work::new();
        let mut values = floats(rng, 2 * 130_000);
        (values[99_999], values[130_000 + 129_999]) = (2.0, 2.0);
        work.inputs.push(("x".into(), Value::F32(values)));
        let x = work.graph.input("x", [2usize, 130_000], DType::F32);
        let best = work.graph.argmax(x).unwrap();
        work.graph.output("argmax", best);
        let (kv_len, head_dim) = (7000, 128);
        let q = dense(&mut work, rng, "q", &[2, 1, 2, head_dim]);
        let (k, v) =
            (dense(&mut work, rng, "k", &[kv_len, 1, head_dim]), dense(&mut work, rng, "v", &[kv_len, 1, head_dim]));
        let mask = Mask::Causal { start: Index::Fixed(kv_len - 2) };
        let y = work.graph.attention(q, k, v, &Attention { scale: 0.3, mask }).unwrap();
        work.graph.output("attention", y);
        // Of one head of four numbers an invocation takes 21,845 keys there; as many are bound only when it runs.
        let past = work.graph.symbol("past", 29_999);
        let keys = work.graph.symbol("keys", 30_000);
        work.symbols = vec![("past", 29_998), ("keys", 29_999)];
        let q = dense(&mut work, rng, "small q", &[1, 1, 1, 4]);
        let cache = [Dim::Symbol(keys), Dim::Fixed(1), Dim::Fixed(4)];
        let k = input(&mut work, rng, "small k", &cache, 29_999 * 4);
        let v = input(&mut work, rng, "small v", &cache, 29_999 * 4);
        let mask = Mask::Causal { start: Index::Symbol(past) };
        let y = work.graph.attention(q, k, v, &Attention { scale: 0.3, mask }).unwrap();
        work.graph.output("small heads", y);
        work.compare(gpu, F32, "long");
    });
}

#[test]
fn what_was_read_of_a_state_before_a_write_stays() {
    each_adapter_and_tier(|gpu| {
        let mut work = Work::new();
        let state = work.graph.state("s", &[3, 2]).unwrap();
        let before = work.graph.slice(state, 0, Index::Fixed(0), 2).unwrap();
        let flat = work.graph.reshape(state, [6usize]).unwrap();
        let x = dense(&mut work, &mut random(), "x", &[3, 2]);
        let after = work.graph.assign(state, x).unwrap();
        let before = work.graph.affine(before, 1.0, 0.0).unwrap();
        let flat = work.graph.affine(flat, 1.0, 0.0).unwrap();
        let after = work.graph.affine(after, 1.0, 0.0).unwrap();
        for (name, id) in [("before", before), ("flat", flat), ("after", after)] {
            work.graph.output(name, id);
        }
        work.compare(gpu, 0.0, "views of a state");
    });
}
