//! The benchmark's work for a host that has a clock, as WebAssembly: `cargo xtask bench products`.

#[path = "../benches/work/mod.rs"]
mod work;

use std::cell::RefCell;
use work::Pair;

thread_local! {
    static ALL: RefCell<Vec<Pair>> = RefCell::new(work::all());
    static FAILURE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// To be called first: what a failed check says is kept.
#[unsafe(no_mangle)]
pub extern "C" fn begin() {
    std::panic::set_hook(Box::new(|failure| FAILURE.set(failure.to_string())));
}

#[unsafe(no_mangle)]
pub extern "C" fn failure() -> *const u8 {
    FAILURE.with_borrow(|failure| failure.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn failure_len() -> usize {
    FAILURE.with_borrow(String::len)
}

/// How much work there is, 0 ..= this exclusive.
#[unsafe(no_mangle)]
pub extern "C" fn count() -> usize {
    ALL.with_borrow(Vec::len)
}

/// Where the name of a work lies, in UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn name(i: usize) -> *const u8 {
    ALL.with_borrow(|all| all[i].name.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn name_len(i: usize) -> usize {
    ALL.with_borrow(|all| all[i].name.len())
}

#[unsafe(no_mangle)]
pub extern "C" fn before(i: usize) {
    ALL.with_borrow_mut(|all| std::hint::black_box((all[i].before)()));
}

#[unsafe(no_mangle)]
pub extern "C" fn now(i: usize) {
    ALL.with_borrow_mut(|all| std::hint::black_box((all[i].now)()));
}
