//! A run in slices: how large they are, and what was submitted and is not awaited yet.
//!
//! A run's last slice is not awaited, so that a token costs one round trip to the device. What a session leaves there is
//! never more than one slice in all: whoever comes next does not wait behind a heap of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lantern_graph::{Class, Member, Pace, Queue};

use crate::device::Gpu;

/// How long a slice should take where nothing more urgent may come: "stop" is heard so often. A token is one slice on any card
/// that holds its model, and so is a prompt's chunk on a fast one.
const ALONE_MS: f64 = 80.0;

/// A result that is read so soon after its run tells how long the run took.
const READ_AT_ONCE_MS: f64 = 4.0;

/// How fast a plan goes: other work has another rate.
pub type PlanPace = Rc<RefCell<Pace>>;

pub fn pace(gpu: &Gpu) -> PlanPace {
    Rc::new(RefCell::new(Pace::new(gpu.0.slice_flops.unwrap_or_else(|| gpu.first_slice_flops()))))
}

/// Slices that are done, and when they were.
type Landed = Rc<Cell<(u64, f64)>>;

/// What tells a session's slices, when a result has come, that all before it are done.
pub struct Landing {
    queue: Queue,
    slices: u64,
    landed: Landed,
}

impl Landing {
    pub fn now(&self) {
        if self.slices > self.landed.get().0 {
            self.landed.set((self.slices, self.queue.now_ms()));
        }
    }
}

/// What a session brings to each of its runs.
pub struct Slices {
    pub queue: Queue,
    member: Member,
    unawaited: Vec<(PlanPace, u64)>,
    /// How many slices were submitted, and of these how many are known to be done, and since when.
    submitted: u64,
    landed: Landed,
    first_ms: f64,
    last_ms: f64,
}

impl Slices {
    pub fn new(queue: &Queue, class: Class) -> Slices {
        let member = queue.join(class);
        Slices {
            queue: queue.clone(),
            member,
            unawaited: Vec::new(),
            submitted: 0,
            landed: Rc::default(),
            first_ms: 0.0,
            last_ms: 0.0,
        }
    }

    pub fn class(&self) -> Class {
        self.member.class()
    }

    /// Operations of the next slice.
    pub fn budget(&self, pace: &PlanPace) -> u64 {
        pace.borrow().slice_flops(self.queue.slice_ms(self.class(), ALONE_MS))
    }

    /// Whether what is on its way must be awaited before so many operations more.
    pub fn is_full(&mut self, flops: u64, budget: u64) -> bool {
        self.settle();
        let on_its_way = self.on_its_way();
        on_its_way > 0 && on_its_way.saturating_add(flops) > budget
    }

    fn on_its_way(&self) -> u64 {
        self.unawaited.iter().map(|(_, flops)| flops).sum()
    }

    pub fn submitted(&mut self, pace: &PlanPace, flops: u64) {
        self.last_ms = self.queue.now_ms();
        if self.unawaited.is_empty() {
            self.first_ms = self.last_ms;
        }
        self.unawaited.push((pace.clone(), flops));
        self.submitted += 1;
    }

    /// All of it is done now: its plans learn how long that took.
    pub fn finished(&mut self) {
        self.settle();
        self.done(self.unawaited.len(), self.queue.now_ms());
    }

    /// The first of what is on its way were done at that time.
    fn done(&mut self, count: usize, now_ms: f64) {
        let (ms, total) = (now_ms - self.first_ms, self.unawaited[..count].iter().map(|(_, flops)| flops).sum::<u64>());
        for (pace, flops) in self.unawaited.drain(..count) {
            pace.borrow_mut().measured(flops, ms * flops as f64 / total as f64);
        }
        self.first_ms = now_ms;
    }

    /// For a result of what was submitted so far, that will be read while other runs begin.
    pub fn landing(&self) -> Landing {
        Landing { queue: self.queue.clone(), slices: self.submitted, landed: self.landed.clone() }
    }

    /// What such results have told since.
    fn settle(&mut self) {
        let (slices, ms) = self.landed.get();
        let on_their_way = (self.submitted - slices.min(self.submitted)) as usize;
        if let Some(count) = self.unawaited.len().checked_sub(on_their_way).filter(|count| *count > 0) {
            self.done(count, ms);
        }
    }

    /// Whether a result that is asked for now will tell how long the work took.
    pub fn tells(&self) -> bool {
        self.queue.now_ms() - self.last_ms < READ_AT_ONCE_MS
    }

    /// It is done, nobody knows since when.
    pub fn forget(&mut self) {
        self.unawaited.clear();
    }
}
