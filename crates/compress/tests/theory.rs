//! The paper's values, and others of their kind found independently.

mod common;

use common::loss_by_integration;
use lantern_compress::cost::Charge;
use lantern_compress::distribution::{Distribution, Gaussian, Laplace, Mixture, StudentT, Table, Uniform};
use lantern_compress::grid::Codes;
use lantern_compress::quantize::NF4;
use lantern_compress::theory::{
    BITS, Terms, best_joint, best_step, codebook_error, compare, curve, differential_entropy_bits, gaussian_bound_db,
    joint, loss_densities, quantization_error, shannon_lower_bound_db, student_t_crossover,
};

/// What the reference values are rounded to, and what is promised.
const DB: f64 = 0.02;

fn near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance, "{what}: {found}, not {wanted}");
}

#[test]
fn gaussian_values_of_the_table() {
    let quant = [8.26, 13.91, 19.26, 24.53, 29.82, 35.16, 40.57];
    let steps = [1.0484, 0.6018, 0.3386, 0.1888, 0.1042, 0.0569, 0.0308];
    let prune = [3.03, 4.30, 5.58, 6.91, 8.31, 9.82, 11.47];
    for (i, c) in curve(&Gaussian, BITS, Terms::default()).unwrap().iter().enumerate() {
        near(c.quant_snr_db, quant[i], DB, &format!("quantized at {} bits", c.bits));
        near(c.prune_snr_db, prune[i], DB, &format!("pruned at {} bits", c.bits));
        near(c.step, steps[i], 2e-4, &format!("step at {} bits", c.bits));
        near(c.clip, c.step * f64::from((1 << (c.bits - 1)) - 1), 1e-12, "clip");
        assert!(c.quant_snr_db >= c.prune_snr_db + 5.0, "{c:?}");
        assert!(c.quant_snr_db < gaussian_bound_db(f64::from(c.bits)), "{c:?}");
    }
    let odd = compare(&Gaussian, 4, Terms { codes: Codes::Odd, ..Terms::default() }).unwrap();
    near(odd.quant_snr_db, 18.90, DB, "15 levels");
    // Table values of the uniform quantizer with 15 and 16 levels end there (Max 1960); the entropy is of the 16.
    let four = compare(&Gaussian, 4, Terms::default()).unwrap();
    near(four.code_entropy_bits, 3.59, 0.01, "entropy of 4-bit codes");
}

#[test]
fn laplace_and_uniform_values_of_the_table() {
    for (bits, quant, prune) in [(2, 6.84, 4.63), (4, 15.98, 7.88), (8, 35.21, 14.78)] {
        let c = compare(&Laplace, bits, Terms::default()).unwrap();
        near(c.quant_snr_db, quant, DB, &format!("Laplace quantized at {bits}"));
        near(c.prune_snr_db, prune, DB, &format!("Laplace pruned at {bits}"));
    }
    let c = compare(&Uniform, 4, Terms::default()).unwrap();
    near(c.quant_snr_db, 23.52, DB, "uniform quantized");
    near(c.prune_snr_db, 3.75, DB, "uniform pruned");
}

#[test]
fn student_t_crossovers_of_the_table() {
    let truncate = [11.1, 18.6, 29.3, 45.8, 71.7, 112.0, 173.0];
    let kurtosis = [8.9, 16.0, 28.3, 51.7, 97.6, 189.0, 370.0];
    for (i, bits) in BITS.enumerate() {
        let c = student_t_crossover(2.0, bits, Terms::default()).unwrap();
        near(c.truncate / truncate[i], 1.0, 0.05, &format!("truncation at {bits} bits"));
        near(c.kurtosis / kurtosis[i], 1.0, 0.05, &format!("kurtosis at {bits} bits"));
        // What it is: both lose the same there.
        let t = StudentT::new(2.0, c.truncate).unwrap();
        let both = compare(&t, bits, Terms::default()).unwrap();
        near(both.quant_snr_db, both.prune_snr_db, 1e-3, "at the crossover");
    }
    let t = StudentT::new(2.0, 40.0).unwrap();
    for c in curve(&t, 2..=4, Terms::default()).unwrap() {
        assert!(c.prune_snr_db > c.quant_snr_db, "{c:?}");
    }
}

/// Tails so long that all energy is theirs: what pruning loses is no difference of energies then. Reference values by numerical
/// integration in 70 digits.
#[test]
fn pruning_is_exact_however_little_it_loses() {
    for (nu, r, snr_db) in [(0.5, 1e9, 134.029), (0.5, 1e10, 149.03), (0.5, 1e11, 164.03)] {
        let t = StudentT::new(nu, r).unwrap();
        let c = compare(&Table::new(&t), 8, Terms::default()).unwrap();
        near(c.prune_snr_db, snr_db, 0.01, &format!("ν = {nu}, ±{r:e}"));
    }
    let outliers = Mixture::with_outliers(&Gaussian, 0.01, 1e6).unwrap();
    // A hundredth of energy 1e12, over the energy of the smaller half of a Gaussian: 0.0720.
    near(compare(&outliers, 8, Terms::default()).unwrap().prune_snr_db, 111.37, 0.05, "outliers");
}

