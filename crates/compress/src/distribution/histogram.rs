//! A tensor's values as a distribution.

use super::{Distribution, Moments};

/// Values between `low` and `high`, magnitudes of one sign, spread evenly over it; all the same where both are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bins {
    pub low: f64,
    pub high: f64,
    pub count: u64,
}

/// Piecewise constant density and points of mass, on both sides of zero.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// Values > 0, then values < 0 by magnitude.
    sides: [Side; 2],
    zeros: f64,
    kurtosis: f64,
}

#[derive(Debug, Clone)]
struct Side {
    /// Ascending, apart.
    bins: Vec<Bins>,
    /// Moments of bin i and all after it, of the whole histogram's mass 1; one more entry, of nothing.
    tails: Vec<Moments>,
    /// Second moments of the bins before bin i.
    heads: Vec<f64>,
    /// The first bin that ends at or after i · reach / SLOTS: binary searches start in a few bins instead of all.
    slots: Vec<u32>,
    reach: f64,
    /// 1 / number of values.
    unit: f64,
}

const SLOTS: usize = 2048;

impl Histogram {
    /// Of `positive` values, `negative` ones by magnitude, both ascending and apart, and `zeros`. At least one value is not
    /// zero. `kurtosis` is known from elsewhere, and more precisely.
    pub fn new(positive: Vec<Bins>, negative: Vec<Bins>, zeros: u64, kurtosis: f64) -> Self {
        let values: u64 = positive.iter().chain(&negative).map(|b| b.count).sum::<u64>() + zeros;
        let unit = 1.0 / values as f64;
        Self { sides: [Side::new(positive, unit), Side::new(negative, unit)], zeros: zeros as f64 * unit, kurtosis }
    }

    /// Bins, of both sides.
    pub fn bins(&self) -> usize {
        self.sides.iter().map(|s| s.bins.len()).sum()
    }

    /// The share of values that are 0.
    pub fn zeros(&self) -> f64 {
        self.zeros
    }
}

impl Side {
    fn new(bins: Vec<Bins>, unit: f64) -> Self {
        let mut tails = vec![Moments::ZERO; bins.len() + 1];
        for (i, bin) in bins.iter().enumerate().rev() {
            tails[i] = tails[i + 1] + part(bin, bin.low, unit);
        }
        let before = |sum: &mut f64, bin: &Bins| Some(std::mem::replace(sum, *sum + part(bin, bin.low, unit).second));
        let heads = bins.iter().scan(0.0, before).collect();
        let reach = bins.last().map_or(0.0, |b| b.high);
        let first = |i: usize| bins.partition_point(|b| b.high < reach * i as f64 / SLOTS as f64) as u32;
        let slots = (0..=SLOTS).map(first).collect();
        Self { bins, tails, heads, slots, reach, unit }
    }

    /// The bin in which `a` lies, or the first behind it.
    fn place(&self, a: f64) -> usize {
        // Not `a >= reach`: the last point of mass may lie there.
        if a > self.reach || self.bins.is_empty() {
            return self.bins.len();
        }
        let slot = (a / self.reach * SLOTS as f64) as usize;
        // One slot more on each side: the quotient is rounded.
        let from = self.slots[slot.saturating_sub(1).min(SLOTS)] as usize;
        let to = (self.slots[(slot + 2).min(SLOTS)] as usize + 1).min(self.bins.len());
        from + self.bins[from..to].partition_point(|b| b.high < a)
    }

    fn above(&self, a: f64) -> Moments {
        let i = self.place(a);
        match self.bins.get(i) {
            Some(bin) if bin.low < a => self.tails[i + 1] + part(bin, a, self.unit),
            _ => self.tails[i],
        }
    }

    fn energy_within(&self, a: f64) -> f64 {
        let i = self.place(a);
        match (self.bins.get(i), self.bins.last()) {
            (Some(bin), _) => {
                let inside =
                    if bin.low < a { (part(bin, bin.low, self.unit) - part(bin, a, self.unit)).second } else { 0.0 };
                self.heads[i] + inside
            }
            (None, Some(last)) => self.heads[i - 1] + part(last, last.low, self.unit).second,
            (None, None) => 0.0,
        }
    }
}

/// Moments of a bin's values from `a` on, low ≤ a ≤ high.
fn part(bin: &Bins, a: f64, unit: f64) -> Moments {
    let whole = bin.count as f64 * unit;
    let mass = if bin.high > bin.low { whole * (bin.high - a) / (bin.high - bin.low) } else { whole };
    let (low, high) = (a, bin.high);
    Moments { mass, first: mass * 0.5 * (low + high), second: mass * (low * low + low * high + high * high) / 3.0 }
}

impl Distribution for Histogram {
    fn density(&self, w: f64) -> f64 {
        let side = &self.sides[usize::from(w < 0.0)];
        let i = side.bins.partition_point(|b| b.high < w.abs());
        match side.bins.get(i) {
            Some(bin) if bin.low <= w.abs() => bin.count as f64 * side.unit / (bin.high - bin.low),
            _ => 0.0,
        }
    }

    /// Zeros lie on both sides, half of them each: no search has a boundary there.
    fn above(&self, a: f64) -> Moments {
        let zeros = if a == 0.0 { 0.5 * self.zeros } else { 0.0 };
        let tail = self.sides[0].above(a);
        Moments { mass: tail.mass + zeros, ..tail }
    }

    fn below(&self, a: f64) -> Moments {
        let zeros = if a == 0.0 { 0.5 * self.zeros } else { 0.0 };
        let tail = self.sides[1].above(a);
        Moments { mass: tail.mass + zeros, ..tail }
    }

    fn energy_within(&self, a: f64) -> f64 {
        self.sides.iter().map(|side| side.energy_within(a)).sum()
    }

    fn is_symmetric(&self) -> bool {
        false
    }

    fn reach(&self) -> f64 {
        self.sides[0].reach.max(self.sides[1].reach)
    }

    fn pieces(&self) -> Option<usize> {
        Some(self.bins())
    }

    fn kurtosis(&self) -> f64 {
        self.kurtosis
    }
}
