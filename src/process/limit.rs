//! The limit of open files: high for Janus, and as it was for the programs that it starts.
//!
//! A thousand sessions need more descriptors than the usual soft limit of 1024; the hard limit is meant for those who do
//! not use `select`. Servers may use it, so they get the old one.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// What children get, once Janus has another.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Descriptors that starting a process takes, and some that others open meanwhile.
const ROOM: u64 = 64;

/// Raises the limit of this process as far as it may be. `before` is what it was, where an earlier program of this
/// process has raised it.
pub fn raise_descriptor_limit(before: Option<u64>) {
    let now = getrlimit(Resource::Nofile);
    let before = Rlimit {
        current: before.or(now.current),
        ..now
    };
    match set(before.maximum, before.maximum) {
        Ok(()) => drop(BEFORE.set(before)),
        Err(error) => tracing::debug!(%error, "the limit of open files stays as it is"),
    }
}

/// The limit that this process was started with, if it has another one now.
pub fn descriptor_limit_before() -> Option<u64> {
    BEFORE.get()?.current
}

/// Starts a process with the limit that was before. As no code of ours runs between the fork and the program, the limit
/// is put down for the moment of the start; where so many files are open that this could not be, the child's is changed
/// a moment after.
pub(super) fn with_the_old_limit<T>(
    start: impl FnOnce() -> std::io::Result<T>,
    id: impl FnOnce(&T) -> Option<Pid>,
) -> std::io::Result<T> {
    let Some(before) = BEFORE.get() else {
        return start();
    };
    let raised = getrlimit(Resource::Nofile);
    let low = before.current.is_some_and(has_room) && set(before.current, raised.maximum).is_ok();
    let started = start();
    if low {
        if let Err(error) = set(raised.current, raised.maximum) {
            tracing::error!(%error, "the limit of open files stays low");
        }
    } else if let Some(child) = started.as_ref().ok().and_then(id) {
        // One that has ended already needs none.
        prlimit(Some(child), Resource::Nofile, *before).ok();
    }
    started
}

/// Whether the next descriptors are below the limit.
fn has_room(most: u64) -> bool {
    let next = File::open("/dev/null").map(|file| file.as_raw_fd());
    let next = next.ok().and_then(|next| u64::try_from(next).ok());
    next.is_some_and(|next| next + ROOM < most)
}

fn set(current: Option<u64>, maximum: Option<u64>) -> rustix::io::Result<()> {
    setrlimit(Resource::Nofile, Rlimit { current, maximum })
}
