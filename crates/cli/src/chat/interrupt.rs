//! Ctrl+C in a conversation: it stops the answer that is being written, and ends the program where none is.

use std::sync::{Mutex, Once, PoisonError};

use lantern_graph::Cancel;

use crate::output::{self, INTERRUPTED};

/// Of the answer that is being written.
static ANSWERING: Mutex<Option<Cancel>> = Mutex::new(None);

fn answering() -> std::sync::MutexGuard<'static, Option<Cancel>> {
    ANSWERING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, Ctrl+C stops the answer.
pub struct Answering;

impl Answering {
    pub fn new(cancel: &Cancel) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(listen);
        *answering() = Some(cancel.clone());
        Self
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        *answering() = None;
    }
}

fn listen() {
    // Where there are no such signals, Ctrl+C does what it always does.
    let _ = ctrlc::set_handler(|| match &*answering() {
        Some(cancel) => cancel.cancel(),
        None => {
            output::hint("");
            std::process::exit(INTERRUPTED)
        }
    });
    #[cfg(unix)]
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: no code of ours is called by it. The handler took these two along; `kill` and a closed terminal still end
        // the program.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
