//! Time that goes on while the machine sleeps: a token that ends in an hour has ended after a night's suspend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The system's clocks, or those of a test, which may go ahead.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead: Option<Arc<AtomicU64>>,
}

/// A time since the machine was started, with the time it slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Clock {
    /// A clock that a test moves.
    pub fn movable() -> Self {
        Self {
            ahead: Some(Arc::default()),
        }
    }

    /// Moves it forward. The system's own does not move.
    pub fn advance(&self, by: Duration) {
        if let Some(ahead) = &self.ahead {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            ahead.fetch_add(by, Ordering::SeqCst);
        }
    }

    fn ahead(&self) -> Duration {
        let ahead = self.ahead.as_ref();
        ahead.map_or(Duration::ZERO, |ahead| {
            Duration::from_millis(ahead.load(Ordering::SeqCst))
        })
    }

    pub(super) fn now(&self) -> Moment {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
        Moment(Duration::new(seconds, nanoseconds) + self.ahead())
    }

    pub(super) fn wall(&self) -> SystemTime {
        SystemTime::now() + self.ahead()
    }
}

impl Moment {
    /// This much later; as late as can be told where that is too late.
    pub(super) fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long it is until then.
    pub(super) fn from(self, now: Self) -> Duration {
        self.0.saturating_sub(now.0)
    }
}
