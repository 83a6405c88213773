//! Histograms of drawn weights, and the searches on them.

mod common;

use common::{gaussian, laplace, seeded, summary, truncated_t};
use lantern_compress::cost::Charge;
use lantern_compress::distribution::{Bins, Distribution, Histogram, Scan};
use lantern_compress::grid::{Codes, Grid};
use lantern_compress::prune::{Sparsity, magnitude};
use lantern_compress::snr_db;
use lantern_compress::theory::{BITS, Terms, best_joint, compare, curve, pruning, quantization_error};

/// More than a scan keeps, so that bins are used.
const MANY: usize = 400_000;

/// The histogram's errors against sums over the very values, at the steps found and elsewhere. 0.01 dB is what `scan.rs`
/// promises where bins are not exact; where they are, only the f32 sums' 1e-4 is left.
#[test]
fn a_histogram_has_the_errors_of_its_values() {
    let mut rng = seeded(12);
    let spread: Vec<f32> = (0..MANY).map(|_| truncated_t(&mut rng, 3.0, 200.0) as f32 + 0.3).collect();
    let halves: Vec<f32> = spread.iter().map(|v| half::f16::from_f32(*v).to_f32()).collect();
    let brain: Vec<f32> = spread.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect();
    let few: Vec<f32> = spread[..3000].to_vec();
    for (what, values, exact, tolerance) in [
        ("f32", &spread, false, 0.01),
        ("f16", &halves, true, 5e-4),
        ("bf16", &brain, true, 5e-4),
        ("few", &few, true, 5e-4),
    ] {
        let s = summary(values);
        assert_eq!((s.is_exact, s.values), (exact, values.len() as u64), "{what}");
        for c in curve(&s.histogram, BITS, Terms::default()).unwrap() {
            for step in [c.step, 0.6 * c.step, 1.9 * c.step] {
                let grid = Codes::Integer.grid(c.bits, step);
                let by_bins = quantization_error(&s.histogram, &grid);
                let by_values = grid.squared_error(values) / values.len() as f64;
                let apart = 10.0 * (by_bins / by_values).log10();
                assert!(apart.abs() < tolerance, "{what}, {} bits, step {step}: {apart} dB", c.bits);
            }
            // Of whole weights.
            let mask = magnitude(values, 1, Sparsity::Share(c.sparsity)).unwrap();
            let by_values = mask.snr_db(values);
            let by_bins = snr_db(s.energy, pruning(&s.histogram, mask.sparsity()).error);
            assert!((by_values - by_bins).abs() < 1e-3, "{what}: pruned {by_values} or {by_bins}");
        }
    }
}

/// Against a plain loop in f64.
#[test]
fn the_fast_sum_of_errors_is_the_sum_of_errors() {
    let mut rng = seeded(13);
    for (n, scale) in [(1, 1.0), (7, 1e-20), (255, 1e20), (1003, 3.0)] {
        let values: Vec<f32> = (0..n).map(|_| (gaussian(&mut rng) * scale) as f32).collect();
        for bits in BITS {
            // Once with a zero point.
            let mut grid = Codes::Integer.grid(bits, 0.1 * scale);
            if n == 255 {
                (grid.zero_point, grid.low, grid.high) = (5, 0, (1 << bits) - 1);
            }
            let plain: f64 = values.iter().map(|v| (f64::from(*v) - grid.round(f64::from(*v))).powi(2)).sum();
            let fast = grid.squared_error(&values);
            // f32 quotients: 1e-7 of up to 128 steps, on errors of a third of a step.
            assert!((fast / plain - 1.0).abs() < 2e-4, "{n} values of {scale}, {bits} bits: {fast} or {plain}");
        }
    }
}

