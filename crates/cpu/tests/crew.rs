//! Several threads that share no memory: the same numbers as one, also where rows are swapped or a helper fails.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

use common::{floats, seeded, stored};
use lantern_cpu::{Cpu, Helper, Mode, Order, Team};
use lantern_graph::{Bindings, Cancel, Class, DType, Error, Executor, Graph, Result, Session, Value, WeightSpec};
use pollster::block_on;

/// An order with what it carries, on its way to another thread.
enum Sent {
    Allocate { share: u32, dtype: DType, rows: usize, columns: usize },
    Write { share: u32, first_row: usize, bytes: Vec<u8> },
    Free { share: u32 },
    Multiply { share: u32, m: usize, first_row: usize, count: usize, x: Vec<f32> },
}

type Answer = Result<Vec<f32>>;

/// Helpers as threads of this process, each with its own copy of everything.
struct Threads {
    helpers: Vec<(Sender<Sent>, Receiver<Answer>)>,
    x: RefCell<Vec<f32>>,
    products: Cell<usize>,
    freed: Cell<usize>,
    /// The product at which the last helper falls silent.
    fails_at: usize,
    room: usize,
}

impl Threads {
    fn new(helpers: usize, room: usize, fails_at: usize) -> Rc<Threads> {
        let start = || {
            let (orders, theirs) = channel();
            let (answers, ours) = channel();
            std::thread::spawn(move || serve(&theirs, &answers));
            (orders, ours)
        };
        Rc::new(Threads {
            helpers: (0..helpers).map(|_| start()).collect(),
            x: RefCell::default(),
            products: Cell::new(0),
            freed: Cell::new(0),
            fails_at,
            room,
        })
    }
}

fn serve(orders: &Receiver<Sent>, answers: &Sender<Answer>) {
    let mut helper = Helper::default();
    while let Ok(sent) = orders.recv() {
        let mut out = Vec::new();
        let done = match &sent {
            Sent::Allocate { share, dtype, rows, columns } => {
                let order = Order::Allocate { share: *share, dtype: *dtype, rows: *rows, columns: *columns };
                helper.carry_out(&order, &[], &mut out)
            }
            Sent::Write { share, first_row, bytes } => {
                helper.carry_out(&Order::Write { share: *share, first_row: *first_row, bytes }, &[], &mut out)
            }
            Sent::Free { share } => helper.carry_out(&Order::Free { share: *share }, &[], &mut out),
            Sent::Multiply { share, m, first_row, count, x } => {
                out.resize(m * count, f32::NAN);
                let order = Order::Multiply { share: *share, m: *m, first_row: *first_row, count: *count };
                helper.carry_out(&order, x, &mut out)
            }
        };
        if answers.send(done.map(|()| out)).is_err() {
            return;
        }
    }
}

impl Team for Threads {
    fn helpers(&self) -> usize {
        self.helpers.len()
    }

    fn room(&self) -> usize {
        self.room
    }

    fn give(&self, x: &[f32]) {
        *self.x.borrow_mut() = x.to_vec();
    }

    fn begin(&self, helper: usize, order: &Order) {
        let sent = match *order {
            Order::Allocate { share, dtype, rows, columns } => Sent::Allocate { share, dtype, rows, columns },
            Order::Write { share, first_row, bytes } => {
                assert!(bytes.len() <= self.room * 4, "more than there is room for");
                Sent::Write { share, first_row, bytes: bytes.to_vec() }
            }
            Order::Free { share } => {
                self.freed.set(self.freed.get() + 1);
                Sent::Free { share }
            }
            Order::Multiply { share, m, first_row, count } => {
                let x = self.x.borrow().clone();
                assert!(x.len() <= self.room && m * count <= self.room, "more than there is room for");
                self.products.set(self.products.get() + usize::from(helper == 0));
                Sent::Multiply { share, m, first_row, count, x }
            }
        };
        self.helpers[helper].0.send(sent).expect("the helper lives");
    }

    fn finish(&self, helper: usize, out: &mut [f32]) -> Result<()> {
        let result = self.helpers[helper].1.recv().expect("the helper lives")?;
        if helper + 1 == self.helpers.len() && self.products.get() >= self.fails_at {
            return Err(Error::new("cpu.crew", "it does not answer", "none"));
        }
        out.copy_from_slice(&result);
        Ok(())
    }
}

/// A product with a weight, run as often as is asked for.
struct Bench {
    cpu: Cpu,
    weights: Rc<lantern_cpu::Weights>,
    session: lantern_cpu::Session,
    plan: lantern_cpu::Plan,
    bindings: Bindings,
}

impl Bench {
    fn new(cpu: Cpu, dtype: DType, (m, k, n): (usize, usize, usize), bytes: &[u8]) -> Bench {
        let mut g = Graph::new();
        let x = g.input("x", [m, k], DType::F32);
        let w = g.weight("w", &[n, k], dtype).unwrap();
        let y = g.linear(x, w).unwrap();
        g.output("y", y);
        let specs = [WeightSpec { name: "w".into(), shape: vec![n, k], dtype }];
        let weights = Rc::new(cpu.allocate_weights(&specs).unwrap());
        block_on(cpu.write_rows(&weights, "w", 0, bytes)).unwrap();
        let mut session = cpu.session(Class::Token);
        let plan = block_on(session.compile(&g, &weights, &Cancel::new())).unwrap();
        Bench { cpu, weights, session, plan, bindings: Bindings::new(&g, &[]).unwrap() }
    }

    fn run(&mut self, x: &[f32]) -> Vec<f32> {
        let inputs = [("x", Value::F32(x.to_vec()))];
        block_on(self.session.run(&self.plan, &self.bindings, &inputs, &Cancel::new())).unwrap();
        block_on(self.session.read(&self.plan, "y")).unwrap().into_f32().unwrap()
    }

