//! Uniform quantization: which grid a group of weights is put on.

use half::f16;
use lantern_graph::{Error, Result};

use super::range::{Candidate, Range, best_of, best_share, percentile};
use crate::distribution::Scan;
use crate::grid::{Codes, Grid};
use crate::theory::{best_step, check_bits};

/// Which weights share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    Tensor,
    /// A row: one output channel.
    Channel,
    /// So many neighbours in a row; the last group of a row may be shorter.
    Group(usize),
}

impl Granularity {
    /// # Errors
    /// `compress.group`.
    pub fn check(self) -> Result<()> {
        if self == Self::Group(0) {
            return Err(Error::new("compress.group", "groups of 0 weights", "share a scale among 1 weight or more"));
        }
        Ok(())
    }

    /// Neighbours in a row of `n` that share a scale.
    pub fn group(self, n: usize) -> usize {
        match self {
            Self::Group(size) => size.clamp(1, n.max(1)),
            Self::Tensor | Self::Channel => n.max(1),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// No zero point.
    Symmetric(Codes),
    /// Codes from 0 to 2ᵇ − 1, and a zero point among them: 0 is always a level.
    Asymmetric,
}

/// What a scale is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    F32,
    /// As GGUF's blocks hold it.
    F16,
}

impl Scale {
    fn bits(self) -> f64 {
        match self {
            Self::F32 => 32.0,
            Self::F16 => 16.0,
        }
    }

    /// As it is stored; 1 for what would be nothing, such as the scale of zeros.
    fn stored(self, scale: f64) -> f64 {
        let stored = match self {
            Self::F32 => f64::from(scale as f32),
            Self::F16 => f64::from(f16::from_f64(scale).to_f32()),
        };
        let is_usable = (stored as f32).is_normal();
        if is_usable { stored } else { 1.0 }
    }
}

/// How groups of weights get their grids.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uniform {
    /// 2 to 8.
    pub bits: u32,
    pub symmetry: Symmetry,
    pub granularity: Granularity,
    pub range: Range,
    pub scale: Scale,
    /// The scale may be negative, so that the longer half of a two's complement grid lies where the longer tail of the weights
    /// is: half a bit at 2 bits, and free, since files hold the scale's sign. Textbook grids have it positive.
    pub either_sign: bool,
}

/// Groups up to this size try ranges on their values; for larger ones a search on their histogram costs less.
const DIRECT: usize = 1 << 15;

impl Uniform {
    /// The paper's quantizer, and a textbook's: two's complement codes, scales positive and f32.
    pub fn symmetric(bits: u32, granularity: Granularity, range: Range) -> Self {
        let symmetry = Symmetry::Symmetric(Codes::Integer);
        Self { bits, symmetry, granularity, range, scale: Scale::F32, either_sign: false }
    }

    pub fn asymmetric(bits: u32, granularity: Granularity, range: Range) -> Self {
        Self { symmetry: Symmetry::Asymmetric, ..Self::symmetric(bits, granularity, range) }
    }

    /// What GGUF's blocks can hold: scales in f16, of either sign.
    pub fn gguf(bits: u32, granularity: Granularity, range: Range) -> Self {
        Self { scale: Scale::F16, either_sign: true, ..Self::symmetric(bits, granularity, range) }
    }

    /// # Errors
    /// `compress.bits`, `compress.group`, `compress.range`.
    pub fn check(&self) -> Result<()> {
        check_bits(self.bits)?;
        self.granularity.check()?;
        self.range.check()
    }

    /// Bits of a group's scale and zero point.
    pub fn group_bits(&self) -> f64 {
        let zero_point = if self.symmetry == Symmetry::Asymmetric { f64::from(self.bits) } else { 0.0 };
        self.scale.bits() + zero_point
    }

    /// The grid for a group of finite values.
    pub fn fit(&self, values: &[f32]) -> Grid {
        match self.symmetry {
            Symmetry::Symmetric(codes) => self.fit_symmetric(values, codes),
            Symmetry::Asymmetric => self.fit_asymmetric(values),
        }
    }

    fn fit_symmetric(&self, values: &[f32], codes: Codes) -> Grid {
        let (low, high) = codes.ends(self.bits);
        let grid = |scale: f64| codes.grid(self.bits, self.scale.stored(scale));
        let extreme = values.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
        let extreme = f64::from(extreme);
        let widest = if self.either_sign { extreme / f64::from(low) } else { extreme.abs() / f64::from(high) };
        let error = |grid: &Grid| grid.weighted_error(values, self.range.clipped_weight());
        let signs: &[f64] = if self.either_sign { &[1.0, -1.0] } else { &[1.0] };
        match self.range {
            _ if widest == 0.0 => grid(widest),
            Range::MinMax => grid(widest),
            Range::Percentile(p) => {
                let mut magnitudes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                grid(f64::from(percentile(&mut magnitudes, p)) / f64::from(high))
            }
            Range::Mse if values.len() > DIRECT => {
                let searched = signs.iter().filter_map(|sign| Some(grid(sign * self.searched(values, codes, *sign)?)));
                self.fitted(values, best_of(searched.chain([grid(widest)]), error).expect("min-max is one").of)
            }
            Range::Mse | Range::Sqnr { .. } => {
                let of_sign = |sign: &f64| {
                    let share = best_share(|share| error(&grid(sign * widest * share))).of;
                    self.fitted(values, grid(sign * widest * share))
                };
                best_of(signs.iter().map(of_sign), error).expect("one sign is tried").of
            }
        }
    }

