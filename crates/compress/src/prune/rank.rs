//! The k-th smallest magnitude of any number of values, exactly, in two passes and 256 KiB.
//!
//! The bits of a magnitude order like the magnitude: the first pass counts upper halves and finds the one in which the
//! k-th lies, the second counts the lower halves of those.

use super::Mask;
use std::cmp::Ordering;

const HALVES: usize = 1 << 16;

/// First the upper halves, then, after [`Self::refine`], the lower ones. Both passes see the same values.
pub struct RankSelect {
    /// How many come before the one looked for, among those counted.
    rank: u64,
    /// The upper half found.
    upper: Option<u32>,
    counts: Vec<u64>,
}

/// Where to cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// The k smallest are those below, and some of those at it. Infinite where all are.
    pub magnitude: f32,
    /// Of those at the cut still to come, so many do not belong to the k smallest: the first ones.
    pub keep: u64,
}

impl Cut {
    /// Drops the next values' share of the k smallest. The values come as they did in both passes.
    pub fn mask(&mut self, values: &[f32]) -> Mask {
        let keep = |v: &f32| match v.abs().total_cmp(&self.magnitude) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => {
                let keep = self.keep > 0;
                self.keep = self.keep.saturating_sub(1);
                keep
            }
        };
        Mask(values.iter().map(keep).collect())
    }
}

impl RankSelect {
    /// For the `k` smallest magnitudes.
    pub fn new(k: u64) -> Self {
        Self { rank: k, upper: None, counts: vec![0; HALVES] }
    }

    pub fn add(&mut self, values: &[f32]) {
        for value in values {
            let bits = value.abs().to_bits();
            match self.upper {
                None => self.counts[(bits >> 16) as usize] += 1,
                Some(upper) if bits >> 16 == upper => self.counts[(bits & 0xffff) as usize] += 1,
                Some(_) => {}
            }
        }
    }

    pub fn refine(self) -> Self {
        let (upper, rank, _) = self.find();
        Self { rank, upper: Some(upper), counts: vec![0; HALVES] }
    }

    pub fn finish(self) -> Cut {
        let (lower, rank, count) = self.find();
        match self.upper {
            Some(upper) if count > 0 => Cut { magnitude: f32::from_bits(upper << 16 | lower), keep: count - rank },
            _ => Cut { magnitude: f32::INFINITY, keep: 0 },
        }
    }

    /// The first half with more than `rank` values up to it, the rank within it, and its count.
    fn find(&self) -> (u32, u64, u64) {
        let mut rank = self.rank;
        for (half, count) in self.counts.iter().enumerate() {
            if rank < *count {
                return (half as u32, rank, *count);
            }
            rank -= count;
        }
        (HALVES as u32 - 1, rank, 0)
    }
}
