//! `cargo bench -p lantern-compress`.
//!
//! Aims, in WebAssembly on one core: the curves of one distribution in 10 ms, the layers of a model of 30 million weights in
//! a second, at seven widths each.

use criterion::{Criterion, criterion_group, criterion_main};
use lantern_compress::distribution::{Distribution, Gaussian, Laplace, Scan, StudentT, Table};
use lantern_compress::grid::Codes;
use lantern_compress::theory::{BITS, Terms, curve, student_t_crossover};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;

/// Values of a mid-sized layer; a model of 30 million weights has 30.
const VALUES: usize = 1_000_000;

fn theory(c: &mut Criterion) {
    let mut group = c.benchmark_group("curves of one distribution, 7 widths");
    let seven = |d: &dyn Distribution| curve(d, BITS, Terms::default()).unwrap();
    group.bench_function("gaussian", |b| b.iter(|| seven(black_box(&Gaussian))));
    group.bench_function("laplace", |b| b.iter(|| seven(black_box(&Laplace))));
    for (nu, truncate) in [(2.0, 40.0), (0.7, 1e4), (5.0, f64::INFINITY), (300.0, f64::INFINITY)] {
        group.bench_function(format!("student-t {nu}, ±{truncate}"), |b| {
            b.iter(|| {
                let t = StudentT::new(black_box(nu), truncate).unwrap();
                seven(&Table::new(&t))
            });
        });
    }
    group.finish();
    c.bench_function("crossover of student-t 2 at 4 bits", |b| {
        b.iter(|| student_t_crossover(black_box(2.0), 4, Terms::default()).unwrap());
    });
}

fn layers(c: &mut Criterion) {
    let mut rng = SmallRng::seed_from_u64(1);
    // Twelve uniforms make a bell.
    let values: Vec<f32> = (0..VALUES).map(|_| (0..12).map(|_| rng.random::<f32>() - 0.5).sum()).collect();
    let halves: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let mut group = c.benchmark_group("a layer of a million weights");
    let mut scan = Scan::default();
    group.bench_function("histogram of f32", |b| {
        b.iter(|| {
            scan.add(black_box(&values));
            scan.finish().unwrap()
        });
    });
    group.bench_function("histogram of f16", |b| {
        b.iter(|| {
            scan.add_f16(black_box(&halves));
            scan.finish().unwrap()
        });
    });
    scan.add(&values);
    let summary = scan.finish().unwrap();
    group.bench_function("search, 7 widths", |b| {
        b.iter(|| curve(black_box(&summary.histogram), BITS, Terms::default()).unwrap());
    });
    let found = curve(&summary.histogram, BITS, Terms::default()).unwrap();
    group.bench_function("second pass, 7 widths", |b| {
        b.iter(|| {
            let measure = |c: &lantern_compress::theory::Comparison| {
                Codes::Integer.grid(c.bits, c.step).squared_error(black_box(&values))
            };
            found.iter().map(measure).sum::<f64>()
        });
    });
    group.finish();
}

criterion_group!(benches, theory, layers);
criterion_main!(benches);