/// At all ends of what is let in: numbers, and no hang.
#[test]
fn extreme_shapes_have_finite_answers() {
    for nu in [1e-12, 1e-3, 1.0, 1e12] {
        for r in [1e-12, 1e-3, 1.0, 1e12] {
            let t = StudentT::new(nu, r).unwrap();
            for c in curve(&Table::new(&t), [2, 4, 8], Terms::default()).unwrap() {
                let all = [c.quant_snr_db, c.prune_snr_db, c.step, c.clip, c.threshold, c.code_entropy_bits];
                assert!(all.iter().all(|v| v.is_finite()) && c.step > 0.0, "ν = {nu}, ±{r}: {c:?}");
            }
        }
    }
    for (nu, r) in [(1e-13, 1.0), (1e13, 1.0), (f64::INFINITY, 1.0), (2.0, 1e-13), (2.0, 1e13), (2.0, f64::NAN)] {
        assert_eq!(StudentT::new(nu, r).unwrap_err().code, "compress.distribution", "ν = {nu}, ±{r}");
    }
    for (share, scale) in [(0.0, 9.0), (1.0, 9.0), (1.5, 9.0), (f64::NAN, 9.0), (0.1, 0.5), (0.1, 1e300)] {
        let error = Mixture::with_outliers(&Gaussian, share, scale).err().unwrap();
        assert!(error.code == "compress.distribution" && error.cause.contains("outliers"), "{error}");
    }
}

#[test]
fn light_tails_never_cross_and_say_so() {
    // The heaviest there are cross where they are hardly tails yet: both lose the same there, too.
    for (nu, bits) in [(1e-9, 2), (1e-9, 4)] {
        let c = student_t_crossover(nu, bits, Terms::default()).unwrap();
        let both = compare(&StudentT::new(nu, c.truncate).unwrap(), bits, Terms::default()).unwrap();
        near(both.quant_snr_db, both.prune_snr_db, 1e-3, &format!("ν = {nu}"));
        assert!(c.truncate < 0.5, "{c:?}");
    }
    for (nu, bits) in [(30.0, 4), (1e6, 2)] {
        assert_eq!(student_t_crossover(nu, bits, Terms::default()).unwrap_err().code, "compress.no_crossover");
    }
    assert_eq!(student_t_crossover(2.0, 9, Terms::default()).unwrap_err().code, "compress.bits");
    assert_eq!(student_t_crossover(-1.0, 4, Terms::default()).unwrap_err().code, "compress.distribution");
}

/// Whatever the distribution: the error is the integral, and no step of a fine search is better than the step found.
#[test]
fn steps_are_the_best_ones_for_any_distribution() {
    let t = |nu, r| StudentT::new(nu, r).unwrap();
    let (a, b, c, e) = (t(0.6, 300.0), t(1.4, 20.0), t(3.0, 1e4), t(200.0, 30.0));
    let outliers = Mixture::with_outliers(&Gaussian, 0.002, 25.0).unwrap();
    let all: [(&dyn Distribution, f64); 8] = [
        (&a, 300.0),
        (&b, 20.0),
        (&c, 1e4),
        (&e, 30.0),
        (&Uniform, 1.0),
        (&Laplace, 60.0),
        (&Gaussian, 40.0),
        (&outliers, 900.0),
    ];
    for (i, (d, end)) in all.iter().enumerate() {
        for bits in [2, 3, 5, 8] {
            for codes in [Codes::Integer, Codes::Odd] {
                let best = best_step(*d, codes, bits);
                let slow = loss_by_integration(*d, 2, &codes.grid(bits, best.step), *end);
                near(best.error / slow, 1.0, 1e-6, &format!("error of {i} at {bits} bits, {codes:?}"));
                let mut step = d.energy().sqrt() * 1e-3;
                while step < 4.0 * end.min(50.0 * d.energy().sqrt()) {
                    let error = quantization_error(*d, &codes.grid(bits, step));
                    assert!(error >= best.error * (1.0 - 1e-9), "{i} at {bits} bits: {step} beats {}", best.step);
                    step *= 1.007;
                }
            }
        }
    }
}

