//! Helpers of the engine's Worker: Workers with WebAssembly memories of their own, told what to do through shared memory.
//!
//! A helper has a line of numbers (`Int32Array`) by which orders come and go, and room for a result; activations are written once
//! for all. Both sides wait with `Atomics.wait`, after looking for a moment: the next order mostly comes before a thread would
//! have gone to sleep. Only cross-origin isolated pages share memory; elsewhere the engine computes alone.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Atomics, Float32Array, Function, Int32Array, Promise, SharedArrayBuffer, Uint8Array};
use lantern_cpu::{Helper, Order, Team};
use lantern_graph::{DType, Error, Result};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

use crate::js;

/// Places in a helper's line. `www/lantern/core/crew.js` knows the first three.
const ORDERED: u32 = 0;
const DONE: u32 = 1;
const FAILED: u32 = 2;
const KIND: u32 = 3;
const NUMBERS: [u32; 4] = [4, 5, 6, 7];
const LINE: u32 = 8;

/// Floats of x, and of a helper's result: 4 MiB each.
const ROOM: u32 = 1 << 20;

/// How often a side looks before it goes to sleep: some milliseconds. Waking up takes 80 µs, as long as a product.
const LOOKS: usize = 200_000;

/// A helper that takes longer than that for one order is not waited for any more.
const PATIENCE_MS: f64 = 20_000.0;

const MOST_THREADS: usize = 16;

