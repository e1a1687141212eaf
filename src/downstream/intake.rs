//! What comes in, and whether anything may: for the moment in which Janus becomes another program, nothing new is read
//! from clients, and what was asked is answered first.
//!
//! A connection is at rest when nothing that it asked waits for an answer and all that it was told is sent. One at rest
//! is not read from while the intake is closed: the next request waits in the socket, for whoever reads there next.
//!
//! Invariants:
//! - What was read is answered here, what was not read is answered by the next program: nothing is in between.
//! - An intake that is opened again goes on as if nothing had been.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;

/// The intake of all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Intake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    closed: AtomicBool,
    /// Who wants to read as soon as it is open again.
    waiting: Mutex<Vec<Waker>>,
    running: AtomicUsize,
    quiet: Notify,
    /// Whether connections at rest go along to another program when Janus stops.
    leaving: AtomicBool,
}

/// Something that was asked and is not answered yet.
#[derive(Debug)]
pub(super) struct Running(Intake);

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// A request was read that is not answered, or a stream is open.
    busy: AtomicBool,
    /// How many requests were read.
    requests: AtomicUsize,
    /// It was upgraded: there are no requests of HTTP any more.
    upgraded: AtomicBool,
    /// What was answered last, until that is written.
    unsent: Mutex<Option<Running>>,
    /// The client does not take what it is sent.
    blocked: AtomicBool,
    changed: Notify,
}

impl Intake {
    /// Reads nothing new from now on.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }

    /// Reads again.
    pub(super) fn open(&self) {
        self.0.closed.store(false, Ordering::Release);
        let waiting = std::mem::take(
            &mut *self
                .0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        waiting.into_iter().for_each(Waker::wake);
    }

    /// When Janus stops, connections at rest go along.
    pub(super) fn leave(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    /// Whether they do.
    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Acquire)
    }

    /// Whether this connection may be read from; if not, the waker is called when it may.
    pub(super) fn may_read(&self, line: &Line, waker: &Waker) -> bool {
        if !self.0.closed.load(Ordering::Acquire) || line.is_busy() {
            return true;
        }
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // It may have been opened since.
        let closed = self.0.closed.load(Ordering::Acquire);
        if closed && !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        !closed
    }

    /// Something was asked.
    pub(super) fn begin(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        Running(self.clone())
    }

    /// How much is not answered.
    pub(super) fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Resolves when everything that was asked is answered.
    pub(super) async fn quiet(&self) {
        loop {
            let mut quiet = std::pin::pin!(self.0.quiet.notified());
            quiet.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            quiet.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.quiet.notify_waiters();
        }
    }
}

impl Line {
    /// A request was read.
    pub(super) fn begins(&self) {
        self.busy.store(true, Ordering::Release);
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.sent();
    }

    /// What is read from now on are no requests of HTTP.
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Release);
    }

    /// Whether a client can owe the head of a request now.
    pub(super) fn expects_a_head(&self) -> bool {
        !self.is_busy() && !self.upgraded.load(Ordering::Acquire)
    }

    /// How many requests were read.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Whether a request was read that is not answered, or a stream is open.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// It is answered; whoever waits for that waits until it is [sent](Line::sent), too.
    pub(super) fn ends(&self, running: Option<Running>) {
        *self.unsent() = running;
        self.busy.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Everything is written.
    pub(super) fn sent(&self) {
        drop(self.unsent().take());
    }

    fn unsent(&self) -> MutexGuard<'_, Option<Running>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is sent is taken.
    pub(super) fn takes(&self, taken: bool) {
        if self.blocked.swap(!taken, Ordering::AcqRel) && taken {
            self.changed.notify_waiters();
        }
    }

    fn is_at_rest(&self) -> bool {
        !self.is_busy() && !self.blocked.load(Ordering::Acquire)
    }

    /// Resolves when it is at rest.
    pub(super) async fn rest(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_at_rest() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_is_answered_and_nothing_else_is_read() {
        let (intake, line, other) = (Intake::default(), Line::default(), Line::default());
        let waker = Waker::noop();
        line.begins();
        let running = intake.begin();
        intake.close();
        // The body of what was begun is read; another connection waits.
        assert!(intake.may_read(&line, waker) && !intake.may_read(&other, waker));
        let mut quiet = std::pin::pin!(intake.quiet());
        assert!(futures_util::poll!(&mut quiet).is_pending());
        drop(running);
        quiet.await;
        line.ends(None);
        assert!(!intake.may_read(&line, waker));
        intake.open();
        assert!(intake.may_read(&line, waker) && intake.may_read(&other, waker));
    }

    #[tokio::test]
    async fn what_is_not_written_is_not_answered() {
        let (intake, line) = (Intake::default(), Line::default());
        line.begins();
        line.ends(Some(intake.begin()));
        let mut quiet = std::pin::pin!(intake.quiet());
        assert!(futures_util::poll!(&mut quiet).is_pending());
        line.sent();
        quiet.await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_at_rest() {
        let line = Line::default();
        line.takes(false);
        let mut rest = std::pin::pin!(line.rest());
        assert!(futures_util::poll!(&mut rest).is_pending());
        line.takes(true);
        rest.await;
    }
}