/// A uniform bulk and a few outliers: valleys lie 5 to 10% apart. Reference by a search of a million steps.
#[test]
fn the_best_of_many_valleys_is_found() {
    let edges = Mixture::with_outliers(&Uniform, 1e-5, 30.0).unwrap();
    let c = compare(&edges, 8, Terms::default()).unwrap();
    near(c.quant_snr_db, 23.900, 0.005, "uniform with outliers");
    near(c.step, 0.08866, 1e-4, "its step");
}

/// Symmetric distributions are integrated on one side; asked for both sides they say the same.
#[test]
fn one_side_of_a_symmetric_distribution_is_enough() {
    struct BothSides(StudentT);
    impl Distribution for BothSides {
        fn density(&self, w: f64) -> f64 {
            self.0.density(w)
        }
        fn above(&self, a: f64) -> lantern_compress::distribution::Moments {
            self.0.above(a)
        }
        fn is_symmetric(&self) -> bool {
            false
        }
        fn reach(&self) -> f64 {
            self.0.reach()
        }
        fn kurtosis(&self) -> f64 {
            self.0.kurtosis()
        }
    }
    let t = StudentT::new(3.0, 30.0).unwrap();
    for bits in BITS {
        for codes in [Codes::Integer, Codes::Odd] {
            for step in [0.01, 0.2, 3.0, 90.0] {
                let grid = codes.grid(bits, step);
                let (a, b) = (quantization_error(&t, &grid), quantization_error(&BothSides(t), &grid));
                near(a / b, 1.0, 1e-12, &format!("{bits} bits, step {step}"));
                let levels: Vec<f64> = (grid.low..=grid.high).map(|code| grid.value(code)).collect();
                near(codebook_error(&t, &levels) / a, 1.0, 1e-9, "as a codebook");
            }
        }
    }
}

#[test]
fn a_table_changes_no_digit_that_counts() {
    for (nu, r) in [(0.7, 1e4), (2.0, 40.0), (5.0, f64::INFINITY), (300.0, f64::INFINITY)] {
        let t = StudentT::new(nu, r).unwrap();
        let exact = curve(&t, BITS, Terms::default()).unwrap();
        for (a, b) in exact.iter().zip(curve(&Table::new(&t), BITS, Terms::default()).unwrap()) {
            near(a.quant_snr_db, b.quant_snr_db, 1e-4, "quantized");
            near(a.prune_snr_db, b.prune_snr_db, 1e-6, "pruned");
            near(a.step / b.step, 1.0, 1e-3, "step");
        }
    }
}

/// A Student-t of many degrees of freedom is a Gaussian: 1/ν apart.
#[test]
fn student_t_becomes_a_gaussian() {
    let gaussian = curve(&Gaussian, BITS, Terms::default()).unwrap();
    for nu in [1e6, 1e12] {
        let t = StudentT::new(nu, f64::INFINITY).unwrap();
        for (a, b) in gaussian.iter().zip(curve(&Table::new(&t), BITS, Terms::default()).unwrap()) {
            near(a.quant_snr_db, b.quant_snr_db, 1e-4, "quantized");
            near(a.prune_snr_db, b.prune_snr_db, 1e-4, "pruned");
        }
    }
}

#[test]
fn pruning_and_quantizing_together() {
    let t = StudentT::new(2.0, 40.0).unwrap();
    let table = Table::new(&t);
    let alone = compare(&table, 4, Terms::default()).unwrap();
    near(alone.quant_snr_db, 9.8, 0.06, "t(2) quantized");
    near(alone.prune_snr_db, 11.4, 0.06, "t(2) pruned");
    let both = joint(&table, 4.0, 6, Charge::Bitmap).unwrap();
    near(both.snr_db, 16.2, 0.06, "t(2), half of it in 6 bits");
    near(both.sparsity, 0.5, 1e-12, "sparsity");
    near(best_joint(&Gaussian, 4.0, Charge::Bitmap).unwrap().snr_db, 18.0, 0.06, "Gaussian at 4");
    near(best_joint(&Gaussian, 2.0, Charge::Bitmap).unwrap().snr_db, 9.5, 0.06, "Gaussian at 2");
    assert_eq!(best_joint(&Gaussian, 0.9, Charge::Bitmap).unwrap_err().code, "compress.bits");
    assert_eq!(joint(&Gaussian, 4.0, 0, Charge::Free).unwrap_err().code, "compress.bits");
}