/// How many threads to compute on. `asked`: empty for one: on two cores two were no faster (docs/measured.md).
///
/// # Errors
/// `web.threads` for what is no number from 1 to 16.
pub fn threads(asked: &str) -> Result<usize> {
    match asked.parse() {
        Ok(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ if asked.is_empty() => Ok(1),
        _ => Err(Error::new(
            "web.threads",
            format!("{asked:?} is no number of threads"),
            format!("choose 1 to {MOST_THREADS}, or leave it out"),
        )),
    }
}

/// Starts helpers. `start` takes `{control, x, out}` and the compiled program, and gives a promise that resolves when the helper
/// listens.
///
/// # Errors
/// `web.threads` where threads cannot share memory, or a helper does not start.
pub async fn start(helpers: usize, start: &Function) -> Result<Rc<dyn Team>> {
    if js::field(&js_sys::global(), "crossOriginIsolated").is_falsy() {
        let cause = "this page is not cross-origin isolated, so threads cannot share memory";
        return Err(Error::new("web.threads", cause, "the processor goes on with one"));
    }
    let shared = |words: u32| SharedArrayBuffer::new(words * 4);
    let x = Float32Array::new(&shared(ROOM));
    let lines: Vec<Line> = (0..helpers)
        .map(|_| {
            let (line, room) = (shared(LINE), shared(ROOM));
            Line {
                control: Int32Array::new(&line),
                out: Float32Array::new(&room),
                bytes: Uint8Array::new(&room),
                ordered: Cell::new(0),
            }
        })
        .collect();
    let program = wasm_bindgen::module();
    let listening = Array::new();
    for Line { control, out, .. } in &lines {
        let memory = js::object(&[("control", control.into()), ("x", x.clone().into()), ("out", out.into())]);
        listening.push(&start.call2(&JsValue::UNDEFINED, &memory, &program).map_err(|_| unstarted())?);
    }
    JsFuture::from(Promise::all(&listening)).await.map_err(|_| unstarted())?;
    Ok(Rc::new(Shared { lines, x }))
}

fn unstarted() -> Error {
    Error::new("web.threads", "a thread did not start", "the processor goes on with one")
}

/// A helper as the engine's Worker sees it.
struct Line {
    control: Int32Array,
    out: Float32Array,
    /// The same memory: weights on their way.
    bytes: Uint8Array,
    ordered: Cell<i32>,
}

struct Shared {
    lines: Vec<Line>,
    x: Float32Array,
}

impl Team for Shared {
    fn helpers(&self) -> usize {
        self.lines.len()
    }

    fn room(&self) -> usize {
        ROOM as usize
    }

    fn give(&self, x: &[f32]) {
        self.x.subarray(0, x.len() as u32).copy_from(x);
    }

    fn begin(&self, helper: usize, order: &Order) {
        let line = &self.lines[helper];
        let (kind, numbers) = match *order {
            Order::Allocate { share, dtype, rows, columns } => {
                let dtype = DType::WEIGHTS.iter().position(|of| *of == dtype).unwrap_or_default();
                (0, [share as usize, dtype, rows, columns])
            }
            Order::Write { share, first_row, bytes } => {
                line.bytes.subarray(0, bytes.len() as u32).copy_from(bytes);
                (1, [share as usize, first_row, bytes.len(), 0])
            }
            Order::Free { share } => (2, [share as usize, 0, 0, 0]),
            Order::Multiply { share, m, first_row, count } => (3, [share as usize, m, first_row, count]),
        };
        line.control.set_index(KIND, kind);
        for (place, number) in NUMBERS.into_iter().zip(numbers) {
            line.control.set_index(place, number as i32);
        }
        line.ordered.set(line.ordered.get().wrapping_add(1));
        say(&line.control, ORDERED, line.ordered.get());
    }

    fn finish(&self, helper: usize, out: &mut [f32]) -> Result<()> {
        let line = &self.lines[helper];
        let silent = || Error::new("cpu.crew", "a thread stopped computing", "the others go on");
        if !hear(&line.control, DONE, |done| done == line.ordered.get(), Some(PATIENCE_MS))
            || line.control.get_index(FAILED) != 0
        {
            return Err(silent());
        }
        line.out.subarray(0, out.len() as u32).copy_to(out);
        Ok(())
    }
}

/// Sets a number and wakes who waits for it.
fn say(control: &Int32Array, place: u32, number: i32) {
    // Both take any place of an Int32Array of shared memory.
    let _ = Atomics::store(control, place, number);
    let _ = Atomics::notify(control, place);
}

/// Waits until a number is as it should be. False when that takes too long.
fn hear(control: &Int32Array, place: u32, is_it: impl Fn(i32) -> bool, patience_ms: Option<f64>) -> bool {
    let look = || Atomics::load(control, place).unwrap_or_default();
    for _ in 0..LOOKS {
        if is_it(look()) {
            return true;
        }
    }
    loop {
        let seen = look();
        if is_it(seen) {
            return true;
        }
        let told = match patience_ms {
            Some(ms) => Atomics::wait_with_timeout(control, place, seen, ms),
            None => Atomics::wait(control, place, seen),
        };
        if told.map_or(true, |told| told == "timed-out") {
            return is_it(look());
        }
    }
}

/// A helper's life: what its Worker is for. It ends with the Worker, or by a trap.
#[wasm_bindgen]
pub fn help(control: Int32Array, x: Float32Array, out: Float32Array) {
    let bytes = Uint8Array::new(&out.buffer());
    let mut helper = Helper::default();
    let (mut given, mut result, mut rows): (Vec<f32>, Vec<f32>, Vec<u8>) = Default::default();
    let mut heard = 0;
    loop {
        if !hear(&control, ORDERED, |ordered| ordered != heard, None) {
            continue;
        }
        heard = heard.wrapping_add(1);
        let [share, a, b, c] = NUMBERS.map(|place| control.get_index(place) as usize);
        let share = share as u32;
        result.clear();
        let order = match control.get_index(KIND) {
            0 => Order::Allocate { share, dtype: DType::WEIGHTS[a], rows: b, columns: c },
            1 => {
                rows.resize(b, 0);
                bytes.subarray(0, b as u32).copy_to(&mut rows);
                Order::Write { share, first_row: a, bytes: &rows }
            }
            2 => Order::Free { share },
            _ => {
                given.resize(a * helper.columns(share), 0.0);
                x.subarray(0, given.len() as u32).copy_to(&mut given);
                result.resize(a * c, 0.0);
                Order::Multiply { share, m: a, first_row: b, count: c }
            }
        };
        let done = helper.carry_out(&order, &given, &mut result);
        out.subarray(0, result.len() as u32).copy_from(&result);
        control.set_index(FAILED, i32::from(done.is_err()));
        say(&control, DONE, heard);
    }
}
