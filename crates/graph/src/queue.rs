//! One queue an engine: whose slice of work the device does next.
//!
//! Work comes in slices of some milliseconds. Before each, an executor asks for a turn, and drops it when the slice is done.
//! The most urgent class that waits goes first, within a class whoever has waited longest. Whoever waits longer than its
//! class has patience goes before all that; so a class gets its turn at least that often, whatever else there is.
//!
//! What must stay true: each time a frame asks, it waits for at most one slice of a lower class, the one at work or an
//! impatient one, never for both; who stops waiting is out at once; nothing here needs a timer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::{Cancel, Result};

/// What work is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What a camera or a moving hand waits for: late is lost.
    Frame,
    /// A token of an answer.
    Token,
    /// A picture that is computed once.
    Picture,
    /// Steps of training: as many as there is time for.
    Training,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Frame, Class::Token, Class::Picture, Class::Training];

    /// How long work of this class waits before its turn comes ahead of its class. With slices of 8 ms, waiting classes
    /// take at most 8 + 4 + 2 slices out of 50 of a camera that leaves nothing over.
    fn patience_ms(self) -> f64 {
        match self {
            Class::Frame => f64::INFINITY,
            Class::Token => 50.0,
            Class::Picture => 100.0,
            Class::Training => 200.0,
        }
    }
}

/// Milliseconds since any fixed moment.
pub type Clock = Rc<dyn Fn() -> f64>;

/// How long a slice should take where something more urgent may come: half a frame of 60 a second.
const SLICE_MS: f64 = 8.0;

/// The queue. Clones are the same queue.
#[derive(Clone)]
pub struct Queue(Rc<Inner>);

struct Inner {
    clock: Clock,
    line: RefCell<Line>,
}

#[derive(Default)]
struct Line {
    /// Of the slice at work.
    at_work: Option<Class>,
    /// In the order of their coming.
    waiting: Vec<Ticket>,
    next: u64,
    /// Runs between two of their slices, by class.
    pausing: [usize; Class::ALL.len()],
    /// Sessions there are of each class.
    members: [usize; Class::ALL.len()],
}

struct Ticket {
    number: u64,
    class: Class,
    since_ms: f64,
    waker: Waker,
    /// The turn is its own; it has not heard of it yet.
    granted: bool,
    /// A slice of a lower class was at work when it came, or has gone before it since.
    gave_way: bool,
}

impl Line {
    /// Gives the turn to whoever is next, if it is free.
    fn grant(&mut self, now_ms: f64) {
        if self.at_work.is_some() {
            return;
        }
        let Some(next) = self.impatient(now_ms).or_else(|| self.most_urgent()) else { return };
        let ticket = &mut self.waiting[next];
        ticket.granted = true;
        ticket.waker.wake_by_ref();
        let class = ticket.class;
        self.at_work = Some(class);
        for other in self.waiting.iter_mut().filter(|other| other.class < class) {
            other.gave_way = true;
        }
    }

    /// None below a run that pauses: it will ask again at once.
    fn most_urgent(&self) -> Option<usize> {
        let pausing = Class::ALL.into_iter().find(|class| self.pausing[*class as usize] > 0);
        let next = (0..self.waiting.len()).min_by_key(|i| (self.waiting[*i].class, self.waiting[*i].number))?;
        pausing.is_none_or(|pausing| self.waiting[next].class <= pausing).then_some(next)
    }

    /// Whose patience ended first, unless a frame has given way already.
    fn impatient(&self, now_ms: f64) -> Option<usize> {
        if self.waiting.iter().any(|ticket| ticket.class == Class::Frame && ticket.gave_way) {
            return None;
        }
        let due_ms = |i: &usize| self.waiting[*i].since_ms + self.waiting[*i].class.patience_ms();
        (0..self.waiting.len()).filter(|i| due_ms(i) <= now_ms).min_by(|a, b| due_ms(a).total_cmp(&due_ms(b)))
    }
}

impl Queue {
    /// `clock` is asked when work comes and when a turn ends; it need not tick evenly.
    pub fn new(clock: Clock) -> Self {
        Self(Rc::new(Inner { clock, line: RefCell::default() }))
    }

    /// With the machine's clock, or, in a page, with one that stands still until the edge gives its own: then slices are as
    /// long as they are guessed to be, and nobody grows impatient.
    pub fn with_default_clock() -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let start = std::time::Instant::now();
            Self::new(Rc::new(move || start.elapsed().as_secs_f64() * 1e3))
        }
        #[cfg(target_arch = "wasm32")]
        Self::new(Rc::new(|| 0.0))
    }

    pub fn now_ms(&self) -> f64 {
        (self.0.clock)()
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `run.cancelled`, as soon as it is: also while it waits.
    pub async fn turn(&self, class: Class, cancel: &Cancel) -> Result<Turn> {
        let mut place = Place { queue: self, number: None };
        poll_fn(|context| place.poll(class, cancel, context)).await
    }

    /// Notes that there is a session whose work is of this class, for as long as the result lives.
    pub fn join(&self, class: Class) -> Member {
        self.0.line.borrow_mut().members[class as usize] += 1;
        Member { queue: self.clone(), class }
    }

    /// How long a slice of this class should take: 8 ms where something more urgent may come, else `alone_ms`.
    pub fn slice_ms(&self, class: Class, alone_ms: f64) -> f64 {
        let more_urgent = &self.0.line.borrow().members[..class as usize];
        if more_urgent.iter().any(|members| *members > 0) { SLICE_MS.min(alone_ms) } else { alone_ms }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.0.line.borrow().waiting.iter().filter(|ticket| !ticket.granted).count()
    }
}

