//! That the machine slept: one of its clocks counts that, and another does not.
//!
//! Timers do not ring while it sleeps, and are late by as much. A timer that ends when the clock on the wall jumps, as it
//! does on waking, is told at once; where there is none, a look a few times a minute finds out.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::readable;
use crate::credential::{Clock, Moment};

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_secs(15);
/// A shorter sleep does nothing to a connection.
const SHORT: Duration = Duration::from_secs(5);
/// A virtual machine that was stopped from outside has no clock that went on. Its clock on the wall is set when it goes
/// on, by more than clocks are corrected by.
const STOPPED: Duration = Duration::from_secs(30);

/// What was there at the last look.
#[derive(Debug)]
pub(super) struct Suspend {
    clock: Clock,
    slept: Duration,
    at: (Moment, SystemTime),
    jumps: Option<AsyncFd<OwnedFd>>,
}

impl Suspend {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            slept: clock.slept(),
            at: (clock.now(), clock.wall()),
            clock,
            jumps: jumps()
                .inspect_err(|why| tracing::debug!("no timer tells of a jump: {why}"))
                .ok(),
        }
    }

    /// Resolves when the machine has slept; for how long.
    pub(super) async fn woken(&mut self) -> Duration {
        loop {
            let next = self.at.0.after(LOOK);
            let jumped = tokio::select! {
                () = self.clock.sleep_until(next) => false,
                () = jumped(self.jumps.as_ref()) => true,
            };
            if jumped {
                self.jumps = jumps().ok();
            }
            if let Some(slept) = self.look() {
                return slept;
            }
        }
    }

    fn look(&mut self) -> Option<Duration> {
        let (now, wall, slept) = (self.clock.now(), self.clock.wall(), self.clock.slept());
        let by = slept.saturating_sub(self.slept);
        let (then, was) = self.at;
        let passed = wall.duration_since(was).unwrap_or_default();
        let stopped = passed.saturating_sub(now.from(then));
        (self.slept, self.at) = (slept, (now, wall));
        let by = if stopped > STOPPED { by + stopped } else { by };
        (by > SHORT).then_some(by)
    }
}

/// A timer that never rings, and ends when the clock on the wall jumps.
fn jumps() -> std::io::Result<AsyncFd<OwnedFd>> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    let never = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        },
    };
    let absolute = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, absolute, &never)?;
    readable(timer)
}

async fn jumped(jumps: Option<&AsyncFd<OwnedFd>>) {
    match jumps {
        // What it says is that it was cancelled, and nothing else.
        Some(jumps) => drop(jumps.readable().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    const NIGHT: Duration = Duration::from_hours(8);

    /// The clocks are not looked at in one moment.
    fn is_a_night(slept: Duration) -> bool {
        let little = Duration::from_secs(1);
        slept + little > NIGHT && slept < NIGHT + little
    }

    #[tokio::test]
    async fn a_night_is_noticed_at_the_next_look_and_once() {
        let clock = Clock::movable();
        let mut suspend = Suspend::new(clock.clone());
        clock.suspend(NIGHT);
        clock.advance(LOOK);
        let slept = suspend.woken().await;
        assert!(is_a_night(slept), "{slept:?}");
        let mut next = Box::pin(suspend.woken());
        assert!(poll!(&mut next).is_pending());
        clock.advance(LOOK);
        assert!(poll!(&mut next).is_pending());
        clock.suspend(NIGHT);
        clock.advance(LOOK);
        assert!(is_a_night(next.await));
    }

    #[tokio::test]
    async fn time_that_goes_by_is_no_sleep_nor_is_a_nap_nor_a_clock_that_is_corrected() {
        let clock = Clock::movable();
        let mut suspend = Suspend::new(clock.clone());
        for change in [
            Clock::advance as fn(&Clock, Duration),
            Clock::set_back,
            |clock, _| clock.suspend(Duration::from_secs(4)),
            |clock, _| clock.set_forward(Duration::from_secs(20)),
        ] {
            change(&clock, NIGHT);
            clock.advance(LOOK);
            assert!(poll!(Box::pin(suspend.woken())).is_pending());
        }
        // It was stopped from outside, and its clock was put right.
        clock.set_forward(NIGHT);
        clock.advance(LOOK);
        assert!(is_a_night(suspend.woken().await));
    }

    #[tokio::test]
    async fn the_timer_of_the_system_is_there_and_keeps_still() {
        let jumps = jumps().unwrap();
        assert!(poll!(Box::pin(jumped(Some(&jumps)))).is_pending());
    }
}
