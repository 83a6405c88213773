//! Sessions of one processor take turns.

#[path = "common/turns.rs"]
mod turns;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use lantern_cpu::{Cpu, Mode};

/// As in the page: between two slices whoever shares the thread is heard.
fn cpu(mode: Mode) -> Cpu {
    let yields = Rc::new(|| {
        let mut gave_way = false;
        let once = poll_fn(move |context| match std::mem::replace(&mut gave_way, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        });
        Box::pin(once) as std::pin::Pin<Box<dyn Future<Output = ()>>>
    });
    Cpu::new(mode).with_clock(Rc::new(|| 0.0)).with_slice(turns::SLICE_FLOPS).with_yield(yields)
}

const MODES: [Mode; 2] = [Mode::Exact, Mode::Fast];

#[test]
fn a_picture_and_tokens_interleave() {
    MODES.into_iter().for_each(|mode| turns::a_picture_and_tokens_interleave(&cpu(mode)));
}

#[test]
fn a_frame_waits_for_one_slice() {
    MODES.into_iter().for_each(|mode| turns::a_frame_waits_for_one_slice(&cpu(mode)));
}

#[test]
fn stop_is_heard_while_waiting() {
    for mode in MODES {
        let cpu = cpu(mode);
        turns::stop_is_heard_while_waiting(&cpu, cpu.queue());
    }
}
