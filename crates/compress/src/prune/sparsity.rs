//! How many weights to drop, and among which.

use lantern_graph::{Error, Result};

use crate::cost::{Charge, FULL_BITS};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sparsity {
    /// This share is dropped, wherever.
    Share(f64),
    /// N:M: of every m neighbours in a row, n stay; of a shorter rest of a row as many as there are, n at most.
    NOfM { n: usize, m: usize },
}

impl Sparsity {
    /// What makes 16 bits a weight `bits`, the mask among them: 1 − bits / 16 where it is free.
    pub fn at_bits(bits: f64, charge: Charge) -> Self {
        Self::Share(1.0 - charge.keep(bits, FULL_BITS))
    }

    /// The share that is dropped.
    pub fn share(self) -> f64 {
        match self {
            Self::Share(share) => share,
            Self::NOfM { n, m } => 1.0 - n as f64 / m as f64,
        }
    }

    /// # Errors
    /// `compress.sparsity`.
    pub fn check(self) -> Result<()> {
        let (fits, what) = match self {
            Self::Share(share) => ((0.0..=1.0).contains(&share), format!("a share of {share} was to be pruned")),
            Self::NOfM { n, m } => (n > 0 && n <= m, format!("{n} of every {m} weights were to stay")),
        };
        if fits {
            return Ok(());
        }
        Err(Error::new("compress.sparsity", what, "ask for a share from 0 to 1, or for such as 2:4 or 4:8"))
    }

    /// As [`Self::check`], for rows of so many weights.
    ///
    /// # Errors
    /// `compress.sparsity`.
    pub(crate) fn check_rows(self, columns: usize) -> Result<()> {
        self.check()?;
        match self {
            Self::NOfM { n, m } if m > columns => {
                let cause = format!("{n} of every {m} weights were to stay, in rows of {columns}");
                Err(Error::new("compress.sparsity", cause, "ask for fewer neighbours, such as 2:4"))
            }
            _ => Ok(()),
        }
    }

    /// Weights that are dropped of `count`: of all there are, or of neighbours, up to m.
    pub(crate) fn dropped(self, count: usize) -> usize {
        match self {
            Self::Share(share) => (share * count as f64).round() as usize,
            Self::NOfM { n, .. } => count.saturating_sub(n),
        }
    }
}

/// Places of the `count` least of `scores`; of equals, the last.
pub(crate) fn least(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let by_score = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a));
    if (1..order.len()).contains(&count) {
        order.select_nth_unstable_by(count - 1, by_score);
    }
    order.truncate(count);
    order
}
