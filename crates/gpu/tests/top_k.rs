//! The largest of a row on the GPU, exactly those of `cpu exact` in exactly that order: ties, infinities, NaN and all.

mod common;

use common::{Work, each_adapter_and_tier, random};
use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{Gpu, Kernel};
use lantern_graph::{DType, Dim, Value};
use rand::Rng;
use rand::rngs::SmallRng;

fn work(rows: usize, n: usize, k: usize, values: Vec<f32>) -> Work {
    let mut work = Work::new();
    let many = work.graph.symbol("rows", 7);
    work.symbols = vec![("rows", rows)];
    let x = work.graph.input("x", [Dim::Symbol(many), Dim::Fixed(n)], DType::F32);
    work.inputs.push(("x".into(), Value::F32(values)));
    let y = work.graph.top_k(x, k).unwrap();
    work.graph.output("y", y);
    work
}

/// Tiers that have a kernel of their own; what the others take from these is tested here.
fn each_kernel(mut test: impl FnMut(&Gpu)) {
    each_adapter_and_tier(|gpu| {
        if Kernel::TopK.is_written_for(gpu.tier()) {
            test(gpu);
        }
    });
}

fn same(gpu: &Gpu, work: &Work, what: &str) {
    let numbers = |values: Vec<Value>| values.into_iter().next().unwrap().into_f32().unwrap();
    let expected = numbers(work.run(&Cpu::new(Mode::Exact)).unwrap());
    let got = numbers(work.run(gpu).unwrap());
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!(got == expected || (got.is_nan() && expected.is_nan()), "{what}: element {i} is {got}, not {expected}");
    }
}

/// Few different numbers, so that most are tied.
fn tied(rng: &mut SmallRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-3i32..4) as f32).collect()
}

#[test]
fn odd_sizes_ties_and_many_lists() {
    each_kernel(|gpu| {
        let rng = &mut random();
        // At k of 64 the last is four dispatches of lists at the tier core.
        let sizes = [(1, 1, 1), (3, 5, 5), (2, 64, 64), (1, 257, 64), (7, 2049, 3), (1, 33_001, 64)];
        for (rows, n, k) in sizes {
            let what = format!("the best {k} of {rows} rows of {n}");
            let values = (0..rows * n).map(|_| rng.random_range(-9.0..9.0)).collect();
            same(gpu, &work(rows, n, k, values), &what);
            let values = tied(rng, rows * n);
            same(gpu, &work(rows, n, k, values), &format!("{what}, tied"));
            // Nothing is dropped for coming last.
            let rising = (0..rows * n).map(|i| i as f32).collect();
            same(gpu, &work(rows, n, k, rising), &format!("{what}, rising"));
        }
        assert_eq!(gpu.step_downs(), []);
    });
}

#[test]
fn infinities_zeros_of_both_signs_and_what_is_no_number() {
    each_kernel(|gpu| {
        let rng = &mut random();
        let odd = [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::NAN, -f32::NAN, f32::MAX, f32::MIN];
        for n in [9, 3001] {
            let mut values = tied(rng, n);
            for value in &mut values {
                if rng.random_range(0..3) == 0 {
                    *value = odd[rng.random_range(0..odd.len())];
                }
            }
            let least = values.clone().into_iter().map(|v| if v.is_nan() { 0.0 } else { v }).collect();
            same(gpu, &work(1, n, 9, values), &format!("odd ones of {n}"));
            same(gpu, &work(1, n, 9, least), &format!("odd numbers of {n}"));
            for place in [0, n / 2, n - 1] {
                let mut work = Work::new();
                let x = work.graph.input("x", [2, n], DType::F32);
                let mut rows = tied(rng, 2 * n);
                rows[n + place] = if place == 0 { f32::NAN } else { -f32::NAN };
                work.inputs.push(("x".into(), Value::F32(rows)));
                let y = work.graph.argmax(x).unwrap();
                work.graph.output("y", y);
                work.compare(gpu, 0.0, &format!("argmax of {n}, NaN at {place}"));
            }
            same(gpu, &work(1, n, 9, vec![f32::NAN; n]), &format!("{n} that are no numbers"));
            same(gpu, &work(1, n, 9, vec![f32::NEG_INFINITY; n]), &format!("{n} that are least"));
        }
    });
}
