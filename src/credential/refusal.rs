//! What the server said of the values: after a refusal calls are answered here for a while, then one may try.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::NoCredential;

/// After a refusal, calls are answered here for so long.
const PAUSE: Duration = Duration::from_secs(30);

/// The last refusal, if nothing has worked since.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    last: Mutex<Option<Refusal>>,
    /// Whether there is one: looked at on every request.
    any: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    stamp: u64,
    status: u16,
    until: Instant,
    /// Whether something newer was looked for since.
    tried: bool,
}

impl Refusals {
    /// The server refused the values of this stamp, and there are no newer ones.
    pub(super) fn note(&self, stamp: u64, status: u16) {
        *self.last() = Some(Refusal {
            stamp,
            status,
            until: Instant::now() + PAUSE,
            tried: true,
        });
        self.any.store(true, Ordering::Relaxed);
    }

    /// It does not count any more.
    pub(super) fn forget(&self) {
        if self.any() {
            *self.last() = None;
            self.any.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether a request may go out with the values of this stamp; `None` where they are not known before they are used.
    pub(super) fn check(&self, stamp: Option<u64>) -> Result<(), NoCredential> {
        let mut last = self.last();
        let Some(refusal) = &mut *last else {
            return Ok(());
        };
        let now = Instant::now();
        if stamp.is_some_and(|stamp| refusal.stamp < stamp) {
            *last = None;
            self.any.store(false, Ordering::Relaxed);
            return Ok(());
        }
        if refusal.until <= now {
            refusal.until = now + PAUSE;
            refusal.tried = false;
            return Ok(());
        }
        Err(refusal.error(now))
    }

    /// Whether it was just found that there is nothing newer than this: who was refused at the same time need not look.
    pub(super) fn is_settled(&self, stamp: u64) -> bool {
        let now = Instant::now();
        let last = *self.last();
        last.is_some_and(|refusal| refusal.tried && refusal.stamp == stamp && refusal.until > now)
    }

    /// What is told of the values of this stamp.
    pub(super) fn told(&self, stamp: u64) -> Option<NoCredential> {
        let last = *self.last();
        let last = last.filter(|refusal| refusal.stamp == stamp);
        last.map(|refusal| refusal.error(Instant::now()))
    }

    fn last(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn error(&self, now: Instant) -> NoCredential {
        let left = self.until.saturating_duration_since(now);
        NoCredential::Refused {
            status: self.status,
            retry_in: left.as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_while_one_may_try_and_a_newer_value_at_once() {
        let refusals = Refusals::default();
        assert!(refusals.check(Some(1)).is_ok());
        refusals.note(2, 401);
        assert!(refusals.is_settled(2));
        // An older value lifts nothing.
        assert!(refusals.check(Some(1)).is_err() && refusals.check(Some(2)).is_err());
        advance(PAUSE).await;
        assert!(refusals.check(Some(2)).is_ok());
        assert!(!refusals.is_settled(2));
        assert!(refusals.check(Some(2)).is_err() && refusals.check(None).is_err());
        assert!(refusals.check(Some(3)).is_ok() && !refusals.any());
    }
}
