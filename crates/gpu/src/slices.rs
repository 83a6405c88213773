//! A run in slices: how large they are, and what was submitted and is not awaited yet.
//!
//! A run's last slice is not awaited, so that a token costs one round trip to the device. What a session leaves there is
//! never more than one slice in all: whoever comes next does not wait behind a heap of it.

use std::cell::RefCell;
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

/// What a session brings to each of its runs.
pub struct Slices {
    pub queue: Queue,
    member: Member,
    unawaited: Vec<(PlanPace, u64)>,
    first_ms: f64,
    last_ms: f64,
}

impl Slices {
    pub fn new(queue: &Queue, class: Class) -> Slices {
        let member = queue.join(class);
        Slices { queue: queue.clone(), member, unawaited: Vec::new(), first_ms: 0.0, last_ms: 0.0 }
    }

    pub fn class(&self) -> Class {
        self.member.class()
    }

    /// Operations of the next slice.
    pub fn budget(&self, pace: &PlanPace) -> u64 {
        pace.borrow().slice_flops(self.queue.slice_ms(self.class(), ALONE_MS))
    }

    /// Whether what is on its way must be awaited before so many operations more.
    pub fn is_full(&self, flops: u64, budget: u64) -> bool {
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
    }

    /// All of it is done now: its plans learn how long that took.
    pub fn finished(&mut self) {
        let (ms, total) = (self.queue.now_ms() - self.first_ms, self.on_its_way());
        for (pace, flops) in self.unawaited.drain(..) {
            pace.borrow_mut().measured(flops, ms * flops as f64 / total as f64);
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
