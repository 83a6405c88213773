//! Quantizers on drawn weights, against what theory expects of them.

mod common;

use common::{gaussian, integral, laplace, loss_by_integration, seeded, truncated_t};
use lantern_compress::distribution::{Distribution, Gaussian, Laplace, StudentT};
use lantern_compress::grid::Codes;
use lantern_compress::prune::{Sparsity, magnitude};
use lantern_compress::quantize::{Codebook, Granularity, Quantizer, Range, Symmetry, Uniform, fp8_e4m3, fp8_e5m2};
use lantern_compress::theory::{Terms, compare, quantization_error};
use lantern_weights::GgmlType;

/// Weights, so that a tensor's grid is searched by its histogram.
const MANY: usize = 400_000;

fn mse_tensor(bits: u32, codes: Codes) -> Quantizer {
    let uniform = Uniform::symmetric(bits, Granularity::Tensor, Range::Mse);
    Quantizer::Uniform(Uniform { symmetry: Symmetry::Symmetric(codes), ..uniform })
}

fn asymmetric(granularity: Granularity, range: Range) -> Quantizer {
    Quantizer::Uniform(Uniform::asymmetric(4, granularity, range))
}

/// A mean of `n` squared losses against its expectation, in standard errors: 5 of them happen to one in a million seeds.
/// `fourth`: the expectation of the losses' fourth power. The draws' own scatter would not do, since it hangs on the same few
/// tail values as the mean.
fn expected(mean: f64, n: usize, wanted: f64, fourth: f64, what: &str) {
    let error = ((fourth - wanted * wanted) / n as f64).sqrt();
    assert!((mean - wanted).abs() < 5.0 * error, "{what}: {mean:e}, expected {wanted:e} ± {error:e}");
}

/// The whole way: drawn weights rounded by the data quantizer and pruned, each loss held against the expectation; and the
/// range searched on them.
#[test]
fn drawn_weights_lose_what_theory_expects() {
    let mut rng = seeded(11);
    let t = StudentT::new(2.0, 40.0).unwrap();
    let cases: [(&dyn Distribution, f64, Vec<f32>); 3] = [
        (&Gaussian, 40.0, (0..MANY).map(|_| gaussian(&mut rng) as f32).collect()),
        (&Laplace, 300.0, (0..MANY).map(|_| laplace(&mut rng) as f32).collect()),
        (&t, 40.0, (0..MANY).map(|_| truncated_t(&mut rng, 2.0, 40.0) as f32).collect()),
    ];
    for (i, (d, end, values)) in cases.iter().enumerate() {
        for bits in [2, 4, 8] {
            for codes in [Codes::Integer, Codes::Odd] {
                let what = format!("{i}: {bits} bits, {codes:?}");
                let wanted = compare(*d, bits, Terms { codes, ..Terms::default() }).unwrap();
                let grid = codes.grid(bits, wanted.step);
                let mean = |loss: &dyn Fn(f64) -> f64| {
                    values.iter().map(|v| loss(f64::from(*v)).powi(2)).sum::<f64>() / values.len() as f64
                };
                let rounded = mean(&|v| v - grid.round(v));
                let fourth = loss_by_integration(*d, 4, &grid, *end);
                expected(rounded, MANY, quantization_error(*d, &grid), fourth, &what);

                let tau = wanted.threshold;
                let pruned = mean(&|v| if v.abs() < tau { v } else { 0.0 });
                let fourth = 2.0 * integral(&|w| w.powi(4) * d.density(w), 0.0, tau, 1e-15);
                expected(pruned, MANY, d.energy() / 10f64.powf(wanted.prune_snr_db / 10.0), fourth, &what);

                // Best for these draws: no worse than best for all, and not by luck alone better. Tails of 400,000 draws: at
                // 8 bits some 30 are clipped, which are a tenth of the error, hence 0.5 dB.
                let found = mse_tensor(bits, codes).apply(values, 1000).unwrap();
                let at_expected = grid.squared_error(values);
                assert!(found.error <= at_expected * (1.0 + 2e-3), "{what}: {} or {at_expected}", found.error);
                assert!((found.snr_db() - wanted.quant_snr_db).abs() < 0.5, "{what}: {}", found.snr_db());
                assert!((found.bits_per_weight - f64::from(bits)).abs() < 1e-3);
                let mask = magnitude(values, 1, Sparsity::Share(wanted.sparsity)).unwrap();
                assert!((mask.sparsity() - wanted.sparsity).abs() < 1e-5);
                assert!((mask.snr_db(values) - wanted.prune_snr_db).abs() < 0.15, "{what}: {}", mask.snr_db(values));
            }
        }
    }
}

