//! How much work makes a slice of so many milliseconds, learnt from the slices that were done.

/// Weight of what was measured before, each time something is measured.
const MEMORY: f64 = 0.75;
/// A slice is never more than so many times what was guessed or measured, nor less than the guess through the other.
const MOST: f64 = 8.0;
const LEAST: u64 = 64;

/// Time is taken to be `overhead + work / rate`: the overhead is a device's answer, some milliseconds in a browser, and a
/// slice must not shrink because of it. Both are fitted by least squares over what was measured, the older the less.
#[derive(Debug, Clone)]
pub struct Pace {
    guess: u64,
    /// Weighted sums of 1, x, y, x², x y: x in guesses, y in milliseconds.
    sums: [f64; 5],
}

impl Pace {
    /// `guess`: floating-point operations of a slice before anything was measured.
    pub fn new(guess: u64) -> Self {
        Self { guess: guess.max(1), sums: [0.0; 5] }
    }

    /// A slice of so many operations took so long. A clock that is too coarse to tell says 0, which says nothing.
    pub fn measured(&mut self, flops: u64, ms: f64) {
        let x = flops as f64 / self.guess as f64;
        if !(x > 0.0 && ms > 0.0 && ms.is_finite()) {
            return;
        }
        for (sum, new) in self.sums.iter_mut().zip([1.0, x, ms, x * x, x * ms]) {
            *sum = *sum * MEMORY + new;
        }
    }

    /// Operations of a slice that should take so long.
    pub fn slice_flops(&self, slice_ms: f64) -> u64 {
        let [n, x, y, xx, xy] = self.sums;
        if n == 0.0 {
            return self.guess;
        }
        let (spread, slope) = (xx - x * x / n, xy - x * y / n);
        // Slices of one size tell the sum of both; all of it is taken for work.
        let fitted = spread > 1e-3 * xx && slope > 0.0;
        let ms_per_guess = if fitted { (slope / spread).min(y / x) } else { y / x };
        let overhead_ms = ((y - ms_per_guess * x) / n).max(0.0);
        // Where the answer alone takes as long as the slice should, work takes half as long.
        let work_ms = (slice_ms - overhead_ms).max(slice_ms / 2.0);
        // From what was measured step by step: a fast device gets there in a few, and a wrong time does no great harm.
        let guesses = (work_ms / ms_per_guess).min(MOST * (x / n).max(1.0));
        ((self.guess as f64 * guesses) as u64).max((self.guess / LEAST).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slice it settles on for a device of a rate (operations a millisecond) and an overhead.
    fn settled(guess: u64, rate: f64, overhead_ms: f64, slice_ms: f64) -> u64 {
        let mut pace = Pace::new(guess);
        for _ in 0..40 {
            let flops = pace.slice_flops(slice_ms);
            pace.measured(flops, overhead_ms + flops as f64 / rate);
        }
        pace.slice_flops(slice_ms)
    }

    #[test]
    fn slices_take_as_long_as_they_should() {
        for (rate, slice_ms) in [(1e8, 8.0), (2e9, 8.0), (1e8, 50.0), (3e7, 8.0)] {
            let flops = settled(10_000_000_000, rate, 0.0, slice_ms) as f64;
            let wanted = (rate * slice_ms).max(1e10 / 64.0);
            assert!((flops / wanted - 1.0).abs() < 0.05, "{flops} for {wanted}");
        }
    }

    /// A card a thousand times faster than what was guessed: in a few slices they are as long as they should be.
    #[test]
    fn a_fast_device_gets_there_step_by_step() {
        let (mut pace, rate) = (Pace::new(10_000_000_000), 2e11);
        let mut slices = Vec::new();
        for _ in 0..6 {
            let flops = pace.slice_flops(50.0);
            pace.measured(flops, 0.1 + flops as f64 / rate);
            slices.push(flops);
        }
        assert!(slices.windows(2).all(|two| two[1] <= 8 * two[0]), "{slices:?}");
        assert!((slices[5] as f64 / (rate * 50.0) - 1.0).abs() < 0.1, "{slices:?}");
    }

    /// A browser may take longer to answer than a slice should: half the time is work all the same.
    #[test]
    fn a_slow_answer_does_not_shrink_the_work() {
        for (overhead_ms, work_ms) in [(2.0, 6.0), (20.0, 4.0)] {
            let flops = settled(10_000_000_000, 5e8, overhead_ms, 8.0) as f64;
            assert!((flops / (5e8 * work_ms) - 1.0).abs() < 0.1, "{flops} at {overhead_ms} ms");
        }
    }

    #[test]
    fn before_and_without_a_clock_the_guess_holds() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.slice_flops(8.0), 1000);
        pace.measured(1000, 0.0);
        pace.measured(0, 5.0);
        assert_eq!(pace.slice_flops(8.0), 1000);
        pace.measured(1000, 1e9);
        assert_eq!(pace.slice_flops(8.0), 15);
    }

    #[test]
    fn a_slower_part_of_the_work_is_noticed() {
        let mut pace = Pace::new(1_000_000);
        for _ in 0..20 {
            let flops = pace.slice_flops(8.0);
            pace.measured(flops, flops as f64 / 1e5);
        }
        let mut last = 0.0;
        for _ in 0..20 {
            let flops = pace.slice_flops(8.0);
            last = flops as f64 / 1e4;
            pace.measured(flops, last);
        }
        assert!((7.0..9.0).contains(&last), "{last} ms");
    }
}
