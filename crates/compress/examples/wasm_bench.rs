//! The benchmark's work for a host that has a clock, as WebAssembly: `cargo xtask bench compress`.

#[path = "../benches/work/mod.rs"]
mod work;

use std::cell::RefCell;
use work::Work;

thread_local! {
    static ALL: RefCell<Vec<Work>> = RefCell::new(work::all());
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
pub extern "C" fn run(i: usize) {
    ALL.with_borrow_mut(|all| (all[i].run)());
}