/// A tensor that already lies on a grid is found to: the search meets the step.
#[test]
fn weights_on_a_grid_are_found_to_be_on_it() {
    let mut rng = seeded(17);
    let ternary: Vec<f32> = (0..90_000).map(|i| [-0.013, 0.0, 0.013][i % 3]).collect();
    let four: Vec<f32> = (0..MANY).map(|_| 0.37 * (2.5 * gaussian(&mut rng)).round().clamp(-8.0, 7.0) as f32).collect();
    for (values, bits, step) in [(ternary, 2, 0.013), (four, 4, 0.37)] {
        let q = mse_tensor(bits, Codes::Integer).apply(&values, 1).unwrap();
        // Steps are searched to 1e-6 of themselves, on bins of 1e-3: what is left is far below any real loss.
        assert!(q.snr_db() > 60.0, "step {step}: {}", q.snr_db());
    }
}

/// Finer scales lose less, a searched range no more than the widest, and everything says what it costs.
#[test]
fn granularity_range_and_zero_point() {
    let mut rng = seeded(18);
    // Rows of different scale: what channels and groups are for.
    let (rows, columns) = (24, 640);
    let values: Vec<f32> = (0..rows * columns)
        .map(|i| (truncated_t(&mut rng, 4.0, 30.0) * 1.3f64.powi((i / columns) as i32)) as f32)
        .collect();
    let symmetric = |granularity, range| Quantizer::Uniform(Uniform::symmetric(4, granularity, range));
    let snr = |q: Quantizer| q.apply(&values, columns).unwrap();
    for range in [Range::MinMax, Range::Mse, Range::Percentile(99.5), Range::Sqnr { clipped_weight: 3.0 }] {
        let by = [Granularity::Tensor, Granularity::Channel, Granularity::Group(32)].map(|g| snr(symmetric(g, range)));
        assert!(by[0].snr_db() < by[1].snr_db() && by[1].snr_db() < by[2].snr_db(), "{range:?}");
        let bits = by.map(|q| q.bits_per_weight);
        assert!(bits[0] < bits[1] && bits[1] < bits[2] && bits[2] == 5.0, "{bits:?}");
    }
    for granularity in [Granularity::Tensor, Granularity::Channel, Granularity::Group(64)] {
        let of = |range| snr(symmetric(granularity, range)).snr_db();
        let (mse, sqnr) = (of(Range::Mse), of(Range::Sqnr { clipped_weight: 3.0 }));
        assert!(
            mse >= of(Range::MinMax) && mse >= sqnr - 1e-3 && mse >= of(Range::Percentile(99.0)),
            "{granularity:?}"
        );
        let of = |range| snr(asymmetric(granularity, range)).snr_db();
        assert!(of(Range::Mse) >= of(Range::MinMax), "{granularity:?}");
    }
    // All positive: a zero point saves the sign's bit.
    let positive: Vec<f32> = values.iter().map(|v| v.abs() + 0.1).collect();
    let granularity = Granularity::Channel;
    let with = asymmetric(granularity, Range::MinMax).apply(&positive, columns).unwrap();
    let without = symmetric(granularity, Range::MinMax).apply(&positive, columns).unwrap();
    assert!(with.snr_db() > without.snr_db() + 4.0, "{} and {}", with.snr_db(), without.snr_db());
}

