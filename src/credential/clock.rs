//! Time that goes on while the machine sleeps: a token that ends in an hour has ended after a night's suspend.
//!
//! There are two clocks. The one since the machine was started cannot be set, so that it decides; the one on the wall is
//! what outlives a start. Timers see neither a suspend nor a set clock: they only wake, and who wakes looks again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Timers do not see a suspend, so that nobody sleeps longer than this.
pub(super) const NAP: Duration = Duration::from_secs(30);

/// The system's clocks, or those of a test, which may go ahead or be set.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    hands: Option<Arc<Hands>>,
}

/// What a test moves.
#[derive(Debug)]
struct Hands {
    set: Mutex<Set>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Set {
    /// How much later it is since the start than the system says.
    boot: Duration,
    /// How much of that the machine slept.
    slept: Duration,
    /// How far the wall clock is from the system's, in milliseconds.
    wall: i64,
    /// Which start of the machine it is; `None`: the system's.
    start: Option<Arc<str>>,
}

/// A time since the machine was started, with the time it slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(Duration);

impl Clock {
    /// A clock that a test moves.
    pub fn movable() -> Self {
        Self {
            hands: Some(Arc::new(Hands {
                set: Mutex::default(),
                moved: watch::Sender::new(0),
            })),
        }
    }

    /// Time goes by on both clocks, and who sleeps until then wakes. The system's own clocks do not move.
    pub fn advance(&self, by: Duration) {
        if let Some(mut set) = self.set() {
            set.go(by);
        }
        self.tell();
    }

    /// Time goes by on both clocks, and nobody wakes: the machine slept.
    pub fn suspend(&self, by: Duration) {
        if let Some(mut set) = self.set() {
            set.go(by);
            set.slept += by;
        }
    }

    /// Somebody sets the clock on the wall.
    pub fn set_forward(&self, by: Duration) {
        if let Some(mut set) = self.set() {
            set.wall = set.wall.saturating_add(milliseconds(by));
        }
        self.tell();
    }

    /// Somebody sets the clock on the wall back.
    pub fn set_back(&self, by: Duration) {
        if let Some(mut set) = self.set() {
            set.wall = set.wall.saturating_sub(milliseconds(by));
        }
        self.tell();
    }

    /// The machine is started anew: what was counted since its start before says nothing any more.
    pub fn restart_machine(&self, start: &str) {
        if let Some(mut set) = self.set() {
            set.start = Some(start.into());
        }
        self.tell();
    }

    fn tell(&self) {
        if let Some(hands) = &self.hands {
            hands.moved.send_modify(|moves| *moves += 1);
        }
    }

    fn set(&self) -> Option<MutexGuard<'_, Set>> {
        let hands = self.hands.as_ref()?;
        Some(hands.set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Now, since the machine was started.
    pub fn now(&self) -> Moment {
        let ahead = self.set().map_or(Duration::ZERO, |set| set.boot);
        Moment(since(ClockId::Boottime) + ahead)
    }

    /// How long the machine has slept since it was started: what one clock of the system counts and the other does not.
    pub fn slept(&self) -> Duration {
        let asleep = self.set().map_or(Duration::ZERO, |set| set.slept);
        // In this order: what goes by between the two looks is no sleep.
        let awake = since(ClockId::Monotonic);
        since(ClockId::Boottime).saturating_sub(awake) + asleep
    }

    /// What time it is, as far as that is known.
    pub fn wall(&self) -> SystemTime {
        let away = self.set().map_or(0, |set| set.wall);
        let now = SystemTime::now();
        let by = Duration::from_millis(away.unsigned_abs());
        let there = if away < 0 {
            now.checked_sub(by)
        } else {
            now.checked_add(by)
        };
        there.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Which start of the machine this is; `None` where the system does not say.
    pub(super) fn start(&self) -> Option<Arc<str>> {
        if let Some(start) = self.set().and_then(|set| set.start.clone()) {
            return Some(start);
        }
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().into())
    }

    /// What comes of it in this time, a sleep of the machine included; what is there at its end counts.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let end = self.now().after(limit);
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.sleep_until(end) => None,
        }
    }

