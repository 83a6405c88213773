//! Several cores where threads share no memory: in the page, each Worker has a WebAssembly memory of its own.
//!
//! Each helper holds a share of a weight's rows and multiplies by it; activations go to all of them, and their parts of the
//! result come back. The engine's own thread holds every weight whole: it gathers rows, it swaps them, and it computes alone
//! where a helper fails. A share is made when a product first needs it.
//!
//! Rows are dealt out in stripes, so that whatever run of rows is asked for, each thread has about as much to do. A row's result
//! is the same whoever computes it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::{Rc, Weak};

use lantern_graph::{DType, Error, Result};

use crate::Mode;
use crate::kernels::product::{self, Scratch};
use crate::weights::Rows;

/// What a helper is told to do. One order at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order<'a> {
    /// Makes a share of zeros.
    Allocate {
        share: u32,
        dtype: DType,
        rows: usize,
        columns: usize,
    },
    /// File bytes of whole rows.
    Write {
        share: u32,
        first_row: usize,
        bytes: &'a [u8],
    },
    Free {
        share: u32,
    },
    /// `x [m, columns] · wᵀ` for `count` rows of the share, x being what was given last.
    Multiply {
        share: u32,
        m: usize,
        first_row: usize,
        count: usize,
    },
}

/// The threads beside this one, and the way to them.
pub trait Team {
    fn helpers(&self) -> usize;

    /// How many floats x may have, and a result; four times as many bytes may be written at once.
    fn room(&self) -> usize;

    /// Activations for all helpers, none of which is at work.
    fn give(&self, x: &[f32]);

    /// Begins an order at a helper that has finished the one before.
    fn begin(&self, helper: usize, order: &Order);

    /// Waits for its end; a product's result goes to `out`.
    ///
    /// # Errors
    /// The helper's own; `cpu.crew` for one that does not answer.
    fn finish(&self, helper: usize, out: &mut [f32]) -> Result<()>;
}

/// A helper's side.
#[derive(Default)]
pub struct Helper {
    /// With the elements of a row.
    shares: HashMap<u32, (Rows, DType, usize)>,
    scratch: Scratch,
}

impl Helper {
    /// Elements of a row of a share; none of one that is not there.
    pub fn columns(&self, share: u32) -> usize {
        self.shares.get(&share).map_or(0, |(_, _, columns)| *columns)
    }

    /// Does what it is told. `out` is as long as the product's result.
    ///
    /// # Errors
    /// `cpu.memory`; `cpu.crew` for a share that is not there.
    pub fn carry_out(&mut self, order: &Order, x: &[f32], out: &mut [f32]) -> Result<()> {
        match *order {
            Order::Allocate { share, dtype, rows, columns } => {
                let made = Rows::zeros("a share of a weight", dtype, rows * columns, Mode::Fast)?;
                self.shares.insert(share, (made, dtype, columns));
            }
            Order::Write { share, first_row, bytes } => {
                let (rows, dtype, columns) = self.shares.get_mut(&share).ok_or_else(gone)?;
                rows.write(*dtype, first_row * *columns, bytes)?;
            }
            Order::Free { share } => drop(self.shares.remove(&share)),
            Order::Multiply { share, m, first_row, count } => {
                let (rows, _, columns) = self.shares.get(&share).ok_or_else(gone)?;
                let sizes = (m, *columns, count);
                product::linear(&x[..m * columns], rows, first_row * columns, sizes, out, &mut self.scratch)?;
            }
        }
        Ok(())
    }
}

fn gone() -> Error {
    Error::new("cpu.crew", "a helper was asked for a share that it does not have", "report this")
}

/// Fewer multiplications than these are done before a helper has woken up.
const ALONE: usize = 1 << 18;

/// Rows of a stripe, at most.
const STRIPE: usize = 256;

/// How a weight's rows are dealt out: in stripes, in turns; the first to this thread, number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deal {
    stripe: usize,
    threads: usize,
}

impl Deal {
    fn new(rows: usize, threads: usize) -> Deal {
        Deal { stripe: rows.div_ceil(2 * threads).next_multiple_of(16).min(STRIPE), threads }
    }

