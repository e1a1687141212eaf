//! The signals that ask a daemon for something, held back while nobody would take them: until its handlers stand, and
//! while it becomes another program. Held back, they wait for the process, also across `exec` (`signal(7)`).
//!
//! A program that takes over has a limit for that: its predecessor leaves it an alarm (`alarm(2)`), which `exec` keeps and
//! which ends the process. Held-back signals could not end one that hangs.
//!
//! Invariant: a thread takes them only if it waits for them. Whoever starts a thread beside the first one starts it
//! without.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::unistd::alarm;

fn asking() -> SigSet {
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM]
        .into_iter()
        .collect()
}

/// Neither this thread nor those that it starts take them any more.
pub fn hold_signals() {
    // It has nothing to refuse: the set is one of the system's own.
    asking().thread_block().ok();
}

/// The program that this process becomes has so long until it [takes them](release_signals).
pub fn expect_the_next_within(seconds: u32) {
    alarm::set(seconds);
}

/// This thread takes them, and what came meanwhile at once.
pub fn release_signals() {
    alarm::cancel();
    asking().thread_unblock().ok();
}

/// Does something whose threads do not take them.
pub fn with_signals_held<T>(work: impl FnOnce() -> T) -> T {
    let before = asking().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = work();
    if let Ok(before) = before {
        before.thread_set_mask().ok();
    }
    done
}

/// Asks the program that this process becomes to stop; the signals are held back.
pub fn ask_the_next_to_stop() {
    raise(Signal::SIGTERM).ok();
}
