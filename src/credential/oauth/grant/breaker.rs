//! One breaker for each authorization server: when it is down, one account finds out for all that have tokens of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Engine;
use super::schedule::{Failed, Pause, chance};
use crate::credential::clock::Moment;

/// After so many failures in a row, of whichever account, nobody is let through but one at a time.
const OPENS: u32 = 5;

/// What is known of one authorization server.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pause: Option<Pause>,
    /// Whether one is finding out.
    trying: bool,
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Now.
    Go,
    /// Then, if nothing happens before.
    At(Moment),
    /// When the one that is under way has ended.
    After,
}

impl Breaker {
    /// Asks for an attempt, which is under way when this says so. `called`: a call waits for it.
    pub(super) fn admit(&mut self, now: Moment, called: bool) -> Admitted {
        if self.failures < OPENS {
            return Admitted::Go;
        }
        if self.trying {
            return Admitted::After;
        }
        match self.pause.map(|pause| pause.until(called)) {
            Some(until) if until > now => Admitted::At(until),
            _ => {
                self.trying = true;
                Admitted::Go
            }
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not. `when`: the attempt began, and ended.
    pub(super) fn failed(
        &mut self,
        failed: Failed,
        wish: Option<Duration>,
        when: (Moment, Moment),
    ) {
        self.failures = self.failures.saturating_add(1);
        self.trying = false;
        if self.failures >= OPENS {
            // From one second again: the accounts had their own pauses up to here.
            let count = self.failures - OPENS + 1;
            self.pause = Some(Pause::after(count, failed, wish, when, chance()));
        }
    }

    /// The way there may be another one: the next that asks finds out, and still one at a time.
    pub(super) fn begin_afresh(&mut self) {
        if self.pause.is_some_and(|pause| pause.is_of_the_way()) {
            self.pause = None;
        }
    }

    /// The attempt that was let through ended without anything said of the server.
    pub(super) fn withdrawn(&mut self) {
        self.trying = false;
    }
}

/// That an attempt was let through, by the breaker of the issuer that it was due for: what the account is by its end may be
/// somebody else's. If nothing is said of the server before it is dropped, nothing was learnt.
pub(super) struct Pass {
    engine: Arc<Engine>,
    issuer: String,
    is_used: AtomicBool,
}

impl Pass {
    pub(super) fn new(engine: &Arc<Engine>, issuer: String) -> Self {
        Self {
            engine: Arc::clone(engine),
            issuer,
            is_used: AtomicBool::new(false),
        }
    }

    /// The server answered.
    pub(super) fn answered(&self) {
        self.tell(Breaker::answered);
    }

    /// It did not. `when`: the attempt began, and ended.
    pub(super) fn failed(&self, failed: Failed, wish: Option<Duration>, when: (Moment, Moment)) {
        self.tell(|breaker| breaker.failed(failed, wish, when));
    }

    /// Once: after it another one may be let through.
    fn tell(&self, say: impl FnOnce(&mut Breaker)) {
        if !self.is_used.swap(true, Ordering::Relaxed) {
            let mut breakers = self.engine.breakers();
            say(breakers.entry(self.issuer.clone()).or_default());
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.tell(Breaker::withdrawn);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_five_failures_one_at_a_time_is_let_through() {
        let mut breaker = Breaker::default();
        let now = Moment::of_start(Duration::from_hours(1));
        for _ in 0..OPENS {
            assert_eq!(breaker.admit(now, false), Admitted::Go);
            assert_eq!(breaker.admit(now, true), Admitted::Go);
            breaker.failed(Failed::Passing, None, (now, now));
        }
        assert!(matches!(breaker.admit(now, true), Admitted::At(_)));
        let later = now.after(Duration::from_secs(2));
        assert_eq!(breaker.admit(later, false), Admitted::Go);
        assert_eq!(breaker.admit(later, true), Admitted::After);
        breaker.failed(Failed::Passing, None, (later, later));
        assert!(matches!(breaker.admit(later, false), Admitted::At(_)));
        let later = later.after(Duration::from_mins(6));
        assert_eq!(breaker.admit(later, false), Admitted::Go);
        breaker.withdrawn();
        assert_eq!(breaker.admit(later, false), Admitted::Go);
        breaker.answered();
        assert_eq!(breaker.admit(later, false), Admitted::Go);
        assert_eq!(breaker.admit(later, false), Admitted::Go);
    }
}
