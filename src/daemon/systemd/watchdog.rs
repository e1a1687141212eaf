//! Tells the service manager that Janus is alive, as long as it is.
//!
//! Invariant: nothing is told before every listener and the thread of the database have done a turn since the last time.
//! A timer that tells by itself proves nothing, and neither does a loop that only fails: a listener that cannot accept
//! and a database that cannot be written are told of only where another process could do no better.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Manager;
use crate::downstream::Downstream;
use crate::store::{Store, Turn};

/// Two may be lost, or be late under load.
const PART: u32 = 3;

/// Tells it, three times in the time that the manager allows; for ever, or never if it does not ask. The clock stands
/// still while the machine sleeps, on both sides.
pub(in crate::daemon) async fn watchdog(manager: Manager, downstream: Downstream, store: Store) {
    let Some(allowed) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = allowed / PART;
    let mut next = Instant::now();
    loop {
        downstream.turn().await;
        match store.turn().await {
            Turn::Done => manager.watchdog(),
            // It may have recovered by the next time.
            Turn::Stuck => tracing::error!("the database cannot be written by this process"),
            // The end has begun, and has its own limit.
            Turn::Closed => return,
        }
        next = (next + every).max(Instant::now());
        sleep_until(next).await;
    }
}

/// How long a stop that goes on is announced for, and how often.
pub(in crate::daemon) const AHEAD: Duration = Duration::from_secs(5);
pub(in crate::daemon) const TICK: Duration = Duration::from_secs(2);

/// Says again and again that what happens now has its reason, for at most `limit`.
pub(in crate::daemon) async fn keep_waiting(manager: Manager, limit: Duration) {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        manager.extend(AHEAD.min(left));
        tokio::time::sleep(TICK.min(left)).await;
    }
}
