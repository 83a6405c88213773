//! The queue with a clock that stands until it is moved, and tasks that are polled by hand.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

struct Bench {
    queue: Queue,
    now: Rc<Cell<f64>>,
}

fn bench() -> Bench {
    let now = Rc::new(Cell::new(0.0));
    let clock = now.clone();
    Bench { queue: Queue::new(Rc::new(move || clock.get())), now }
}

impl Bench {
    fn pass(&self, ms: f64) {
        self.now.set(self.now.get() + ms);
    }

    fn ask(&self, class: Class) -> Task {
        Task::new(self.queue.clone(), class, Cancel::new())
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Somebody who waits for a turn; polled once when made.
struct Task {
    wait: Pin<Box<dyn Future<Output = Result<Turn>>>>,
    woken: Arc<Woken>,
    cancel: Cancel,
    turn: Option<Turn>,
}

impl Task {
    fn new(queue: Queue, class: Class, cancel: Cancel) -> Task {
        let inner = cancel.clone();
        let wait = Box::pin(async move { queue.turn(class, &inner).await });
        let mut task = Task { wait, woken: Arc::default(), cancel, turn: None };
        if let Poll::Ready(turn) = task.poll() {
            task.turn = Some(turn.unwrap());
        }
        task
    }

    fn poll(&mut self) -> Poll<Result<Turn>> {
        self.wait.as_mut().poll(&mut Context::from_waker(&Waker::from(self.woken.clone())))
    }

    /// Whether it has its turn: polled only where it was woken.
    fn works(&mut self) -> bool {
        if self.turn.is_none() && self.woken.0.swap(0, Ordering::Relaxed) > 0 {
            match self.poll() {
                Poll::Ready(turn) => self.turn = Some(turn.unwrap()),
                Poll::Pending => panic!("woken for nothing"),
            }
        }
        self.turn.is_some()
    }

    fn done(&mut self) {
        assert!(self.turn.take().is_some(), "it has no turn");
    }
}

#[test]
fn a_free_queue_gives_its_turn_at_once_and_to_one() {
    let bench = bench();
    let mut first = bench.ask(Class::Training);
    let mut second = bench.ask(Class::Frame);
    assert!(first.works() && !second.works());
    assert_eq!(bench.queue.waiting(), 1);
    first.done();
    assert!(second.works());
    second.done();
    assert_eq!(bench.queue.waiting(), 0);
}

#[test]
fn the_most_urgent_goes_first_and_equals_in_their_order() {
    let bench = bench();
    let mut at_work = bench.ask(Class::Training);
    let mut tasks: Vec<(usize, Task)> =
        [Class::Training, Class::Picture, Class::Token, Class::Picture, Class::Frame, Class::Token]
            .into_iter()
            .map(|class| bench.ask(class))
            .enumerate()
            .collect();
    at_work.done();
    let mut order = Vec::new();
    while let Some(at) = tasks.iter_mut().position(|(_, task)| task.works()) {
        let (number, mut task) = tasks.remove(at);
        order.push(number);
        task.done();
    }
    assert_eq!(order, [4, 2, 5, 1, 3, 0]);
}

/// A camera that leaves nothing over, and one task of each other class that asks again after every slice: all of them go on,
/// at least as often as their patience says, and no frame waits for two of their slices.
#[test]
fn nothing_starves_beside_a_camera_that_never_rests() {
    let bench = bench();
    let slice_ms = 8.0;
    let others = [Class::Token, Class::Picture, Class::Training];
    let mut camera = [bench.ask(Class::Frame), bench.ask(Class::Frame)];
    let mut tasks: Vec<Task> = others.map(|class| bench.ask(class)).into();
    let mut last_ms = [0.0f64; 3];
    let mut counts = [0usize; 3];
    let mut between_frames = 0;
    for _ in 0..5000 {
        if let Some(at) = camera.iter_mut().position(Task::works) {
            bench.pass(slice_ms);
            camera[at].done();
            camera[at] = bench.ask(Class::Frame);
            between_frames = 0;
        } else {
            let at = tasks.iter_mut().position(Task::works).expect("somebody works");
            bench.pass(slice_ms);
            tasks[at].done();
            tasks[at] = bench.ask(others[at]);
            counts[at] += 1;
            // All slices between two of its own, and those of the others that are overdue with it.
            let waited = bench.now.get() - last_ms[at];
            assert!(waited <= others[at].patience_ms() + 6.0 * slice_ms, "{:?} waited {waited} ms", others[at]);
            last_ms[at] = bench.now.get();
            between_frames += 1;
            assert_eq!(between_frames, 1, "a frame waits for two slices");
        }
    }
    assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > 100, "{counts:?}");
    assert!(counts.iter().sum::<usize>() < 5000 * 3 / 10, "{counts:?}");
}

/// An impatient one does not go before a frame that has waited for another's slice.
#[test]
fn a_frame_gives_way_once() {
    let bench = bench();
    let mut picture = bench.ask(Class::Picture);
    let mut training = bench.ask(Class::Training);
    bench.pass(1000.0);
    let mut frame = bench.ask(Class::Frame);
    picture.done();
    assert!(frame.works() && !training.works(), "the frame has waited for the picture's slice");
    let mut next = bench.ask(Class::Frame);
    frame.done();
    assert!(training.works(), "this frame has waited for no lower class yet");
    training.done();
    assert!(next.works());
}

#[test]
fn who_is_cancelled_leaves_the_queue_at_once() {
    let bench = bench();
    let mut at_work = bench.ask(Class::Frame);
    let mut waits = bench.ask(Class::Token);
    let mut behind = bench.ask(Class::Picture);
    waits.cancel.cancel();
    assert_eq!(waits.woken.0.load(Ordering::Relaxed), 1, "nobody's turn ended, and it was woken");
    let Poll::Ready(Err(error)) = waits.poll() else { panic!("it is cancelled") };
    assert!(error.is_cancelled());
    drop(waits);
    assert_eq!(bench.queue.waiting(), 1);
    at_work.done();
    assert!(behind.works());
    // Whoever comes cancelled does not even wait.
    let cancel = Cancel::new();
    cancel.cancel();
    let queue = bench.queue.clone();
    let mut late = Box::pin(async move { queue.turn(Class::Frame, &cancel).await.map(drop) });
    let Poll::Ready(Err(_)) = late.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!("cancelled") };
    assert_eq!(bench.queue.waiting(), 0);
}