/// Somebody's place in the line.
struct Place<'q> {
    queue: &'q Queue,
    /// `None` before it was taken, and when it is over.
    number: Option<u64>,
}

impl Place<'_> {
    fn poll(&mut self, class: Class, cancel: &Cancel, context: &mut Context) -> Poll<Result<Turn>> {
        // First the waker, then the look: who cancels in between wakes it.
        cancel.wake(context.waker());
        if let Err(error) = cancel.check() {
            return Poll::Ready(Err(error));
        }
        let inner = &self.queue.0;
        let number = match self.number {
            Some(number) => number,
            None => {
                let since_ms = (inner.clock)();
                let line = &mut *inner.line.borrow_mut();
                let number = line.next;
                line.next += 1;
                let gave_way = line.at_work.is_some_and(|at_work| at_work > class);
                let waker = context.waker().clone();
                line.waiting.push(Ticket { number, class, since_ms, waker, granted: false, gave_way });
                line.grant(since_ms);
                *self.number.insert(number)
            }
        };
        let line = &mut *inner.line.borrow_mut();
        let Some(at) = line.waiting.iter().position(|ticket| ticket.number == number) else { return Poll::Pending };
        if !line.waiting[at].granted {
            line.waiting[at].waker.clone_from(context.waker());
            return Poll::Pending;
        }
        line.waiting.remove(at);
        self.number = None;
        Poll::Ready(Ok(Turn { queue: self.queue.clone(), class }))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let now_ms = self.queue.now_ms();
        let line = &mut *self.queue.0.line.borrow_mut();
        let Some(at) = line.waiting.iter().position(|ticket| ticket.number == number) else { return };
        if line.waiting.remove(at).granted {
            line.at_work = None;
            line.grant(now_ms);
        }
    }
}

/// The right to one slice of work. Dropping it lets the next one begin.
#[must_use = "the turn ends when it is dropped"]
pub struct Turn {
    queue: Queue,
    class: Class,
}

impl Turn {
    /// Ends it in the midst of a run: until the result is dropped, which is when the run has its next turn, nothing less
    /// urgent begins. Whoever is more urgent does.
    pub fn pause(self) -> Pause {
        self.queue.0.line.borrow_mut().pausing[self.class as usize] += 1;
        Pause { queue: self.queue.clone(), class: self.class }
    }
}

/// Between two slices of a run.
#[must_use = "the pause ends when it is dropped"]
pub struct Pause {
    queue: Queue,
    class: Class,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let now_ms = self.queue.now_ms();
        let line = &mut *self.queue.0.line.borrow_mut();
        line.pausing[self.class as usize] -= 1;
        line.grant(now_ms);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now_ms = self.queue.now_ms();
        let line = &mut *self.queue.0.line.borrow_mut();
        line.at_work = None;
        line.grant(now_ms);
    }
}

/// A session of a class.
pub struct Member {
    queue: Queue,
    class: Class,
}

impl Member {
    pub fn class(&self) -> Class {
        self.class
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.queue.0.line.borrow_mut().members[self.class as usize] -= 1;
    }
}

/// The newest of what comes for one session, such as a camera's frames: one is at work, one waits, and one that comes while
/// another waits takes its place.
#[derive(Clone, Default)]
pub struct Newest(Rc<RefCell<Slot>>);

#[derive(Default)]
struct Slot {
    at_work: bool,
    /// The number of the one that waits.
    waiting: Option<(u64, Waker)>,
    next: u64,
}

impl Newest {
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until the one before is done; `None` when a newer one came meanwhile.
    ///
    /// # Errors
    /// `run.cancelled`.
    pub async fn enter(&self, cancel: &Cancel) -> Result<Option<Entered>> {
        let mut wait = NewestWait { newest: self, number: None };
        poll_fn(|context| wait.poll(cancel, context)).await
    }
}

struct NewestWait<'n> {
    newest: &'n Newest,
    number: Option<u64>,
}

impl NewestWait<'_> {
    fn poll(&mut self, cancel: &Cancel, context: &mut Context) -> Poll<Result<Option<Entered>>> {
        cancel.wake(context.waker());
        if let Err(error) = cancel.check() {
            return Poll::Ready(Err(error));
        }
        let slot = &mut *self.newest.0.borrow_mut();
        let number = match self.number {
            Some(number) => number,
            None => {
                slot.next += 1;
                if let Some((_, older)) = slot.waiting.replace((slot.next, context.waker().clone())) {
                    older.wake();
                }
                *self.number.insert(slot.next)
            }
        };
        match &mut slot.waiting {
            Some((waiting, waker)) if *waiting == number => {
                if slot.at_work {
                    waker.clone_from(context.waker());
                    return Poll::Pending;
                }
                slot.waiting = None;
                slot.at_work = true;
                Poll::Ready(Ok(Some(Entered(self.newest.clone()))))
            }
            _ => Poll::Ready(Ok(None)),
        }
    }
}

impl Drop for NewestWait<'_> {
    fn drop(&mut self) {
        let slot = &mut *self.newest.0.borrow_mut();
        slot.waiting.take_if(|(waiting, _)| Some(*waiting) == self.number);
    }
}

/// The one that is at work, until it is dropped.
pub struct Entered(Newest);

impl Drop for Entered {
    fn drop(&mut self) {
        let slot = &mut *self.0.0.borrow_mut();
        slot.at_work = false;
        if let Some((_, waker)) = &slot.waiting {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
