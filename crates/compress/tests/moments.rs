//! Closed forms against integrals.

mod common;

use common::integral;
use lantern_compress::distribution::{Distribution, Gaussian, Laplace, Mixture, Moments, StudentT, Table, Uniform};

/// ∫ₐ wᵏ p for k = 0, 1, 2, up to where nothing is left of p.
fn by_integration(d: &dyn Distribution, a: f64, end: f64) -> Moments {
    let moment = |k: i32| integral(&|w| w.powi(k) * d.density(w), a, end, 1e-16);
    Moments { mass: moment(0), first: moment(1), second: moment(2) }
}

/// Relative to the moments of the whole: f64 on both sides, and the integral's own 1e-14 a piece.
fn assert_close(found: Moments, wanted: Moments, whole: Moments, tolerance: f64, what: &str) {
    for (f, w, all, k) in [
        (found.mass, wanted.mass, whole.mass, 0),
        (found.first, wanted.first, whole.first, 1),
        (found.second, wanted.second, whole.second, 2),
    ] {
        assert!((f - w).abs() <= tolerance * all, "{what}: moment {k} is {f:e}, by integration {w:e}, of {all:e}");
    }
}

fn points(end: f64) -> impl Iterator<Item = f64> {
    [0.0, 1e-6, 0.01, 0.3, 0.9, 1.0, 1.7, 4.0, 11.0, 300.0, 2e4].into_iter().filter(move |a| *a < end)
}

fn check(d: &dyn Distribution, end: f64, what: &str) {
    let whole = d.above(0.0);
    assert!((whole.mass - 0.5).abs() < 1e-13, "{what}: half of it is {}", whole.mass);
    for a in points(end) {
        assert_close(d.above(a), by_integration(d, a, end), whole, 2e-12, &format!("{what} beyond {a}"));
    }
    assert!((d.energy() - 2.0 * whole.second).abs() <= 1e-14 * d.energy());
    let fourth = 2.0 * integral(&|w| w.powi(4) * d.density(w), 0.0, end, 1e-16);
    if d.kurtosis().is_finite() {
        let kurtosis = fourth / d.energy().powi(2);
        assert!((d.kurtosis() / kurtosis - 1.0).abs() < 1e-10, "{what}: kurtosis {} or {kurtosis}", d.kurtosis());
    }
}

#[test]
fn simple_distributions_have_the_moments_of_their_densities() {
    check(&Gaussian, 40.0, "Gaussian");
    check(&Laplace, 800.0, "Laplace");
    check(&Uniform, 1.0, "uniform");
    // Untruncated: an edge inside the mixture is nothing for the integral.
    let t = StudentT::new(6.0, f64::INFINITY).unwrap();
    check(&Mixture::with_outliers(&t, 0.03, 20.0).unwrap(), 1e8, "t with outliers");
    let mixed = Mixture::new(&[(1.0, 0.5, &Gaussian), (3.0, 2.0, &Laplace)]).unwrap();
    check(&mixed, 1600.0, "Gaussian and Laplace");
}

/// Any ν: below 1 (no mean), 1 and 2 and 4 (where powers turn to logarithms) and closely beside them, and so large that it is a
/// Gaussian.
#[test]
fn student_t_has_the_moments_of_its_density_for_any_nu_and_truncation() {
    let nus =
        [0.05, 0.7, 1.0, 1.0 + 1e-9, 1.5, 1.999_999_9, 2.0, 2.000_000_1, 2.5, 3.0, 4.0, 4.000_000_1, 5.0, 9.0, 30.0];
    for nu in nus.into_iter().chain([171.0, 173.0, 1e3, 1e6, 1e12]) {
        for r in [1e-3, 0.5, 3.0, 40.0, 1e5] {
            let t = StudentT::new(nu, r).unwrap();
            // Far out a light tail is 0 in f64, and there is nothing to integrate.
            let end = if nu > 100.0 { r.min(60.0) } else { r };
            check(&t, end, &format!("t(ν = {nu}, r = {r})"));
        }
    }
}