    /// How many of the first `rows` are that thread's.
    fn before(&self, thread: usize, rows: usize) -> usize {
        let turn = self.stripe * self.threads;
        rows / turn * self.stripe + (rows % turn).saturating_sub(thread * self.stripe).min(self.stripe)
    }

    /// That thread's runs of rows among `rows`.
    fn runs(self, thread: usize, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first_turn = rows.start / (self.stripe * self.threads);
        (first_turn..)
            .map(move |turn| (turn * self.threads + thread) * self.stripe)
            .take_while(move |start| *start < rows.end)
            .map(move |start| start.max(rows.start)..(start + self.stripe).min(rows.end))
            .filter(|run| !run.is_empty())
    }
}

/// A weight as it lies at the helpers.
struct Share {
    /// Rows that were written since are other rows: the weight has moved (`Rc::make_mut`), and this no longer leads to it.
    rows: Weak<Rows>,
    number: u32,
    deal: Deal,
}

/// The helpers, and what they hold.
pub(crate) struct Crew {
    team: Rc<dyn Team>,
    shares: RefCell<HashMap<*const Rows, Share>>,
    last: Cell<u32>,
    /// A helper failed: from then on this thread is alone.
    broken: Cell<bool>,
    result: RefCell<Vec<f32>>,
}

/// A weight of `rows` rows of `columns`.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'r> {
    pub rows: &'r Rc<Rows>,
    pub dtype: DType,
    pub count: usize,
    pub columns: usize,
}

impl Crew {
    pub fn new(team: Rc<dyn Team>) -> Crew {
        Crew {
            team,
            shares: RefCell::default(),
            last: Cell::new(0),
            broken: Cell::new(false),
            result: RefCell::default(),
        }
    }

    pub fn threads(&self) -> usize {
        if self.broken.get() { 1 } else { 1 + self.team.helpers() }
    }

