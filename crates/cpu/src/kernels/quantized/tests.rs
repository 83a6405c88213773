use lantern_graph::DType;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::activations::{Activations, GROUP};
use super::arch::Chosen;
use super::linear;
use super::portable::Portable;
use super::types::*;
use crate::Mode;
use crate::weights::Rows;

fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

/// Calls its argument for every type.
macro_rules! every_type {
    ($name:ident($($argument:expr),*)) => {
        $name::<Q8_0>(DType::Q8_0, $($argument),*);
        $name::<Q4_0>(DType::Q4_0, $($argument),*);
        $name::<Q4_1>(DType::Q4_1, $($argument),*);
        $name::<Q5_0>(DType::Q5_0, $($argument),*);
        $name::<Q5_1>(DType::Q5_1, $($argument),*);
        $name::<Q2K>(DType::Q2K, $($argument),*);
        $name::<Q3K>(DType::Q3K, $($argument),*);
        $name::<Q4K>(DType::Q4K, $($argument),*);
        $name::<Q5K>(DType::Q5K, $($argument),*);
        $name::<Q6K>(DType::Q6K, $($argument),*);
    };
}

/// Blocks of random bits, every integer, scale and minimum among them; their f16 factors are small numbers.
/// Beside them, the weights that they are.
fn blocks<T: Packed>(dtype: DType, rng: &mut SmallRng, count: usize) -> (Vec<T>, Vec<f32>) {
    let (elements, size) = dtype.block();
    assert_eq!(size, size_of::<T>());
    let (mut blocks, mut values) = (Vec::with_capacity(count), vec![0.0; count * elements]);
    let mut rows = Rows::zeros("w", dtype, count * elements, Mode::Fast).unwrap();
    for _ in 0..count {
        let mut bytes: Vec<u8> = (0..size).map(|_| rng.random()).collect();
        for at in dtype.factors() {
            let exponent = rng.random_range(8..16u16);
            let bits = rng.random::<u16>() & 0x83ff | exponent << 10;
            bytes[*at..at + 2].copy_from_slice(&bits.to_le_bytes());
        }
        rows.write(dtype, blocks.len() * elements, &bytes).unwrap();
        // SAFETY: `Packed` is made of bytes, and these are as many.
        blocks.push(unsafe { bytes.as_ptr().cast::<T>().read() });
    }
    rows.read(0, &mut values);
    (blocks, values)
}

/// This processor's instructions give what the definition gives. Integers are exact; what is left are the roundings of some
/// hundred f32 additions: 32 of them, of all terms' magnitudes. A weight's terms, its integer's part and its minimum, are at most
/// some of the largest weights of its group. Both are the product, within the rounding of activations.
#[test]
fn instructions_give_what_the_definition_gives() {
    fn check<T: Packed>(dtype: DType, rng: &mut SmallRng) {
        let block = dtype.block().0;
        for (m, columns, n) in [(1, 32, 1), (2, 256, 3), (5, 288, 9), (33, 1056, 6)] {
            let k = columns / block.min(columns) * block;
            let x: Vec<f32> = (0..m * k).map(|_| rng.random_range(-2.0..2.0)).collect();
            let (w, values) = blocks::<T>(dtype, rng, n * k / block);
            let (mut wanted, mut got) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
            let mut space = Activations::default();
            linear((m, k, n), Chosen::Portable(Portable), &x, &w, &mut wanted, &mut space);
            linear((m, k, n), Chosen::get(), &x, &w, &mut got, &mut space);
            let largest = |values: &[f32]| values.iter().fold(0f32, |m, v| m.max(v.abs()));
            for (i, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
                let (x, w) = (&x[i / n * k..][..k], &values[i % n * k..][..k]);
                let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let (mut terms, mut rounded) = (0.0, 0.0);
                for (x, w) in x.chunks(GROUP).zip(w.chunks(GROUP)) {
                    terms += x.iter().map(|x| 3.0 * largest(w) * x.abs()).sum::<f32>();
                    rounded += w.iter().map(|w| w.abs()).sum::<f32>() * largest(x) / 254.0;
                }
                let summed = terms * 32.0 * f32::EPSILON;
                let what = format!("{} [{m}, {k}] by [{n}, {k}], element {i}", dtype.name());
                assert!((got - wanted).abs() <= summed, "{what} is {got}, expected {wanted} within {summed}");
                let error = (f64::from(*got) - exact).abs() as f32;
                assert!(error <= rounded + summed, "{what} is {got}, expected {exact} within {rounded}");
            }
        }
    }
    let mut rng = seeded(40);
    every_type!(check(&mut rng));
}

/// A value that is not a number, or not finite, is not lost on its way through integers.
#[test]
fn what_is_not_finite_stays_so() {
    fn check<T: Packed>(dtype: DType, rng: &mut SmallRng) {
        let k = 512;
        let (w, _) = blocks::<T>(dtype, rng, k / dtype.block().0);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![0.5; 5 * k];
            x[2 * k + 300] = bad;
            for arch in [Chosen::Portable(Portable), Chosen::get()] {
                let mut out = [0.0; 5];
                linear((5, k, 1), arch, &x, &w, &mut out, &mut Activations::default());
                assert_eq!(out.map(f32::is_nan), [false, false, true, false, false], "{} {bad}", dtype.name());
            }
        }
    }
    let mut rng = seeded(41);
    every_type!(check(&mut rng));
}

/// Within half a step of a group's own; a step is the largest magnitude over 127.
#[test]
fn activations_are_rounded_to_the_nearest() {
    let mut rng = seeded(42);
    let k = 9 * GROUP;
    let mut x: Vec<f32> = (0..2 * k).map(|_| rng.random_range(-3.0..3.0)).collect();
    x[..GROUP].fill(0.0);
    x[GROUP..2 * GROUP].fill(1e-38);
    for arch in [Chosen::Portable(Portable), Chosen::get()] {
        let mut space = Activations::default();
        let supers = space.round(arch, &x, k);
        assert_eq!(supers.len(), 4);
        for (i, group) in x.chunks(GROUP).enumerate() {
            let (row, g) = (i / 9, i % 9);
            let (x, g) = (&supers[row * 2 + g / 8], g % 8);
            let largest = group.iter().fold(0f32, |m, x| m.max(x.abs()));
            let step = x.scales[g];
            assert!((step - largest / 127.0).abs() <= 1e-30, "{step} for {largest}");
            let mut sums = [0; 2];
            for (j, (value, integer)) in group.iter().zip(x.integers[g]).enumerate() {
                let error = (value - f32::from(integer) * step).abs();
                assert!(error <= step * 0.5001 + 1e-30, "{value} became {integer} of {step}");
                sums[j / 16] += i16::from(integer);
            }
            assert_eq!((x.sums[g], &x.halves[2 * g..2 * g + 2]), (f32::from(sums[0] + sums[1]) * step, &sums[..]));
        }
        // Groups that are not there.
        assert_eq!(supers[1].scales[1..], [0.0; 7]);
        assert_eq!(supers[3].integers[7], [0; GROUP]);
    }
}