/// Tensors as nasty as they come: no step of a fine search over all scales is much better than the one found.
#[test]
fn the_best_step_of_a_histogram_is_the_best() {
    let mut rng = seeded(24);
    let mut bulk = |n: usize| -> Vec<f32> { (0..n).map(|_| gaussian(&mut rng) as f32).collect() };
    let with = |mut values: Vec<f32>, others: &[f32]| {
        values.extend(others);
        values
    };
    let cases: Vec<(&str, Vec<f32>)> = vec![
        ("an outlier", with(bulk(3000), &[60.0])),
        ("an outlier that drowns all", with(bulk(3000), &[-1e5])),
        ("all near one", bulk(2000).iter().map(|v| 1.0 + 0.01 * v).collect()),
        ("all negative", bulk(2000).iter().map(|v| -v.abs()).collect()),
        ("two humps", bulk(2000).iter().map(|v| 0.1 * v + 5.0 * v.signum()).collect()),
        ("mostly zeros", with(vec![0.0; 9000], &bulk(100))),
        ("heavy", bulk(3000).iter().map(|v| v.powi(5)).collect()),
        ("two values", vec![1.0, -3.0]),
        ("tiny", bulk(1000).iter().map(|v| 1e-30 * v).collect()),
    ];
    for (what, values) in &cases {
        let s = summary(values);
        for bits in BITS {
            let c = compare(&s.histogram, bits, Terms::default()).unwrap();
            let mut best = f64::INFINITY;
            let mut step = 1e-3 * s.energy.sqrt();
            while step < 4.0 * s.histogram.reach() {
                best = best.min(quantization_error(&s.histogram, &Codes::Integer.grid(bits, step)));
                step *= 1.003;
            }
            let best = snr_db(s.energy, best);
            // What `best_step` says of few, and of weights close together.
            let allowed = if ["all near one", "two humps", "mostly zeros"].contains(what) { 1.0 } else { 0.2 };
            assert!(
                c.quant_snr_db > best - allowed || c.quant_snr_db > 60.0,
                "{what}, {bits} bits: {} dB, {best} were possible",
                c.quant_snr_db
            );
        }
        // Both at once, as for any distribution: never worse than pruning alone at that sparsity allows.
        let both = best_joint(&s.histogram, 4.0, Charge::Bitmap).unwrap();
        assert!(both.snr_db.is_finite() || *what == "two values", "{what}: {both:?}");
        let bound = snr_db(s.energy, pruning(&s.histogram, both.sparsity).error);
        assert!(both.snr_db <= bound + 1e-6, "{what}: {both:?}, {bound}");
    }
}

/// Halves have counters of their own: the same tensor by both ways.
#[test]
fn halves_are_scanned_as_their_values() {
    let mut rng = seeded(23);
    let mut scan = Scan::default();
    for n in [500, 100_000] {
        let drawn: Vec<f32> = (0..n).map(|_| laplace(&mut rng) as f32 + 0.1).collect();
        let halves: Vec<half::f16> = drawn.iter().map(|v| half::f16::from_f32(*v)).collect();
        let brain: Vec<half::bf16> = drawn.iter().map(|v| half::bf16::from_f32(*v)).collect();
        for (bytes, values, is_f16) in [
            (
                halves.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>(),
                halves.iter().map(|v| v.to_f32()).collect(),
                true,
            ),
            (
                brain.iter().flat_map(|v| v.to_le_bytes()).collect(),
                brain.iter().map(|v| v.to_f32()).collect::<Vec<f32>>(),
                false,
            ),
        ] {
            for piece in bytes.chunks(9998) {
                if is_f16 { scan.add_f16(piece) } else { scan.add_bf16(piece) }
            }
            let (a, b) = (scan.finish().unwrap(), summary(&values));
            assert!(a.is_exact && a.values == b.values && a.least == b.least && a.greatest == b.greatest);
            for (x, y) in [(a.mean, b.mean), (a.kurtosis, b.kurtosis), (a.energy, b.energy)] {
                assert!((x / y - 1.0).abs() < 1e-9, "{x} or {y}");
            }
            for at in [0.0, 0.1, 0.5, 2.0, 9.0] {
                assert!((a.histogram.above(at).second - b.histogram.above(at).second).abs() < 1e-12);
                assert!((a.histogram.below(at).mass - b.histogram.below(at).mass).abs() < 1e-12);
            }
        }
        scan.add_f16(&half::f16::NEG_INFINITY.to_le_bytes());
        assert_eq!(scan.finish().unwrap_err().code, "compress.not_a_number");
        scan.add_bf16(&[0; 64]);
        assert_eq!(scan.finish().unwrap_err().code, "compress.all_zero");
    }
}

