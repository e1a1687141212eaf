//! Whether this process is the gateway of one client alone (`janus connect --standalone`). It has neither the vault nor the
//! logins of the daemon, and no command reaches it: what mends it is another line of the configuration, or the daemon.
//!
//! It is a fact of the process, like its user, and not of a request: it is said once, before anything is served.

use std::sync::atomic::{AtomicBool, Ordering};

static ALONE: AtomicBool = AtomicBool::new(false);

/// What to do where a login is needed and nothing keeps one.
pub const USE_THE_DAEMON: &str =
    "connect to the daemon, which keeps logins: janus connect, without --standalone";

/// From now on this is such a process.
pub fn stand_alone() {
    ALONE.store(true, Ordering::Relaxed);
}

/// Whether it is.
pub fn stands_alone() -> bool {
    ALONE.load(Ordering::Relaxed)
}
