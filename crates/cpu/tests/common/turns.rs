//! Several sessions of one executor at once: whose slice is next, and that nobody's results change.
//!
//! The clock stands still, so that slices are as long as they are said to be, and all is counted in slices.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Queue, Session, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const WIDTH: usize = 256;
const ROWS: usize = 16;
/// As many as one layer of `chain` has: a slice a layer.
pub const SLICE_FLOPS: u64 = (2 * ROWS * WIDTH * WIDTH) as u64;

fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

/// x through so many layers, one after the other.
fn chain(layers: usize) -> Graph {
    let mut g = Graph::new();
    let mut x = g.input("x", [ROWS, WIDTH], DType::F32);
    let w = g.weight("w", &[WIDTH, WIDTH], DType::F32).unwrap();
    for _ in 0..layers {
        x = g.linear(x, w).unwrap();
    }
    g.output("y", x);
    g
}

struct Work<E: Executor> {
    session: E::Session,
    plan: <E::Session as Session>::Plan,
    bindings: Bindings,
}

impl<E: Executor> Work<E> {
    async fn new(executor: &E, class: Class, layers: usize, weights: &Rc<E::Weights>) -> Self {
        let graph = chain(layers);
        let mut session = executor.session(class);
        let plan = session.compile(&graph, weights, &Cancel::new()).await.unwrap();
        Work { session, plan, bindings: Bindings::new(&graph, &[]).unwrap() }
    }

    async fn run(&mut self, x: &[f32], slice: &mut dyn FnMut()) -> Vec<f32> {
        let inputs = [("x", Value::F32(x.to_vec()))];
        let mut told = |_, _| slice();
        self.session.run_reporting(&self.plan, &self.bindings, &inputs, &Cancel::new(), &mut told).await.unwrap();
        self.session.read(&self.plan, "y").await.unwrap().into_f32().unwrap()
    }
}

fn numbers(rng: &mut SmallRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

async fn weights<E: Executor>(executor: &E, rng: &mut SmallRng) -> Rc<E::Weights> {
    let weights = Rc::new(executor.allocate_weights(&chain(1).weights).unwrap());
    let spread = (3.0 / WIDTH as f32).sqrt();
    let bytes: Vec<u8> = numbers(rng, WIDTH * WIDTH).into_iter().flat_map(|v| (v * spread).to_le_bytes()).collect();
    executor.write_rows(&weights, "w", 0, &bytes).await.unwrap();
    weights
}

type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

/// Polls all of them, in their order, until all are done.
async fn together(mut tasks: Vec<Task<'_>>) {
    poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for a flag that another task raises.
async fn until(flag: &Cell<bool>) {
    poll_fn(|context| {
        if flag.get() {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A picture begins, tokens come: they go first between its slices, and both are what they are alone.
pub fn a_picture_and_tokens_interleave<E: Executor>(executor: &E) {
    let mut rng = seeded(91);
    pollster::block_on(async {
        let weights = weights(executor, &mut rng).await;
        let mut picture = Work::new(executor, Class::Picture, 8, &weights).await;
        let mut tokens = Work::new(executor, Class::Token, 1, &weights).await;
        let x = numbers(&mut rng, ROWS * WIDTH);
        let prompts: Vec<Vec<f32>> = (0..5).map(|_| numbers(&mut rng, ROWS * WIDTH)).collect();
        let alone = picture.run(&x, &mut || {}).await;
        let mut alone_tokens = Vec::new();
        for prompt in &prompts {
            alone_tokens.push(tokens.run(prompt, &mut || {}).await);
        }

        let log = RefCell::new(Vec::new());
        let started = Cell::new(false);
        let results = RefCell::new((Vec::new(), Vec::new()));
        together(vec![
            Box::pin(async {
                let mut slice = || {
                    started.set(true);
                    log.borrow_mut().push("picture");
                };
                let result = picture.run(&x, &mut slice).await;
                results.borrow_mut().0 = result;
            }),
            Box::pin(async {
                until(&started).await;
                for prompt in &prompts {
                    let token = tokens.run(prompt, &mut || {}).await;
                    log.borrow_mut().push("token");
                    results.borrow_mut().1.push(token);
                }
            }),
        ])
        .await;
        let log = log.into_inner();
        println!("{log:?}");
        let slices = log.iter().filter(|entry| **entry == "picture").count();
        assert!(slices >= 6, "a slice a layer, or nearly: {log:?}");
        // The first picture slice is told, then tokens are first whenever they ask.
        let after_tokens = log.iter().rev().take_while(|entry| **entry == "picture").count();
        assert!(after_tokens >= 2, "the tokens are through long before the picture: {log:?}");
        let (picture, tokens) = results.into_inner();
        assert_eq!(picture, alone);
        assert_eq!(tokens, alone_tokens);
    });
}

/// A frame that comes in the midst of a training run goes before what is left of it.
pub fn a_frame_waits_for_one_slice<E: Executor>(executor: &E) {
    let mut rng = seeded(92);
    pollster::block_on(async {
        let weights = weights(executor, &mut rng).await;
        let mut training = Work::new(executor, Class::Training, 12, &weights).await;
        let mut frame = Work::new(executor, Class::Frame, 3, &weights).await;
        let x = numbers(&mut rng, ROWS * WIDTH);
        let (slices, came, done) = (Cell::new(0), Cell::new(false), Cell::new(None));
        together(vec![
            Box::pin(async {
                let mut slice = || {
                    slices.set(slices.get() + 1);
                    came.set(slices.get() >= 3);
                };
                training.run(&x, &mut slice).await;
            }),
            Box::pin(async {
                until(&came).await;
                let at = slices.get();
                frame.run(&x, &mut || {}).await;
                done.set(Some(slices.get() - at));
            }),
        ])
        .await;
        assert!(slices.get() >= 9, "{} slices of training", slices.get());
        let waited = done.get().unwrap();
        assert!(waited <= 1, "the frame, of three slices, waited for {waited} of training");
    });
}

/// Who is stopped while another has the turn does not wait for it, and the session goes on afterwards.
pub fn stop_is_heard_while_waiting<E: Executor>(executor: &E, queue: &Queue) {
    let mut rng = seeded(93);
    pollster::block_on(async {
        let weights = weights(executor, &mut rng).await;
        let mut work = Work::new(executor, Class::Token, 2, &weights).await;
        let x = numbers(&mut rng, ROWS * WIDTH);
        let expected = work.run(&x, &mut || {}).await;

        let turn = queue.turn(Class::Picture, &Cancel::new()).await.unwrap();
        let cancel = Cancel::new();
        let inputs = [("x", Value::F32(x.clone()))];
        {
            let mut context = Context::from_waker(Waker::noop());
            let mut run = Box::pin(work.session.run(&work.plan, &work.bindings, &inputs, &cancel));
            // It may be that it pauses first.
            for _ in 0..3 {
                assert!(run.as_mut().poll(&mut context).is_pending(), "another has the turn");
            }
            assert_eq!(queue.waiting(), 1);
            cancel.cancel();
            let Poll::Ready(Err(error)) = run.as_mut().poll(&mut context) else { panic!("it is stopped") };
            assert!(error.is_cancelled());
        }
        assert_eq!(queue.waiting(), 0);
        drop(turn);
        assert_eq!(work.run(&x, &mut || {}).await, expected);
    });
}