    /// `x [m, columns] · wᵀ` for `rows` of the weight, into out `[m, rows]`. False where it is not worth it or a helper failed: then
    /// nothing is computed.
    ///
    /// # Errors
    /// This thread's own.
    pub fn linear(
        &self,
        x: &[f32],
        weight: Stored,
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let (k, n) = (weight.columns, rows.len());
        if self.threads() == 1 || x.len() * n < ALONE || k > self.team.room() {
            return Ok(false);
        }
        let Ok(share) = self.share(weight) else {
            self.broken.set(true);
            return Ok(false);
        };
        let at_once = (self.team.room() / k.max(n)).max(1);
        for (x, out) in x.chunks(at_once * k).zip(out.chunks_mut(at_once * n)) {
            if !self.multiply(x, weight, &rows, &share, out, scratch)? {
                self.broken.set(true);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn multiply(
        &self,
        x: &[f32],
        weight: Stored,
        rows: &Range<usize>,
        &(number, deal): &(u32, Deal),
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let (k, n) = (weight.columns, rows.len());
        let m = x.len() / k;
        let theirs = |helper: usize| deal.before(helper + 1, rows.start)..deal.before(helper + 1, rows.end);
        self.team.give(x);
        for helper in 0..self.team.helpers() {
            let part = theirs(helper);
            let order = Order::Multiply { share: number, m, first_row: part.start, count: part.len() };
            self.team.begin(helper, &order);
        }
        let mut result = self.result.borrow_mut();
        let mut own = Ok(());
        for run in deal.runs(0, rows.clone()) {
            result.resize(m * run.len(), 0.0);
            own = own
                .and_then(|()| product::linear(x, weight.rows, run.start * k, (m, k, run.len()), &mut result, scratch));
            put(&result, 0..run.len(), out, n, run.start - rows.start);
        }
        let mut answered = true;
        for helper in 0..self.team.helpers() {
            let count = theirs(helper).len();
            result.resize(m * count, 0.0);
            answered &= self.team.finish(helper, &mut result).is_ok();
            let mut at = 0;
            for run in deal.runs(helper + 1, rows.clone()) {
                put(&result, at..at + run.len(), out, n, run.start - rows.start);
                at += run.len();
            }
        }
        own.map(|()| answered)
    }

    /// The number of a weight's shares, and how it was dealt out; made where it is not there.
    fn share(&self, weight: Stored) -> Result<(u32, Deal)> {
        let key = Rc::as_ptr(weight.rows);
        if let Some(share) = self.shares.borrow().get(&key).filter(|share| share.rows.strong_count() > 0) {
            return Ok((share.number, share.deal));
        }
        self.free()?;
        let (number, deal) = (self.last.get() + 1, Deal::new(weight.count, self.threads()));
        self.last.set(number);
        for helper in 0..self.team.helpers() {
            self.hand_out(weight, helper, number, deal)?;
        }
        let share = Share { rows: Rc::downgrade(weight.rows), number, deal };
        self.shares.borrow_mut().insert(key, share);
        Ok((number, deal))
    }

    fn hand_out(&self, weight: Stored, helper: usize, share: u32, deal: Deal) -> Result<()> {
        let thread = helper + 1;
        // Types that are kept as f32 are multiplied as f32.
        let dtype = if matches!(**weight.rows, Rows::F32(_)) { DType::F32 } else { weight.dtype };
        let (rows, columns) = (deal.before(thread, weight.count), weight.columns);
        self.order(helper, &Order::Allocate { share, dtype, rows, columns })?;
        let (block, block_bytes) = dtype.block();
        let at_once = (self.team.room() * 4 / (columns / block * block_bytes).max(1)).max(1);
        let mut first_row = 0;
        for run in deal.runs(thread, 0..weight.count) {
            for start in run.clone().step_by(at_once) {
                let count = at_once.min(run.end - start);
                let bytes = weight.rows.bytes_at(start * columns, count * columns);
                self.order(helper, &Order::Write { share, first_row, bytes })?;
                first_row += count;
            }
        }
        Ok(())
    }

    fn order(&self, helper: usize, order: &Order) -> Result<()> {
        self.team.begin(helper, order);
        self.team.finish(helper, &mut [])
    }

    /// Gives back the shares of weights that are gone.
    pub fn free(&self) -> Result<()> {
        let mut gone = Vec::new();
        self.shares.borrow_mut().retain(|_, share| {
            let there = share.rows.strong_count() > 0;
            gone.extend((!there).then_some(share.number));
            there
        });
        for share in gone {
            for helper in 0..self.team.helpers() {
                self.order(helper, &Order::Free { share })?;
            }
        }
        Ok(())
    }
}

/// Columns `from` of each row of `part` to the columns of `out`, rows of `n`, from `at` on.
fn put(part: &[f32], from: Range<usize>, out: &mut [f32], n: usize, at: usize) {
    let columns = part.len() / (out.len() / n).max(1);
    for (part, out) in part.chunks_exact(columns.max(1)).zip(out.chunks_exact_mut(n)) {
        out[at..at + from.len()].copy_from_slice(&part[from.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::Deal;

    #[test]
    fn every_row_is_one_threads_and_runs_follow_one_another() {
        for (rows, threads) in [(1, 2), (16, 3), (576, 2), (1536, 4), (49_152, 2), (1000, 7)] {
            let deal = Deal::new(rows, threads);
            for part in [0..rows, rows / 3..rows, rows / 5..rows / 2] {
                let mut seen = vec![0; rows];
                for thread in 0..threads {
                    let mut at = deal.before(thread, part.start);
                    for run in deal.runs(thread, part.clone()) {
                        assert_eq!(deal.before(thread, run.start), at, "{deal:?} {part:?}");
                        at += run.len();
                        run.for_each(|row| seen[row] += 1);
                    }
                    assert_eq!(deal.before(thread, part.end), at, "{deal:?} {part:?}");
                }
                for (row, times) in seen.into_iter().enumerate() {
                    assert_eq!(times, usize::from(part.contains(&row)), "{deal:?}, row {row} of {part:?}");
                }
            }
        }
    }

    #[test]
    fn threads_have_about_as_much_to_do() {
        for (rows, threads) in [(576, 2), (1536, 2), (2048, 4), (49_152, 2)] {
            let deal = Deal::new(rows, threads);
            let most = (0..threads).map(|thread| deal.before(thread, rows)).max().unwrap_or(0);
            assert!(most * threads <= rows * 9 / 8, "{rows} rows, {threads} threads: {most}");
        }
    }
}