    fn write(&self, first_row: usize, bytes: &[u8]) {
        block_on(self.cpu.write_rows(&self.weights, "w", first_row, bytes)).unwrap();
    }
}

fn fast() -> Cpu {
    Cpu::new(Mode::Fast)
}

#[test]
fn several_threads_give_the_numbers_of_one_to_the_bit() {
    let mut rng = seeded(61);
    for dtype in DType::WEIGHTS {
        for (m, n) in [(1, 1003), (5, 300), (33, 96)] {
            let k = 1024;
            let (bytes, _) = stored(dtype, &floats(&mut rng, n * k, -1.0, 1.0));
            let x = floats(&mut rng, m * k, -1.0, 1.0);
            let alone = Bench::new(fast(), dtype, (m, k, n), &bytes).run(&x);
            for helpers in [1, 3] {
                // Room for 4 rows at once: x goes in pieces, weights too.
                let team = Threads::new(helpers, 4 * k, usize::MAX);
                let mut together = Bench::new(fast().with_team(team.clone()), dtype, (m, k, n), &bytes);
                for _ in 0..2 {
                    assert_eq!(together.run(&x), alone, "{} [{m}, {k}] by [{n}, {k}]", dtype.name());
                }
                assert!(team.products.get() >= 2, "they took no part");
            }
        }
    }
}

#[test]
fn slices_of_a_product_are_shared_out_too() {
    let mut rng = seeded(62);
    let (m, k, n) = (1, 512, 4096);
    let (bytes, _) = stored(DType::Q8_0, &floats(&mut rng, n * k, -1.0, 1.0));
    let x = floats(&mut rng, k, -1.0, 1.0);
    let alone = Bench::new(fast(), DType::Q8_0, (m, k, n), &bytes).run(&x);
    let team = Threads::new(2, 1 << 20, usize::MAX);
    // Four slices.
    let cpu = fast().with_team(team.clone()).with_slice((k * n / 2) as u64);
    assert_eq!(Bench::new(cpu, DType::Q8_0, (m, k, n), &bytes).run(&x), alone);
    assert!(team.products.get() > 1, "it was one slice");
}

#[test]
fn rows_that_are_written_anew_count_from_the_next_run_on() {
    let mut rng = seeded(63);
    let (m, k, n) = (2, 512, 600);
    let mut values = || stored(DType::Q4_0, &floats(&mut rng, n * k, -1.0, 1.0)).0;
    let (first, second) = (values(), values());
    let x = floats(&mut seeded(64), m * k, -1.0, 1.0);
    let row = first.len() / n;
    let mut together =
        Bench::new(fast().with_team(Threads::new(1, 1 << 20, usize::MAX)), DType::Q4_0, (m, k, n), &first);
    together.run(&x);
    together.write(100, &second[100 * row..400 * row]);
    let mixed = [&first[..100 * row], &second[100 * row..400 * row], &first[400 * row..]].concat();
    assert_eq!(together.run(&x), Bench::new(fast(), DType::Q4_0, (m, k, n), &mixed).run(&x));
}

#[test]
fn a_helper_that_fails_leaves_the_work_to_this_thread() {
    let mut rng = seeded(65);
    let (m, k, n) = (3, 512, 600);
    let (bytes, _) = stored(DType::Q5_0, &floats(&mut rng, n * k, -1.0, 1.0));
    let x = floats(&mut rng, m * k, -1.0, 1.0);
    let alone = Bench::new(fast(), DType::Q5_0, (m, k, n), &bytes).run(&x);
    let team = Threads::new(2, 1 << 20, 2);
    let cpu = fast().with_team(team.clone());
    let mut together = Bench::new(cpu.clone(), DType::Q5_0, (m, k, n), &bytes);
    assert!(cpu.describe().adapter.contains("threads: 3"), "{}", cpu.describe().adapter);
    for _ in 0..4 {
        assert_eq!(together.run(&x), alone);
    }
    assert_eq!(team.products.get(), 2, "it was asked again");
    assert!(cpu.describe().adapter.contains("threads: 1"), "{}", cpu.describe().adapter);
}

#[test]
fn a_weight_that_goes_is_given_back_by_the_helpers() {
    let mut rng = seeded(66);
    let (m, k, n) = (1, 512, 600);
    let (bytes, _) = stored(DType::Q8_0, &floats(&mut rng, n * k, -1.0, 1.0));
    let team = Threads::new(2, 1 << 20, usize::MAX);
    let mut together = Bench::new(fast().with_team(team.clone()), DType::Q8_0, (m, k, n), &bytes);
    together.run(&floats(&mut rng, k, -1.0, 1.0));
    assert_eq!(team.freed.get(), 0);
    drop(together);
    assert_eq!(team.freed.get(), 2);
}

#[test]
fn small_products_and_the_exact_mode_ask_nobody() {
    let mut rng = seeded(67);
    let (bytes, _) = stored(DType::F32, &floats(&mut rng, 64 * 64, -1.0, 1.0));
    let team = Threads::new(1, 1 << 20, usize::MAX);
    Bench::new(fast().with_team(team.clone()), DType::F32, (1, 64, 64), &bytes).run(&[0.5; 64]);
    let (bytes, _) = stored(DType::F32, &floats(&mut rng, 1024 * 1024, -1.0, 1.0));
    let exact = Cpu::new(Mode::Exact).with_team(team.clone());
    Bench::new(exact, DType::F32, (1, 1024, 1024), &bytes).run(&[0.5; 1024]);
    assert_eq!(team.products.get(), 0);
}