#[test]
fn moments_of_a_scan_are_those_of_its_values() {
    let mut rng = seeded(14);
    for (n, shift, scale) in [(10, 0.0, 1.0), (70_000, 1.0, 1e-3), (200_000, -1e4, 1.0), (100_000, 0.0, 1e-25)] {
        let values: Vec<f32> = (0..n).map(|_| (shift + scale * laplace(&mut rng)) as f32).collect();
        let exact = |power: i32, about: f64| {
            values.iter().map(|v| (f64::from(*v) - about).powi(power)).sum::<f64>() / f64::from(n)
        };
        let mean = exact(1, 0.0);
        let kurtosis = exact(4, mean) / exact(2, mean).powi(2);
        // In uneven pieces, as a file comes.
        let mut scan = Scan::default();
        for piece in values.chunks(33_333) {
            scan.add(piece);
        }
        let s = scan.finish().unwrap();
        assert!((s.mean - mean).abs() <= 1e-9 * scale, "{n}: mean {} or {mean}", s.mean);
        assert!((s.kurtosis / kurtosis - 1.0).abs() < 1e-6, "{n}: kurtosis {} or {kurtosis}", s.kurtosis);
        assert!((s.energy / exact(2, 0.0) - 1.0).abs() < 1e-12, "{n}: energy");
        assert_eq!(s.least, values.iter().copied().map(f64::from).fold(f64::INFINITY, f64::min));
    }
}

/// A first value far outside must not spoil the others' moments.
#[test]
fn an_outlier_that_comes_first_does_no_harm() {
    let mut rng = seeded(15);
    let mut values: Vec<f32> = (0..100_000).map(|_| gaussian(&mut rng) as f32).collect();
    let plain = summary(&values).kurtosis;
    assert!((plain - 3.0).abs() < 0.1, "{plain}");
    values[0] = 1e6;
    let n = values.len() as f64;
    let kurtosis = summary(&values).kurtosis;
    // One outlier among n: n, less a little.
    assert!((kurtosis / n - 1.0).abs() < 1e-3, "{kurtosis}");
}

#[test]
fn one_scan_serves_one_tensor_after_another() {
    let mut rng = seeded(16);
    let big: Vec<f32> = (0..100_000).map(|_| gaussian(&mut rng) as f32).collect();
    let mut scan = Scan::default();
    let (mut first, mut last) = (None, None);
    for turn in 0..2 {
        scan.add(&big);
        let found = scan.finish().unwrap();
        (if turn == 0 { &mut first } else { &mut last }).replace((found.kurtosis, found.histogram.energy()));
        scan.add(&big[..100]);
        assert_eq!(scan.finish().unwrap().values, 100);
        let mut bad = big.clone();
        bad[5] = f32::NAN;
        for values in [&bad[..], &bad[..50]] {
            scan.add(values);
            assert_eq!(scan.finish().unwrap_err().code, "compress.not_a_number");
        }
    }
    assert_eq!(first, last);
}

#[test]
fn tensors_with_nothing_to_compare_say_why() {
    let code = |values: &[f32]| {
        let mut scan = Scan::default();
        scan.add(values);
        scan.finish().unwrap_err().code
    };
    for n in [3, 100_000] {
        assert_eq!(code(&vec![0.0; n]), "compress.all_zero");
        assert_eq!(code(&vec![-0.25; n]), "compress.constant");
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![1.0; n];
            values[n - 1] = bad;
            assert_eq!(code(&values), "compress.not_a_number", "{bad} among {n}");
        }
    }
    assert_eq!(code(&[]), "compress.empty");
    assert_eq!(code(&[0.0, -0.0]), "compress.all_zero");
    // The smallest and the largest there are, and two values, are tensors like others.
    for values in [[f32::MIN_POSITIVE, -f32::MIN_POSITIVE], [f32::MAX, 1.0], [1e-45, 0.0]] {
        let s = summary(&values);
        let c = compare(&s.histogram, 4, Terms::default()).unwrap();
        assert!(c.quant_snr_db > 20.0 && !c.prune_snr_db.is_nan(), "{values:?}: {c:?}");
    }
}

#[test]
fn a_histogram_of_points_is_exact() {
    let points = vec![Bins { low: 1.0, high: 1.0, count: 5 }, Bins { low: 2.0, high: 2.0, count: 5 }];
    let h = Histogram::new(points.clone(), points, 10, 2.0);
    // Five of thirty at each of ±1 and ±2.
    for (found, wanted) in [
        (h.above(1.5).mass, 5.0 / 30.0),
        (h.above(2.0).mass, 5.0 / 30.0),
        (h.above(2.1).mass, 0.0),
        (h.below(1.0).second, 25.0 / 30.0),
        (h.zeros(), 10.0 / 30.0),
        (h.beyond(0.0).mass, 1.0),
    ] {
        assert!((found - wanted).abs() < 1e-15, "{found}, not {wanted}");
    }
    assert_eq!(quantization_error(&h, &Grid { scale: 1.0, zero_point: 0, low: -2, high: 2 }), 0.0);
}