#[test]
fn small_floats_are_those_of_the_standard() {
    for (value, e4m3, e5m2) in [
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        (1.0626, 1.125, 1.0),
        (-17.0, -16.0, -16.0),
        (447.0, 448.0, 448.0),
        (1e9, 448.0, 57344.0),
        (-1e9, -448.0, -57344.0),
        (0.001_953_125, 0.001_953_125, 0.001_953_125),
        (0.000_8, 0.0, 0.000_854_492_2),
    ] {
        assert_eq!((fp8_e4m3(value), fp8_e5m2(value)), (e4m3, e5m2), "{value}");
    }
    assert_eq!(Codebook::Fp4E2m1.nearest(2.6), 3.0);
    assert_eq!(Codebook::Nf4.nearest(-3.0), -1.0);
    assert_eq!(Codebook::Nf4.nearest(0.01), 0.0);
}

/// Every format on Gaussian weights: as good as its bits let one hope, and never beyond Shannon.
#[test]
fn formats_on_gaussian_weights() {
    let mut rng = seeded(19);
    let values: Vec<f32> = (0..512 * 256).map(|_| 0.02 * gaussian(&mut rng) as f32).collect();
    let groups = |codebook| Quantizer::Codebook { codebook, granularity: Granularity::Group(64), range: Range::MinMax };
    // The least and the most dB, around what NF4 (19.6), FP4 and FP8 are known for, with half a dB.
    for (quantizer, bits, least, most) in [
        (groups(Codebook::Nf4), 4.5, 19.5, 21.0),
        (groups(Codebook::Fp4E2m1), 4.5, 18.5, 20.5),
        (groups(Codebook::Fp8E4m3), 8.5, 31.0, 32.5),
        (groups(Codebook::Fp8E5m2), 8.5, 25.0, 26.5),
        (Quantizer::Nvfp4, 4.5, 19.0, 21.5),
        (Quantizer::Ggml(GgmlType::Q8_0), 8.5, 43.0, 46.0),
        (Quantizer::Ggml(GgmlType::Q4_0), 4.5, 20.0, 22.5),
        (Quantizer::Ggml(GgmlType::Q4K), 4.5, 21.5, 24.5),
        (Quantizer::Ggml(GgmlType::Q2K), 2.625, 9.5, 13.0),
        (Quantizer::Ggml(GgmlType::Q6K), 6.5625, 33.0, 37.0),
    ] {
        let q = quantizer.apply(&values, 512).unwrap();
        assert!((q.bits_per_weight - bits).abs() < 1e-3, "{quantizer:?}: {} bits", q.bits_per_weight);
        assert!(q.snr_db() > least && q.snr_db() < most, "{quantizer:?}: {} dB", q.snr_db());
        assert!(q.snr_db() < 6.0206 * bits, "{quantizer:?} beats Shannon");
    }
}

#[test]
fn quantizers_refuse_what_they_cannot_do() {
    let quantizer = mse_tensor(4, Codes::Integer);
    let code = |q: Quantizer, values: &[f32], columns| q.apply(values, columns).unwrap_err().code;
    assert_eq!(code(quantizer, &[], 1), "compress.empty");
    assert_eq!(code(quantizer, &[1.0; 6], 4), "compress.shape");
    assert_eq!(code(quantizer, &[1.0; 6], 0), "compress.shape");
    assert_eq!(code(quantizer, &[f32::NAN], 1), "compress.not_a_number");
    assert_eq!(code(mse_tensor(9, Codes::Odd), &[1.0], 1), "compress.bits");
    assert_eq!(code(Quantizer::Ggml(GgmlType::Q4_0), &[1.0; 33], 33), "compress.shape");
    assert_eq!(code(Quantizer::Ggml(GgmlType::Iq2S), &[1.0; 256], 256), "gguf.type");
    assert_eq!(code(asymmetric(Granularity::Group(0), Range::Mse), &[1.0], 1), "compress.group");
    assert_eq!(code(asymmetric(Granularity::Tensor, Range::Percentile(0.0)), &[1.0], 1), "compress.range");
    // Constants and zeros are no trouble.
    for value in [0.0, 3.0, -1e-40] {
        for range in [Range::MinMax, Range::Mse, Range::Percentile(50.0)] {
            let q = asymmetric(Granularity::Channel, range);
            assert!(q.apply(&[value; 9], 3).unwrap().values.iter().all(|v| (v - value).abs() <= 1e-6));
        }
    }
}
