//! Seeded draws, and integrals the slow way.
#![allow(dead_code, reason = "each test file uses its part")]

use lantern_compress::distribution::{Distribution, Scan, Summary};
use lantern_compress::grid::Grid;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A generator whose seed is printed, so that a failure can be had again. `LANTERN_SEED` overrides it.
pub fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

pub fn summary(values: &[f32]) -> Summary {
    let mut scan = Scan::default();
    scan.add(values);
    scan.finish().unwrap()
}

pub fn gaussian(rng: &mut SmallRng) -> f64 {
    student_t(rng, f64::INFINITY)
}

pub fn laplace(rng: &mut SmallRng) -> f64 {
    let u = rng.random::<f64>() - 0.5;
    -(1.0 - 2.0 * u.abs()).ln() * u.signum()
}

/// Bailey's polar method (1994); in the limit, Box and Muller's as Marsaglia has it.
pub fn student_t(rng: &mut SmallRng, nu: f64) -> f64 {
    loop {
        let (u, v) = (2.0 * rng.random::<f64>() - 1.0, 2.0 * rng.random::<f64>() - 1.0);
        let w = u * u + v * v;
        if w > 0.0 && w <= 1.0 {
            let square = if nu.is_infinite() { -2.0 * w.ln() } else { nu * (w.powf(-2.0 / nu) - 1.0) };
            return u * (square / w).sqrt();
        }
    }
}

pub fn truncated_t(rng: &mut SmallRng, nu: f64, r: f64) -> f64 {
    loop {
        let t = student_t(rng, nu);
        if t.abs() <= r {
            return t;
        }
    }
}

/// Gauss and Legendre's rule of ten points.
const RULE: [(f64, f64); 5] = [
    (0.148_874_338_981_631_2, 0.295_524_224_714_752_87),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];

fn rule(f: &dyn Fn(f64) -> f64, a: f64, b: f64) -> f64 {
    let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
    half * RULE.iter().map(|(x, w)| w * (f(middle - half * x) + f(middle + half * x))).sum::<f64>()
}

/// ∫ₐᵇ f, halving until halves agree with the whole to 1e-14 of it or `absolute`; pieces first grow by a third, since
/// densities live on a logarithmic scale.
pub fn integral(f: &dyn Fn(f64) -> f64, a: f64, b: f64, absolute: f64) -> f64 {
    fn adaptive(f: &dyn Fn(f64) -> f64, a: f64, b: f64, whole: f64, absolute: f64, depth: u32) -> f64 {
        let middle = 0.5 * (a + b);
        let (left, right) = (rule(f, a, middle), rule(f, middle, b));
        let both = left + right;
        if depth == 0 || (both - whole).abs() <= 1e-14 * both.abs() + absolute {
            return both;
        }
        adaptive(f, a, middle, left, absolute, depth - 1) + adaptive(f, middle, b, right, absolute, depth - 1)
    }
    let (mut at, mut sum) = (a, 0.0);
    while at < b {
        let next = (at * 4.0 / 3.0).max(at + 1e-3).min(b);
        sum += adaptive(f, at, next, rule(f, at, next), absolute, 12);
        at = next;
    }
    sum
}

/// The definition, by integration: E[|w − ŵ|^power] over the density up to ±`end`, cell by cell.
pub fn loss_by_integration(d: &dyn Distribution, power: i32, grid: &Grid, end: f64) -> f64 {
    let ((low, high), step) = (grid.ends(), grid.scale);
    let side = |last: i32| -> f64 {
        (0..=last)
            .map(|code| {
                let level = f64::from(code) * step;
                let from = (level - 0.5 * step).max(0.0).min(end);
                let to = if code == last { end } else { (level + 0.5 * step).min(end) };
                integral(&|w| (w - level).abs().powi(power) * d.density(w), from, to, 1e-15)
            })
            .sum()
    };
    side(high) + side(-low)
}
