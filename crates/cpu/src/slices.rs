//! A run in slices: a turn at the executor's queue for each, and a pause between two for whoever shares the thread.

use std::cell::RefCell;

use lantern_graph::{Cancel, Class, Member, Pace, Queue, Result, Turn};

use crate::Yield;

/// Operations of a slice until its plan was timed: some 20 ms in the page, where one thread does 3 to 5 GFLOP/s.
pub(crate) const GUESS_FLOPS: u64 = 80_000_000;
/// Where nothing more urgent may come: "stop" is heard so often.
const ALONE_MS: f64 = 20.0;

/// What a session brings to each of its runs.
pub(crate) struct Turns {
    queue: Queue,
    member: Member,
    yields: Option<Yield>,
    guess_flops: u64,
    /// Work done since the last pause; carried from run to run, since a small model's token is less than a slice.
    spent: u64,
}

impl Turns {
    pub fn new(queue: &Queue, class: Class, yields: Option<Yield>, guess_flops: u64) -> Turns {
        Turns { queue: queue.clone(), member: queue.join(class), yields, guess_flops, spent: 0 }
    }

    /// Of a plan that did not run yet.
    pub fn pace(&self) -> RefCell<Pace> {
        RefCell::new(Pace::new(self.guess_flops))
    }

    pub fn class(&self) -> Class {
        self.member.class()
    }

    /// The slices of a run, of a plan with that pace.
    pub fn slices<'r>(&'r mut self, pace: &'r RefCell<Pace>) -> Slices<'r> {
        Slices { budget: self.budget(pace), turns: self, pace, at_work: None }
    }

    fn budget(&self, pace: &RefCell<Pace>) -> u64 {
        pace.borrow().slice_flops(self.queue.slice_ms(self.class(), ALONE_MS))
    }
}

pub(crate) struct Slices<'r> {
    turns: &'r mut Turns,
    pace: &'r RefCell<Pace>,
    /// Operations from pause to pause.
    budget: u64,
    at_work: Option<Started>,
}

/// A slice that has begun.
struct Started {
    turn: Turn,
    at_ms: f64,
    spent: u64,
}

impl Slices<'_> {
    /// How much work may be done before this is asked again. Waits for a turn where a slice is to begin; `pausing` is told of
    /// each that is over.
    ///
    /// # Errors
    /// `run.cancelled`.
    pub async fn left(&mut self, cancel: &Cancel, pausing: impl FnOnce()) -> Result<u64> {
        let mut pause = None;
        if self.turns.spent >= self.budget {
            pause = self.end().map(Turn::pause);
            self.turns.spent = 0;
            pausing();
            if let Some(yields) = &self.turns.yields {
                yields().await;
            }
        }
        cancel.check()?;
        if self.at_work.is_none() {
            let turn = self.turns.queue.turn(self.turns.class(), cancel).await?;
            self.budget = self.turns.budget(self.pace);
            drop(pause);
            self.at_work = Some(Started { turn, at_ms: self.turns.queue.now_ms(), spent: self.turns.spent });
        }
        Ok(self.budget.saturating_sub(self.turns.spent))
    }

    pub fn done(&mut self, flops: u64) {
        self.turns.spent = self.turns.spent.saturating_add(flops);
    }

    /// The slice is over; gives its turn back.
    fn end(&mut self) -> Option<Turn> {
        let Started { turn, at_ms, spent } = self.at_work.take()?;
        self.pace.borrow_mut().measured(self.turns.spent - spent, self.turns.queue.now_ms() - at_ms);
        Some(turn)
    }
}

impl Drop for Slices<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