/// A task may be dropped, by a page that closes, with a turn it has not heard of.
#[test]
fn a_turn_whose_owner_is_gone_passes_on() {
    let bench = bench();
    let mut at_work = bench.ask(Class::Frame);
    let chosen = bench.ask(Class::Token);
    let mut next = bench.ask(Class::Training);
    at_work.done();
    assert!(!next.works());
    drop(chosen);
    assert!(next.works());
}

/// A run between two of its slices, when the thread hears its messages: what comes then goes first if it is more urgent, and
/// what is less urgent does not slip in.
#[test]
fn a_run_that_pauses_is_not_overtaken_by_less() {
    let bench = bench();
    let mut token = bench.ask(Class::Token);
    let mut training = bench.ask(Class::Training);
    let pause = token.turn.take().unwrap().pause();
    assert!(!training.works());
    let mut frame = bench.ask(Class::Frame);
    assert!(frame.works(), "it is more urgent");
    let mut token = bench.ask(Class::Token);
    frame.done();
    assert!(token.works());
    drop(pause);
    assert!(!training.works());
    let pause = token.turn.take().unwrap().pause();
    bench.pass(1000.0);
    let mut token = bench.ask(Class::Token);
    assert!(training.works(), "its patience is over");
    training.done();
    assert!(token.works());
    drop(pause);
}

#[test]
fn slices_are_short_where_something_more_urgent_may_come() {
    let queue = bench().queue;
    let training = queue.join(Class::Training);
    assert_eq!(queue.slice_ms(Class::Training, 50.0), 50.0);
    let frame = queue.join(Class::Frame);
    assert_eq!(queue.slice_ms(Class::Training, 50.0), 8.0);
    assert_eq!((queue.slice_ms(Class::Token, 50.0), queue.slice_ms(Class::Frame, 50.0)), (8.0, 50.0));
    drop(frame);
    assert_eq!(queue.slice_ms(Class::Token, 50.0), 50.0);
    drop(training);
}

#[test]
fn of_the_frames_that_wait_the_newest_is_taken() {
    let newest = Newest::new();
    let cancel = Cancel::new();
    let mut context = Context::from_waker(Waker::noop());
    let enter = || {
        let (newest, cancel) = (newest.clone(), cancel.clone());
        Box::pin(async move { newest.enter(&cancel).await })
    };
    let mut first = enter();
    let Poll::Ready(Ok(Some(at_work))) = first.as_mut().poll(&mut context) else { panic!("it is free") };
    let (mut second, mut third) = (enter(), enter());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert!(third.as_mut().poll(&mut context).is_pending());
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(None))), "a newer one came");
    drop(second);
    assert!(third.as_mut().poll(&mut context).is_pending(), "the first is still at work");
    drop(at_work);
    let Poll::Ready(Ok(Some(at_work))) = third.as_mut().poll(&mut context) else { panic!("its turn") };
    let mut fourth = enter();
    assert!(fourth.as_mut().poll(&mut context).is_pending());
    cancel.cancel();
    assert!(matches!(fourth.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    drop((fourth, at_work));
}