#[test]
fn charging_for_the_mask_costs_the_pruner() {
    let snr = |charge| compare(&Laplace, 3, Terms { charge, ..Terms::default() }).unwrap();
    let (free, entropy, bitmap) = (snr(Charge::Free), snr(Charge::Entropy), snr(Charge::Bitmap));
    assert!(free.prune_snr_db > entropy.prune_snr_db && entropy.prune_snr_db > bitmap.prune_snr_db);
    near(bitmap.sparsity, 1.0 - 2.0 / 16.0, 1e-12, "a bit a weight is the mask's");
    let keep = 1.0 - entropy.sparsity;
    near(16.0 * keep + Charge::Entropy.mask_bits(keep), 3.0, 1e-9, "all is spent");
    // The paper's correction: zeros the quantizer makes are not stored either.
    let corrected = compare(&Laplace, 3, Terms { natural_zeros: true, ..Terms::default() }).unwrap();
    near(1.0 - corrected.sparsity, (1.0 - corrected.natural_zeros) * 3.0 / 16.0, 1e-12, "corrected share");
    // Where masks cost something, both pay for theirs, and have the same size.
    for charge in [Charge::Bitmap, Charge::Entropy] {
        let c = compare(&Laplace, 3, Terms { charge, natural_zeros: true, ..Terms::default() }).unwrap();
        let size = |keep: f64, bits: f64| keep * bits + charge.mask_bits(keep);
        near(size(1.0 - c.sparsity, 16.0), size(1.0 - c.natural_zeros, 3.0).min(3.0), 1e-9, "sizes with masks");
    }
    // Few zeros are not worth a mask: nothing is corrected.
    let terms = Terms { charge: Charge::Bitmap, ..Terms::default() };
    let [without, with] =
        [false, true].map(|natural_zeros| compare(&Uniform, 8, Terms { natural_zeros, ..terms }).unwrap());
    assert_eq!(without, with);
    assert!(corrected.prune_snr_db < free.prune_snr_db);
}

#[test]
fn bounds_hold_and_meet_for_a_gaussian() {
    near(gaussian_bound_db(1.0), 6.0206, 1e-4, "a bit");
    let entropy = differential_entropy_bits(&Gaussian);
    near(entropy, 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).log2(), 1e-9, "entropy of a Gaussian");
    near(differential_entropy_bits(&Laplace), (2.0 * std::f64::consts::E).log2(), 1e-9, "entropy of Laplace");
    near(differential_entropy_bits(&Uniform), 1.0, 1e-9, "entropy of the uniform distribution");
    // Narrow or wide, by its own scale.
    for scale in [1e-5, 1e5] {
        let scaled = Mixture::new(&[(1.0, scale, &Gaussian)]).unwrap();
        near(differential_entropy_bits(&scaled), entropy + scale.log2(), 1e-4, &format!("entropy at scale {scale}"));
    }
    near(shannon_lower_bound_db(1.0, entropy, 3.0), gaussian_bound_db(3.0), 1e-8, "Gaussian");
    let t = StudentT::new(2.0, 40.0).unwrap();
    let entropy = differential_entropy_bits(&t);
    for c in curve(&t, BITS, Terms::default()).unwrap() {
        let bits = f64::from(c.bits);
        assert!(c.quant_snr_db < shannon_lower_bound_db(t.energy(), entropy, bits), "{c:?}");
        // The bound holds for the entropy of the codes as well, which may be far below their width.
        assert!(c.code_entropy_bits <= bits);
        assert!(c.quant_snr_db < shannon_lower_bound_db(t.energy(), entropy, c.code_entropy_bits), "{c:?}");
    }
}

/// Max's optimum for 16 levels is 20.22 dB (1960); NF4 is made for entropies, not errors, and is below it.
#[test]
fn nf4_on_a_gaussian() {
    let best = (1..400).map(|i| {
        let levels: Vec<f64> = NF4.iter().map(|l| f64::from(*l) * 0.01 * f64::from(i)).collect();
        -10.0 * codebook_error(&Gaussian, &levels).log10()
    });
    let best = best.fold(0.0, f64::max);
    assert!(best > 18.0 && best < 20.22, "{best}");
}

/// Areas by the trapezoid rule; jumps at the threshold and kinks between cells cost it 1e-3.
#[test]
fn the_areas_under_the_curves_are_the_errors() {
    let terms = Terms::default();
    let c = compare(&Laplace, 3, terms).unwrap();
    let h = 1e-3;
    let curves = loss_densities(&Laplace, &c, terms.codes, (-40_000..=40_000).map(|i| h * f64::from(i)));
    let area = |f: fn(&lantern_compress::theory::LossDensity) -> f64| h * curves.iter().map(f).sum::<f64>();
    near(area(|p| p.density), 1.0, 1e-6, "density");
    near(area(|p| p.quantization) / 2.0 * 10f64.powf(c.quant_snr_db / 10.0), 1.0, 1e-3, "quantization");
    near(area(|p| p.pruning) / 2.0 * 10f64.powf(c.prune_snr_db / 10.0), 1.0, 1e-2, "pruning");
}

#[test]
fn widths_out_of_range_are_refused() {
    for bits in [0, 1, 9, u32::MAX] {
        assert_eq!(compare(&Gaussian, bits, Terms::default()).unwrap_err().code, "compress.bits");
    }
}