    /// Waits until then, a test's moves and the machine's sleep included. It may be late by a nap after a suspend.
    pub async fn sleep_until(&self, then: Moment) {
        let mut moved = self.hands.as_ref().map(|hands| hands.moved.subscribe());
        loop {
            let left = then.from(self.now());
            if left.is_zero() {
                return;
            }
            let nap = tokio::time::sleep(left.min(NAP));
            match &mut moved {
                None => nap.await,
                Some(moved) => {
                    tokio::select! {
                        () = nap => {}
                        // The clock has the sender.
                        moved = moved.changed() => drop(moved),
                    }
                }
            }
        }
    }
}

impl Set {
    fn go(&mut self, by: Duration) {
        self.boot += by;
        self.wall = self.wall.saturating_add(milliseconds(by));
    }
}

/// What a clock of the system says, which began with its start.
fn since(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Moment {
    /// This much later; as late as can be told where that is too late.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long it is until then.
    pub fn from(self, now: Self) -> Duration {
        self.0.saturating_sub(now.0)
    }

    /// Since the machine was started.
    pub(super) fn since_start(self) -> Duration {
        self.0
    }

    /// So long after the machine was started.
    pub(super) fn of_start(since: Duration) -> Self {
        Self(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_sleeps_wakes_when_a_test_moves_the_clock_and_not_by_a_suspend() {
        let clock = Clock::movable();
        let then = clock.now().after(Duration::from_hours(1));
        let mut sleeper = Box::pin(clock.sleep_until(then));
        assert!(futures_util::poll!(&mut sleeper).is_pending());
        clock.suspend(Duration::from_mins(59));
        assert!(futures_util::poll!(&mut sleeper).is_pending());
        clock.advance(Duration::from_mins(2));
        sleeper.await;
    }

    #[tokio::test]
    async fn a_limit_is_over_when_a_test_moves_the_clock_and_what_is_there_counts() {
        let clock = Clock::movable();
        let limit = Duration::from_secs(30);
        let mut never = Box::pin(clock.within(limit, std::future::pending::<()>()));
        assert!(futures_util::poll!(&mut never).is_pending());
        clock.advance(Duration::from_secs(29));
        assert!(futures_util::poll!(&mut never).is_pending());
        clock.advance(Duration::from_secs(1));
        assert_eq!(never.await, None);
        let late = async { clock.advance(limit) };
        assert_eq!(clock.within(limit, late).await, Some(()));
    }

    #[test]
    fn the_machine_sleeps_when_time_goes_by_that_nobody_was_awake_for() {
        let clock = Clock::movable();
        let before = clock.slept();
        clock.advance(Duration::from_hours(1));
        clock.set_forward(Duration::from_hours(1));
        assert!(clock.slept() < before + Duration::from_secs(1));
        clock.suspend(Duration::from_hours(8));
        // The two clocks are not looked at in one moment.
        assert!(clock.slept() > before + Duration::from_mins(479));
    }

    #[test]
    fn the_clock_on_the_wall_is_set_alone() {
        let clock = Clock::movable();
        let (now, wall) = (clock.now(), clock.wall());
        clock.set_back(Duration::from_hours(720));
        assert!(clock.wall() < wall);
        assert!(clock.now().from(now) < Duration::from_mins(1));
        clock.set_forward(Duration::from_hours(721));
        assert!(clock.wall() > wall + Duration::from_mins(59));
        clock.advance(Duration::from_hours(1));
        assert!(clock.wall() > wall + Duration::from_mins(119));
        assert!(clock.now().from(now) >= Duration::from_hours(1));
        assert!(clock.start().is_some());
        clock.restart_machine("another");
        assert_eq!(clock.start().as_deref(), Some("another"));
    }
}