    /// The scale fitted to the codes that the values have, as often as that makes the error smaller.
    fn fitted(&self, values: &[f32], grid: Grid) -> Grid {
        let candidate = |of: Grid| Candidate { error: of.weighted_error(values, self.range.clipped_weight()), of };
        let mut best = candidate(grid);
        for _ in 0..8 {
            let scale = self.scale.stored(best.of.scale * best.of.fit(values).best().0);
            let next = candidate(Grid { scale, ..best.of });
            if next.error >= best.error {
                break;
            }
            best = next;
        }
        best.of
    }

    /// The best step for `sign` times the values, by their histogram.
    fn searched(&self, values: &[f32], codes: Codes, sign: f64) -> Option<f64> {
        let mut scan = Scan::default();
        if sign > 0.0 {
            scan.add(values);
        } else {
            scan.add(&values.iter().map(|v| -v).collect::<Vec<_>>());
        }
        Some(best_step(&scan.finish().ok()?.histogram, codes, self.bits).step)
    }

    fn fit_asymmetric(&self, values: &[f32]) -> Grid {
        let high = (1i32 << self.bits) - 1;
        let (least, greatest) = match self.range {
            Range::Percentile(p) => {
                let mut sorted = values.to_vec();
                (percentile(&mut sorted, 100.0 - p), percentile(&mut sorted, p))
            }
            _ => values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v))),
        };
        // Widened to hold 0.
        let (least, greatest) = (f64::from(least.min(0.0)), f64::from(greatest.max(0.0)));
        let between = |a: f64, b: f64| {
            let (least, greatest) = (least * a, greatest * b);
            let scale = self.scale.stored((greatest - least) / f64::from(high));
            Grid { scale, zero_point: ((-least / scale).round() as i32).clamp(0, high), low: 0, high }
        };
        if !matches!(self.range, Range::Mse | Range::Sqnr { .. }) {
            return between(1.0, 1.0);
        }
        let error = |a: f64, b: f64| between(a, b).weighted_error(values, self.range.clipped_weight());
        // Both ends together, then each alone around what was found.
        let both = best_share(|share| error(share, share)).of;
        let around = || (-10..=10).map(|i| (both * (1.0 + 0.03 * f64::from(i))).min(1.0));
        let a = best_of([both].into_iter().chain(around()), |a| error(*a, both)).expect("some are tried").of;
        let b = best_of([both].into_iter().chain(around()), |b| error(a, *b)).expect("some are tried").of;
        self.fitted(values, between(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B4: Uniform = Uniform {
        bits: 4,
        symmetry: Symmetry::Symmetric(Codes::Integer),
        granularity: Granularity::Channel,
        range: Range::MinMax,
        scale: Scale::F16,
        either_sign: true,
    };

    #[test]
    fn min_max_reaches_the_extreme_of_either_sign_and_zeros_stay_zeros() {
        for extreme in [3.0, -3.0] {
            let grid = B4.fit(&[0.1, extreme, -0.5]);
            assert!((grid.round(extreme.into()) - f64::from(extreme)).abs() < 2e-3, "{grid:?}");
        }
        for symmetry in [B4.symmetry, Symmetry::Asymmetric] {
            for range in [Range::MinMax, Range::Mse, Range::Percentile(50.0)] {
                let grid = Uniform { symmetry, range, ..B4 }.fit(&[0.0; 4]);
                assert_eq!((grid.scale, grid.round(0.0)), (1.0, 0.0), "{symmetry:?}, {range:?}");
            }
        }
        // Below f16's smallest: zero, not a division by it.
        assert_eq!(B4.fit(&[1e-12]).round(1e-12), 0.0);
    }

    #[test]
    fn a_searched_range_is_never_worse_than_min_max() {
        let values: Vec<f32> = (0..200).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(3)).collect();
        let many: Vec<f32> = values.iter().copied().cycle().take(2 * DIRECT).collect();
        for (values, symmetry) in [(&values, B4.symmetry), (&values, Symmetry::Asymmetric), (&many, B4.symmetry)] {
            for either_sign in [false, true] {
                for bits in 2..=8 {
                    let of = |range| Uniform { bits, range, symmetry, either_sign, ..B4 }.fit(values);
                    let [narrow, wide] = [Range::Mse, Range::MinMax].map(|range| of(range).squared_error(values));
                    assert!(narrow <= wide, "{bits} bits, {symmetry:?}: {narrow} {wide}");
                }
            }
        }
    }

    #[test]
    fn a_grid_holds_zero_and_its_ends() {
        let of =
            |symmetry, values: &[f32]| Uniform { symmetry, scale: Scale::F32, either_sign: false, ..B4 }.fit(values);
        let a = of(Symmetry::Asymmetric, &[-1.0, 0.2, 3.0]);
        assert_eq!((a.low, a.high, a.round(0.0)), (0, 15, 0.0));
        assert!((a.value(15) - a.value(0) - 4.0).abs() < 1e-5);
        assert_eq!((a.code(1e30), a.code(-1e30), a.code(f64::NAN)), (15, 0, 0));
        let s = of(Symmetry::Symmetric(Codes::Integer), &[0.5, -2.0]);
        assert_eq!((s.code(2.0), s.code(-2.0), s.code(-100.0)), (7, -7, -8));
    }

    #[test]
    fn bits_groups_and_ranges_out_of_range_are_refused() {
        for bits in [0, 1, 9, 40] {
            assert_eq!(Uniform { bits, ..B4 }.check().unwrap_err().code, "compress.bits");
        }
        let none = Uniform { granularity: Granularity::Group(0), ..B4 };
        assert_eq!(none.check().unwrap_err().code, "compress.group");
        for range in [Range::Percentile(0.0), Range::Percentile(f64::NAN), Range::Sqnr { clipped_weight: -1.0 }] {
            assert_eq!(Uniform { range, ..B4 }.check().unwrap_err().code, "compress.range");
        }
        assert_eq!((Granularity::Channel.group(7), Granularity::Group(32).group(7)), (7, 7));
    }
}