#[test]
fn an_untruncated_student_t_has_textbook_moments() {
    for nu in [2.1, 3.0, 4.5, 7.0, 50.0, 1e4, 1e9] {
        let t = StudentT::new(nu, f64::INFINITY).unwrap();
        let variance = nu / (nu - 2.0);
        assert!((t.energy() / variance - 1.0).abs() < 1e-12, "ν = {nu}: {} or {variance}", t.energy());
        if nu > 4.0 {
            let kurtosis = 3.0 + 6.0 / (nu - 4.0);
            assert!((t.kurtosis() / kurtosis - 1.0).abs() < 1e-11, "ν = {nu}: {} or {kurtosis}", t.kurtosis());
        } else {
            assert_eq!(t.kurtosis(), f64::INFINITY, "ν = {nu}");
        }
    }
    // ν = 2 has an elementary distribution function: ½ + w / (2 √(2 + w²)).
    let t = StudentT::new(2.0, 1e8).unwrap();
    for w in [0.1f64, 1.0, 5.0, 100.0] {
        let exact = 0.5 - w / (2.0 * (2.0 + w * w).sqrt());
        assert!((t.above(w).mass - exact).abs() < 1e-15, "{w}");
    }
}

/// Differences from the exact moments are below 2e-9 of the whole; at 8 bits 0.02 dB are 4e-7 of it.
#[test]
fn a_table_is_as_good_as_what_it_is_of() {
    for (nu, r) in [(0.4, 1e6), (2.0, 40.0), (2.0, 0.3), (3.0, f64::INFINITY), (40.0, 25.0), (1e5, f64::INFINITY)] {
        let t = StudentT::new(nu, r).unwrap();
        let table = Table::new(&t);
        let whole = t.above(0.0);
        for i in 0..4000 {
            let a = 1e-4 * 1.005f64.powi(i);
            assert_close(table.above(a), t.above(a), whole, 2e-9, &format!("t({nu}, {r}) beyond {a}"));
        }
    }
}

#[test]
fn quantiles_invert_the_distribution_function() {
    let t = StudentT::new(1.3, 500.0).unwrap();
    let mixed = Mixture::with_outliers(&Gaussian, 0.01, 30.0).unwrap();
    let all: [&dyn Distribution; 5] = [&Gaussian, &Laplace, &Uniform, &t, &mixed];
    for (i, d) in all.iter().enumerate() {
        for p in [1e-9, 0.01, 0.3, 0.5, 0.7, 0.99, 1.0 - 1e-9] {
            let q = d.quantile(p);
            assert!((d.cdf(q) - p).abs() < 1e-14, "{i}: cdf({q}) = {}, not {p}", d.cdf(q));
            let tau = d.magnitude_quantile(p);
            assert!((d.beyond(tau).mass - (1.0 - p)).abs() < 1e-14, "{i}: beyond {tau}");
        }
        assert_eq!(d.magnitude_quantile(0.0), 0.0);
    }
    // Abramowitz and Stegun, table 26.5.
    assert!((Gaussian.quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
}

#[test]
fn what_is_no_distribution_is_refused() {
    for (nu, r) in [
        (0.0, 1.0),
        (-1.0, 1.0),
        (f64::NAN, 1.0),
        (f64::INFINITY, 1.0),
        (2.0, f64::INFINITY),
        (1.0, f64::INFINITY),
        (3.0, 0.0),
        (3.0, -2.0),
        (3.0, f64::NAN),
        (1e300, 1.0),
    ] {
        assert_eq!(StudentT::new(nu, r).unwrap_err().code, "compress.distribution", "ν = {nu}, r = {r}");
    }
    for (share, scale) in [(-0.1, 2.0), (0.0, 2.0), (1.0, 2.0), (f64::NAN, 2.0), (0.1, 0.0), (0.1, f64::INFINITY)] {
        let code = Mixture::with_outliers(&Gaussian, share, scale).err().map(|e| e.code);
        assert_eq!(code, Some("compress.distribution"), "share {share}, scale {scale}");
    }
    assert!(Mixture::new(&[]).is_err());
}
